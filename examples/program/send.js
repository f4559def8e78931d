// A program that sends a tracked letter by itself. It prints each letter; replace `console.log` with your way of sending mail.
//
//   npm install clickledger
//   node send.js
//
// The settings BASE_URL, AUTHOR_URL and SLUG_KEYS come from the environment, or from the file `env` in the directory CLICKLEDGER_DATA.

import { createTracker } from 'clickledger';

const CAMPAIGN = 'Autumn news, by program';
const html = '<p>Dear {{name}}, <a href="https://www.example.com/tickets">tickets</a> are here.</p>';
const people = [
  { email: 'ann@example.com', columns: { name: 'Ann' } },
  { email: 'bob@example.com', columns: { name: 'Bob' } },
  { email: 'not an address', columns: { name: 'Nobody' } },
];

const data = process.env.CLICKLEDGER_DATA;
const tracker = await createTracker(data ? { data } : {});
try {
  await tracker.campaign(CAMPAIGN, { fallback: 'https://www.example.com/' });
  const letter = await tracker.prepare({ campaign: CAMPAIGN, html, fill: true });
  for await (const result of letter.forAll(people)) {
    if ('rejected' in result) console.error(`${result.person.email}: ${result.rejected}`);
    else console.log(result.letter.html);
  }
} finally {
  await tracker.close();
}
