import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Body } from '@react-email/body';
import { Button } from '@react-email/button';
import { Head } from '@react-email/head';
import { Html } from '@react-email/html';
import { Link } from '@react-email/link';
import { Preview } from '@react-email/preview';
import { render } from '@react-email/render';
import { Text } from '@react-email/text';
import mjml2html from 'mjml';
import PostalMime from 'postal-mime';
import { createElement } from 'react';
import { beforeAll, expect, test } from 'vitest';
import { authorSettings, BASE, createDesk, insertCampaign } from '../support/authors.ts';
import { clickledger } from '../support/commands.ts';
import { createDatabases, type Databases } from '../support/databases.ts';

// The recipe "React Email and MJML through prepare" of docs/integrations.md: a template is rendered to HTML, and `prepare` tracks its links.

let databases: Databases;

beforeAll(async () => {
  databases = await createDatabases(1);
});

/** A template as the documentation shows it, without JSX. Values that differ from person to person are tags. */
function SpringSale() {
  return createElement(
    Html,
    null,
    createElement(Head),
    createElement(
      Body,
      null,
      createElement(Preview, null, 'It is spring, {{name}}'),
      createElement(Text, null, 'Dear {{name}}, ', createElement(Link, { href: 'https://shop.example/news?a=1&b=2' }, 'news')),
      createElement(Button, { href: 'https://shop.example/sale' }, 'To the sale'),
      createElement(Link, { href: 'https://shop.example/plain', 'data-no-track': '' } as object, 'plain'),
      createElement(Link, { href: '{{unsubscribe}}' }, 'No more'),
    ),
  );
}

const MJML = `<mjml><mj-body><mj-section><mj-column>
<mj-text>Dear {{name}}, <a href="https://shop.example/news?a=1&amp;b=2">news</a></mj-text>
<mj-button href="https://shop.example/sale">To the sale</mj-button>
<mj-text><a data-no-track href="https://shop.example/plain">plain</a> <a href="{{unsubscribe}}">No more</a></mj-text>
</mj-column></mj-section></mj-body></mjml>`;

const LINK = /(<a\s[^>]*?href=")([^"]*)/g;
const PIXEL = new RegExp(`<img src="${BASE}/r/\\w+\\.gif"[^>]*>`);

test.each([
  ['React Email', () => render(createElement(SpringSale))],
  ['MJML', async () => (await mjml2html(MJML)).html],
])('a template of %s: all links are tracked, and the rest of the letter is unchanged', async (name, makeHtml) => {
  const html = await makeHtml();
  await insertCampaign(databases, name);
  const at = await createDesk({ 'letter.html': html, 'people.csv': 'email,name\nann@example.com,Ann & Co\n' });
  const options = ['--render', '--eml', '--make-text', '--from', 'Shop <news@shop.example>', '--subject', 'Sale', '--out', 'made'];
  const run = await clickledger(['prepare', 'letter.html', '--campaign', name, '--to', 'people.csv', ...options], {
    cwd: at,
    env: authorSettings(databases),
  });
  expect(run).toMatchObject({ code: 0 });
  const mail = await PostalMime.parse(await readFile(join(at, 'made', '0000001.eml')));
  const made = (mail.html ?? '').trimEnd();
  const addresses = Array.from(made.matchAll(LINK), ([, , address]) => address as string);
  const ofKind = (kind: string) => expect.stringMatching(new RegExp(`^${BASE}/${kind}/\\w+$`));
  expect(addresses).toEqual([ofKind('u'), ofKind('u'), 'https://shop.example/plain', ofKind('o')]);
  expect(made).toMatch(PIXEL);

  // With the original addresses and the tags put back, the letter is what the template made, byte for byte.
  const originals = Array.from(html.matchAll(LINK), ([, , address]) => address as string);
  let next = 0;
  const restored = made
    .replace(PIXEL, '')
    .replace(LINK, (_, before: string) => before + (originals[next++] as string))
    .replaceAll('Ann &amp; Co', '{{name}}');
  expect(restored).toBe(html.trimEnd());

  expect(
    mail.text
      ?.replace(/https:\/\/t\.example\.org\/([uo])\/\w+/g, '<$1>')
      .replace(/\s+/g, ' ')
      .trim(),
  ).toBe('Dear Ann & Co, news (<u>) To the sale (<u>) plain (https://shop.example/plain) No more (<o>)');
});
