import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import PostalMime from 'postal-mime';
import { beforeAll, describe, expect, test } from 'vitest';
import { addCampaign, addHits, addLog, HOSTILE } from '../../test/support/campaigns.ts';
import { createDesk } from '../../test/support/authors.ts';
import { clickledger, type CommandResult } from '../../test/support/commands.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';
import { type MailServerOptions, startMailServer } from '../../test/support/mail-server.ts';
import { listReports } from '../../reporting/report-file.ts';

// Tests `report --mail-to` with a real mail server.

let databases: Databases;
let campaign: number;

beforeAll(async () => {
  databases = await createDatabases(2);
  const made = await addCampaign(databases, HOSTILE, 30);
  campaign = made.campaign;
  await addHits(databases, { campaign, link: made.links[0] as number, kind: 'click', people: 4 });
  await addLog(databases);
});

async function setUp(options: MailServerOptions = {}) {
  const server = await startMailServer(options);
  const at = await createDesk({});
  const env = {
    ANALYST_URL: databases.roleUrls.analyst,
    SMTP_URL: `smtp://127.0.0.1:${server.port}`,
    REPORT_FROM: 'Reports <reports@shop.example>',
  };
  const run = (...args: string[]): Promise<CommandResult> => clickledger(['report', ...args], { cwd: at, env });
  return { server, at, env, run };
}

const ADDRESSES = 'ann@example.org, Bob <Bob@shop.example>';

test('each address gets a mail with the chart, the first rows, the time, and the CSV file that --out writes', async () => {
  const { server, at, run } = await setUp();
  const values = ['non-openers', '--campaign', String(campaign)];
  const { code, stdout, stderr } = await run(...values, '--mail-to', ADDRESSES);
  expect({ code, stdout, stderr }).toEqual({
    code: 0,
    stdout: '',
    stderr: expect.stringMatching(/^sent to 2 addresses: Non-openers, 26 rows, [\d,]+ bytes of CSV\n$/),
  });
  expect(server.counts()).toEqual({ 'ann@example.org': 1, 'Bob@shop.example': 1 });
  expect(await run(...values, '--out', 'all.csv')).toMatchObject({ code: 0 });
  const written = await readFile(join(at, 'all.csv'));
  for (const { to, from, content } of server.stored) {
    const mail = await PostalMime.parse(content);
    expect(from).toBe('reports@shop.example');
    expect(mail.from).toEqual({ name: 'Reports', address: 'reports@shop.example' });
    // Nobody sees the other addresses.
    expect(mail.to).toEqual([{ name: '', address: to }]);
    expect(mail.cc).toBeUndefined();
    expect(mail.subject).toBe(`Non-openers: campaign ${campaign}`);
    expect(mail.headers.find(({ key }) => key === 'auto-submitted')?.value).toBe('auto-generated');
    expect(mail.attachments).toHaveLength(1);
    expect(mail.attachments[0]).toMatchObject({ filename: 'non-openers.csv', mimeType: 'text/csv' });
    expect(Buffer.from(mail.attachments[0]?.content as ArrayBuffer).equals(written)).toBe(true);
    for (const part of [mail.html, mail.text]) {
      expect(part).toContain('Counted until 2030-05-01 12:34:56 UTC; no holes.');
      expect(part).toContain('These are the first 20 of 26 rows. The attached file non-openers.csv has all rows.');
    }
    expect(mail.html?.match(/<tr>/g)).toHaveLength(21);
    expect(mail.text).toContain('# Non-openers');
  }
});

