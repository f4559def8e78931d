import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import PostalMime from 'postal-mime';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { createPool, type Pool } from '../../core/postgres.ts';
import { readReport } from '../../reporting/report-file.ts';
import { runReport } from '../../reporting/run-report.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { type MailServer, type Relay, startMailServer, startRelayWith } from '../support/mail.ts';
import { CAN_RUN_POSTFIX, runProgram, startPostfix } from '../support/mail-programs.ts';
import { toRows } from '../support/results.ts';
import { eventually, temporaryDirectory } from '../support/servers.ts';
import { freePort } from '../../stack/ports.ts';

// Sends messages with the programs that people use, through the relay, and follows a link to the report.

let system: System;
let dataDir: string;
let analyst: Pool;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'clickledger-relay-'));
  system = await startSystem({ dataDir, shards: 1, durable: false, extra: { LOG_LEVEL: 'warn' } });
  analyst = createPool(system.env['ANALYST_URL'] ?? '', { max: 1, name: 'test' });
}, 120_000);

afterAll(async () => {
  await analyst?.end();
  await system?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

async function start(): Promise<{ relay: Relay; upstream: MailServer }> {
  const upstream = await startMailServer();
  onTestFinished(() => upstream.close());
  return { relay: await startRelayWith(system.env as Record<string, string>, upstream.port), upstream };
}

const linksIn = (text: string | undefined): string[] =>
  Array.from((text ?? '').matchAll(/http:\/\/127\.0\.0\.1:\d+\/u\/\w+/g), ([url]) => url);

test('a message of swaks arrives with tracked links, one-click headers and its attachment, and a click on it is in the report', {
  timeout: 120_000,
}, async () => {
  const { relay, upstream } = await start();
  const attachment = Buffer.from(Array.from({ length: 10_000 }, (_, i) => (i * 31) % 256));
  const directory = await temporaryDirectory();
  await writeFile(join(directory, 'plan.bin'), attachment);
  await writeFile(join(directory, 'body.html'), '<p>Hello <a href="https://shop.example/sale?a=1&amp;b=2">the sale</a></p>');
  const args = [
    '--server',
    `127.0.0.1:${relay.port}`,
    '--from',
    'news@shop.example',
    '--to',
    'ann@example.com',
    '--header',
    'X-Clickledger-Campaign: swaks',
    '--attach-type',
    'text/html',
    '--attach-body',
    `@${join(directory, 'body.html')}`,
    '--attach-type',
    'application/octet-stream',
    '--attach-name',
    'plan.bin',
    '--attach',
    `@${join(directory, 'plan.bin')}`,
  ];
  const { code, output } = await runProgram('swaks', args, { interpreter: 'perl' });
  expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('250 2.0.0 queued as 1') });
  const mail = await PostalMime.parse(upstream.received[0]?.bytes ?? '');
  const [link] = linksIn(mail.html);
  expect(Buffer.from(mail.attachments.find(({ filename }) => filename === 'plan.bin')?.content as ArrayBuffer)).toEqual(attachment);
  const header = (key: string) => mail.headers.find((each) => each.key === key)?.value;
  expect(header('list-unsubscribe')).toMatch(/^<http:\/\/127\.0\.0\.1:\d+\/o\/\w+>$/);
  expect(header('list-unsubscribe-post')).toBe('List-Unsubscribe=One-Click');

  const response = await fetch(link ?? '', {
    redirect: 'manual',
    headers: { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' },
  });
  expect(response.headers.get('location')).toBe('https://shop.example/sale?a=1&b=2');
  const [{ campaign_id: campaign } = { campaign_id: 0 }] = (
    await analyst.query<{ campaign_id: number }>("SELECT campaign_id FROM analytics.campaigns WHERE name = 'swaks'")
  ).rows;
  const report = await readReport('clicks-by-link');
  await eventually('the click is in the report of the campaign', async () => {
    const rows = toRows(await runReport(analyst, report, { campaign: String(campaign) }, { timeoutSeconds: 30, zone: 'UTC' })) as {
      target: string;
      human_hits: number;
    }[];
    return rows.some(({ target, human_hits: clicks }) => target === 'https://shop.example/sale?a=1&b=2' && Number(clicks) === 1);
  });
});

const LETTER = [
  'From: news@shop.example',
  'To: ann@example.com',
  'Subject: x',
  'X-Clickledger-Campaign: programs',
  'Content-Type: text/html',
  '',
  '<a href="https://shop.example/">a</a>',
  '',
];

test('msmtp sends through the relay, and one of several recipients does not get an empty message', async () => {
  const { relay, upstream } = await start();
  const send = (...to: string[]) =>
    runProgram('msmtp', ['--file=/dev/null', '--host=127.0.0.1', `--port=${relay.port}`, '--from=news@shop.example', ...to], {
      input: LETTER.join('\n'),
    });
  expect(await send('ann@example.com')).toEqual({ code: 0, output: '' });
  expect(linksIn(upstream.received[0]?.bytes.toString())).toHaveLength(1);
  expect((await send('ann@example.com', 'bob@example.com')).output).toContain('452 4.5.3');
  expect(upstream.received).toHaveLength(1);
});

test('smtplib of Python sends through the relay', async () => {
  const { relay, upstream } = await start();
  const script = `
import smtplib
from email.message import EmailMessage
message = EmailMessage()
message['From'], message['To'], message['Subject'] = 'news@shop.example', 'ann@example.com', 'Grüße'
message['X-Clickledger-Campaign'] = 'programs'
message.set_content('See https://shop.example/ now.')
message.add_alternative('<p>ü <a href="https://shop.example/">a</a></p>', subtype='html')
with smtplib.SMTP('127.0.0.1', ${relay.port}) as smtp:
    print(smtp.send_message(message))
`;
  expect(await runProgram('python3', ['-'], { input: script })).toEqual({ code: 0, output: '{}\n' });
  const mail = await PostalMime.parse(upstream.received[0]?.bytes ?? '');
  expect([linksIn(mail.html), linksIn(mail.text)].map((links) => links.length)).toEqual([1, 1]);
  expect(mail.subject).toBe('Grüße');
});

test.skipIf(!CAN_RUN_POSTFIX)(
  'with Postfix in front and behind, a message to three people arrives at each once, with links of their own',
  {
    timeout: 120_000,
  },
  async () => {
    const upstream = await startMailServer();
    onTestFinished(() => upstream.close());
    const [behind, front] = [await freePort(), await freePort()];
    await startPostfix(behind, upstream.port);
    const relay = await startRelayWith(system.env as Record<string, string>, behind);
    await startPostfix(front, relay.port);
    const people = ['ann@example.com', 'bob@example.com', 'eve@example.com'];
    const args = ['--server', `127.0.0.1:${front}`, '--from', 'news@shop.example', '--to', people.join(','), '--data', LETTER.join('\r\n')];
    const { code } = await runProgram('swaks', args, { interpreter: 'perl' });
    expect(code).toBe(0);
    await eventually('all three messages arrive', () => upstream.received.length === 3, 60_000);
    expect(upstream.received.map(({ to }) => to.map(({ address }) => address).join()).toSorted()).toEqual(people);
    const links = upstream.received.map(({ bytes }) => linksIn(bytes.toString())[0]);
    expect(new Set(links).size).toBe(3);
    expect(upstream.received[0]?.bytes.toString().match(/^Received:/gm)?.length).toBeGreaterThanOrEqual(2);
  },
);