test('a mail needs no network: it has no images, styles or scripts of others, and values cannot become markup', async () => {
  const { server, run } = await setUp();
  expect(await run('campaign-summary', '--campaign', String(campaign), '--mail-to', 'ann@example.org')).toMatchObject({ code: 0 });
  const { html = '' } = await PostalMime.parse(server.stored[0]?.content ?? '');
  expect(html).toContain('&lt;img src=x');
  expect(html).not.toMatch(/<(?:img|script|link|style|svg|iframe|a)\b|url\(|https?:/i);
});

test('every report can be sent, and those with a chart have one', async () => {
  const { server, run } = await setUp();
  let charts = 0;
  for (const { name, chart } of await listReports()) {
    expect(await run(name, '--mail-to', 'ann@example.org'), name).toMatchObject({ code: 0 });
    const { html = '', text = '', attachments } = await PostalMime.parse(server.stored.at(-1)?.content ?? '');
    expect(attachments[0]?.filename).toBe(`${name}.csv`);
    expect(text.length).toBeGreaterThan(50);
    // Only charts have cells with a colour.
    if (html.includes('bgcolor=')) charts++;
    expect(html.includes('bgcolor=') && chart.kind === 'none', name).toBe(false);
  }
  expect(charts).toBeGreaterThan(8);
});

describe('what goes wrong', () => {
  test('a server that refuses one address: the others get the mail, and no address is printed', async () => {
    const fault = (step: string, to: string) =>
      step === 'rcpt' && to.startsWith('no') ? { code: 550, text: `no such user ${to}` } : undefined;
    const { server, run } = await setUp({ fault });
    const { code, stderr } = await run('campaign-summary', '--mail-to', 'ann@example.org,nobody@example.org,bob@example.org');
    expect(code).toBe(1);
    expect(stderr).toContain('address 2: not sent:');
    expect(stderr).toContain('the report was sent to 2 of 3 addresses');
    expect(stderr).not.toContain('@');
    expect(server.counts()).toEqual({ 'ann@example.org': 1, 'bob@example.org': 1 });
  });

  test('a report that is too large for a mail is an error, and nothing is sent', async () => {
    const { server, at, run } = await setUp();
    await writeFile(
      join(at, 'large.sql'),
      "-- title: Large\n-- question: How large?\n\nSELECT n, repeat('x', 100) AS text FROM generate_series(1, 1000000) AS n;\n",
    );
    const { code, stdout, stderr } = await run('./large.sql', '--mail-to', 'ann@example.org');
    expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: '', stderr: expect.stringContaining('larger than 10 MiB') });
    expect(server.stored).toEqual([]);
  });

  test.each([
    ['no address', ['--mail-to', 'ann'], 1, 'is not a mail address'],
    ['a wrong address', ['--mail-to', 'ann@example.org,bob@'], 1, 'address 2 of the list is not a mail address'],
    ['two lines', ['--mail-to', 'ann@example.org\nBcc: bob@example.org'], 1, 'is not a mail address'],
    ['with --out', ['--mail-to', 'ann@example.org', '--out', 'a.csv'], 2, '--mail-to cannot be combined'],
    ['with --json', ['--mail-to', 'ann@example.org', '--json'], 2, '--mail-to cannot be combined'],
  ])('%s', async (_, args, expected, reason) => {
    const { server, run } = await setUp();
    const { code, stdout, stderr } = await run('campaign-summary', ...args);
    expect({ code, stdout, stderr }).toEqual({ code: expected, stdout: '', stderr: expect.stringContaining(reason) });
    expect(server.stored).toEqual([]);
  });

  test.each([
    ['SMTP_URL', '', 'SMTP_URL is not set'],
    ['REPORT_FROM', '', 'REPORT_FROM is not set'],
    ['REPORT_FROM', 'a@example.org, b@example.org', 'REPORT_FROM must have one mail address'],
    ['SMTP_URL', 'smtp://127.0.0.1:1', 'the report was sent to 0 of 1 address'],
  ])('the setting %s is %j', async (name, value, reason) => {
    const { at, env } = await setUp();
    const result = await clickledger(['report', 'campaign-summary', '--mail-to', 'ann@example.org'], {
      cwd: at,
      env: { ...env, [name]: value },
    });
    expect(result).toEqual({ code: 1, stdout: '', stderr: expect.stringContaining(reason) });
  });
});
