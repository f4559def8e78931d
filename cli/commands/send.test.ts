import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { env as variables } from 'node:process';
import { fileURLToPath } from 'node:url';
import PostalMime from 'postal-mime';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  authorSettings,
  BASE,
  createDesk,
  expectJson,
  expectRefusal,
  insertCampaign,
  trackedAddresses,
} from '../../test/support/authors.ts';
import { clickledger, type CommandResult } from '../../test/support/commands.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';
import { type MailServer, type MailServerOptions, startMailServer } from '../../test/support/mail-server.ts';
import { eventually } from '../../test/support/servers.ts';
import type { SendResult } from '../../authoring/send/send-letters.ts';

// Tests the command `send` with a real mail server, which counts the messages of each person.

const LETTER = `<!doctype html><html><body><p>Dear {{name}},</p>
<p><a href="https://shop.example/sale?a=1&amp;b=2">The sale</a></p>
<p><a href="{{unsubscribe}}">No more of these</a></p></body></html>
`;
const PEOPLE = `email,name
ann@example.com,Ann
bob@example.com,Bob
out@example.com,Out
gone@example.com,Gone
me@example.com,Me
`;
const FROM = ['--from', 'Shop <news@shop.example>', '--subject', '{{name}}, it is spring'];

let databases: Databases;
let gone: number;

beforeAll(async () => {
  databases = await createDatabases(1);
  const rows = await databases.query<{ id: number }>(
    'catalog',
    `INSERT INTO catalog.recipient (email, opted_out_at, is_test)
     VALUES ('out@example.com', now(), false), ('gone@example.com', NULL, false), ('me@example.com', NULL, true) RETURNING id::int`,
  );
  gone = rows[1]?.id as number;
  const earlier = await insertCampaign(databases, 'earlier');
  const [link] = await databases.query<{ id: number }>(
    'catalog',
    `INSERT INTO catalog.link (campaign_id, kind, original) VALUES ($1, 'unsubscribe', '') RETURNING id::int`,
    [earlier],
  );
  await databases.query(
    'a',
    `INSERT INTO shard.unsubscribe (at, off, gen, rid, recipient_id, link_id, campaign_id)
     VALUES (now(), 0, gen_random_uuid(), gen_random_uuid(), $1, $2, $3)`,
    [gone, link?.id, earlier],
  );
});

interface Report extends SendResult {
  campaign: number;
  state: string | null;
  rejected: { line: number; reason: string }[];
}

/** Starts a mail server and a desk, and creates a campaign. */
async function setUp(campaign: string, options: MailServerOptions = {}, files: Record<string, string> = {}) {
  const server = await startMailServer(options);
  const id = await insertCampaign(databases, campaign);
  const at = await createDesk({ 'letter.html': LETTER, 'people.csv': PEOPLE, ...files });
  const env = { ...authorSettings(databases), SMTP_URL: `smtp://127.0.0.1:${server.port}` };
  const args = ['send', 'letter.html', '--campaign', campaign, '--to', 'people.csv', ...FROM];
  const run = (...more: string[]): Promise<CommandResult> => clickledger([...args, ...more], { cwd: at, env });
  return { server, id, at, env, args, run, state: join(at, `letter.sent-${id}.jsonl`) };
}

const mailedIn = async (campaign: number): Promise<string[]> =>
  (
    await databases.query<{ email: string }>(
      'catalog',
      'SELECT r.email FROM catalog.mailing m JOIN catalog.recipient r ON r.id = m.recipient_id WHERE m.campaign_id = $1 ORDER BY 1',
      [campaign],
    )
  ).map(({ email }) => email);

const sentAtOf = async (campaign: number): Promise<Date | null> =>
  (await databases.query<{ sent_at: Date | null }>('catalog', 'SELECT sent_at FROM catalog.campaign WHERE id = $1', [campaign]))[0]
    ?.sent_at ?? null;

const mailTo = (server: MailServer, to: string) => {
  const found = server.stored.find((message) => message.to === to);
  if (!found) throw new Error(`${to} has no message`);
  return PostalMime.parse(found.content);
};

/** The addresses of links and images in a message. */
const linksIn = (html: string | undefined): string[] =>
  Array.from((html ?? '').matchAll(/(?:href|src)="([^"]*)"/g), ([, address]) => address as string);

test('each person gets a tracked letter of their own; who opted out gets an untracked one, and who has unsubscribed gets none', async () => {
  const { server, id, run, state } = await setUp('all');
  const report = await expectJson<Report>(run('--json'));
  expect(report).toMatchObject({ campaign: id, ended: 'all', sent: 4, opted_out: 1, tests: 1, already_sent: 0, unknown_total: 0, state });
  expect(report.rejected).toEqual([expect.objectContaining({ line: 5, reason: 'unsubscribed' })]);
  expect(server.counts()).toEqual({ 'ann@example.com': 1, 'bob@example.com': 1, 'out@example.com': 1, 'me@example.com': 1 });
  const [ann, out] = [await mailTo(server, 'ann@example.com'), await mailTo(server, 'out@example.com')];
  expect(ann).toMatchObject({ subject: 'Ann, it is spring', from: { name: 'Shop', address: 'news@shop.example' } });
  expect(ann.to).toEqual([{ address: 'ann@example.com', name: '' }]);
  const [click, leave, pixel] = linksIn(ann.html);
  expect(click).toMatch(new RegExp(`^${BASE}/u/`));
  expect(pixel).toMatch(new RegExp(`^${BASE}/r/`));
  expect(leave).toMatch(new RegExp(`^${BASE}/o/`));
  expect(ann.headers.find(({ key }) => key === 'list-unsubscribe')?.value).toBe(`<${leave}>`);
  expect(linksIn(out.html)).toEqual(['https://shop.example/sale?a=1&amp;b=2', expect.stringMatching(new RegExp(`^${BASE}/o/`))]);
  const recipients = server.stored.flatMap(({ content }) =>
    trackedAddresses(databases, content.replaceAll('=\r\n', '')).map((each) => each.recipient),
  );
  expect(new Set(recipients).size).toBe(3);
  expect(await mailedIn(id)).toEqual(['ann@example.com', 'bob@example.com', 'me@example.com', 'out@example.com']);
  expect(await sentAtOf(id)).not.toBeNull();
  expect(server.stored.every(({ from }) => from === 'news@shop.example')).toBe(true);
  expect(((await stat(state)).mode & 0o777).toString(8)).toBe('600');
  expect(await readFile(state, 'utf8')).not.toContain('@');

  const first = await sentAtOf(id);
  const again = await expectJson<Report>(run('--json'));
  expect(again).toMatchObject({ ended: 'all', sent: 0, already_sent: 4 });
  expect(server.stored).toHaveLength(4);
  expect(await sentAtOf(id)).toEqual(first);
});

test('--max sends to some, and the next run to the others; the percentages of reports count only those', async () => {
  const { server, id, run } = await setUp('max');
  const { code, stderr } = await run('--max', '2', '--connections', '1');
  expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringMatching(/sent to 2 people[\s\S]*limit of --max is reached/) });
  expect(await mailedIn(id)).toEqual(['ann@example.com', 'bob@example.com']);
  expect(await expectJson<Report>(run('--max', '2', '--json'))).toMatchObject({ ended: 'all', sent: 2, already_sent: 2 });
  expect(Object.values(server.counts())).toEqual([1, 1, 1, 1]);
});

test('--only sends a test that is not recorded, and --dry-run sends nothing', async () => {
  const { server, id, at, run } = await setUp('tests');
  for (let i = 0; i < 2; i++)
    expect(await expectJson<Report>(run('--only', 'ann@example.com', '--json'))).toMatchObject({ sent: 1, state: null });
  expect(server.counts()).toEqual({ 'ann@example.com': 2 });
  const { code, stdout, stderr } = await run('--dry-run');
  expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining('4 people would get a message') });
  expect(stdout).toMatch(/html +2 +tracked +https:\/\/shop\.example\/sale/);
  expect(await expectJson(run('--dry-run', '--json'))).toMatchObject({ waiting: 4, sent: 0, rejected_total: 1 });
  expect(server.stored).toHaveLength(2);
  expect({ mailed: await mailedIn(id), sentAt: await sentAtOf(id), files: (await readdir(at)).toSorted() }).toEqual({
    mailed: [],
    sentAt: null,
    files: ['letter.html', 'people.csv'],
  });
  await expectRefusal(run('--only', 'nobody@example.com'), 'nobody@example.com is not in the list');
  await expectRefusal(run('--only', 'gone@example.com'), 'gone@example.com is not in the list');
});

describe('the command refuses', () => {
  test('another letter or another campaign with the same state file', async () => {
    const { server, at, run, state } = await setUp('mixed up');
    await insertCampaign(databases, 'mixed up 2');
    expect((await run()).code).toBe(0);
    await writeFile(join(at, 'letter.html'), LETTER.replace('Dear', 'Dearest'));
    await expectRefusal(run('--dry-run'), 'another version of this letter');
    expect((await run()).stderr).toContain('another version of this letter');
    await writeFile(join(at, 'letter.html'), LETTER);
    expect((await run('--campaign', 'mixed up 2', '--state', state)).stderr).toContain("campaign 'mixed up', not of 'mixed up 2'");
    expect(server.stored).toHaveLength(4);
  });

  test('to begin a new state file for a campaign that was sent, unless it is told to', async () => {
    const { server, run, state } = await setUp('moved');
    expect((await run('--max', '1')).code).toBe(0);
    await rm(state);
    await expectRefusal(run(), /was sent at .* and .*jsonl does not say to whom.*--state.*--new-state/);
    expect(server.stored).toHaveLength(1);
    expect((await run('--new-state')).code).toBe(0);
    expect(server.stored).toHaveLength(5);
  });

  test('a state file that does not say to whom a campaign was sent', async () => {
    const { server, run, state } = await setUp('emptied');
    expect((await run()).code).toBe(0);
    const before = server.stored.length;
    for (const content of ['', '{"clickledger":"send 1"']) {
      await writeFile(state, content);
      await expectRefusal(run(), /was sent at/);
      expect((await run('--dry-run')).code).toBe(1);
    }
    expect(server.stored).toHaveLength(before);
  });

  test('a file that is no state file, and does not change it', async () => {
    const { at, run } = await setUp('precious');
    await writeFile(join(at, 'precious.json'), '{"a":1}');
    await expectRefusal(run('--state', 'precious.json'), /not a file of `clickledger send`/);
    expect(await readFile(join(at, 'precious.json'), 'utf8')).toBe('{"a":1}');
  });

  test('to begin a campaign twice, also at the same time with two state files', async () => {
    const { server, run } = await setUp('two files');
    const ended = await Promise.all([run('--state', 'one.jsonl'), run('--state', 'two.jsonl')]);
    expect(ended.filter(({ code }) => code === 0)).toHaveLength(1);
    expect(new Set(server.stored.map(({ to }) => to)).size).toBe(server.stored.length);
  });

  test('a state file with recipients that the catalog does not have', async () => {
    const { run, state } = await setUp('restored');
    expect((await run('--max', '1')).code).toBe(0);
    await writeFile(state, `${await readFile(state, 'utf8')}{"r":999999999,"is":"sent"}\n`);
    await expectRefusal(run(), /are not in the catalog/);
  });

  test('a second run while the first one is sending', async () => {
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { server, run } = await setUp('twice', {
      fault: () => undefined,
      wait: async (step) => {
        if (step === 'rcpt') await held;
      },
    });
    const first = run();
    await eventually('the first run is sending', () => server.maxSessions() > 0);
    await expectRefusal(run(), /process \d+ is sending with/);
    release();
    expect((await first).code).toBe(0);
    expect(Object.values(server.counts())).toEqual([1, 1, 1, 1]);
  });

  test('a mail server that is not there or wants another login, before anything is recorded', async () => {
    const { id, run, server } = await setUp('no server', { login: { user: 'shop', password: 'secret' } });
    const wrong = await run('--smtp', `smtp://shop:wrongsecret@127.0.0.1:${server.port}`);
    expect({ code: wrong.code, stderr: wrong.stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/takes no messages: .*535/),
    });
    expect(wrong.stderr).not.toContain('wrongsecret');
    const missing = await run('--smtp', 'smtp://127.0.0.1:1');
    expect(missing.stderr).toContain('ECONNREFUSED');
    expect({ mailed: await mailedIn(id), sentAt: await sentAtOf(id) }).toEqual({ mailed: [], sentAt: null });
    expect(await expectJson<Report>(run('--smtp', `smtp://shop:secret@127.0.0.1:${server.port}`, '--json'))).toMatchObject({ sent: 4 });
  });

  test('wrong settings and options', async () => {
    const { at, args, env, run } = await setUp('options');
    await expectRefusal(clickledger(args, { cwd: at, env: { ...env, SMTP_URL: '' } }), 'SMTP_URL is not set');
    await expectRefusal(run('--smtp', 'mail.example.com'), 'the URL of the mail server must be');
    for (const [more, reason] of [
      [['--rate', 'fast'], "'fast' is not a rate"],
      [['--connections', '0'], 'It must be a whole number from 1 to 100'],
      [['--only', 'ann@example.com', '--state', 'x'], "'--only' and '--state' exclude each other"],
    ] as const)
      expect((await run(...more)).stderr).toContain(reason);
    expect((await clickledger(args.slice(0, 6), { cwd: at, env })).stderr).toContain("messages need '--from <address>'");
    await writeFile(join(at, 'ids.csv'), 'id,name\n1,Ann\n');
    expect((await run('--to', 'ids.csv', '--no-emails')).stderr).toContain('the list has no column with mail addresses');
  });

  test('to send if it cannot write the state file', async () => {
    const { server, run } = await setUp('no state');
    for (const path of ['missing/state.jsonl', 'people.csv/state.jsonl'])
      await expectRefusal(run('--state', path), /cannot use .*: (?:there is no|a directory)/);
    expect(server.stored).toHaveLength(0);
  });
});

test('what the server refuses and defers is listed, and only the deferred person is tried again', async () => {
  let isBusy = true;
  const { server, run } = await setUp('answers', {
    fault: (step, to) => {
      if (step !== 'rcpt') return undefined;
      if (to === 'ann@example.com') return { code: 550, text: '5.1.1 no such user' };
      return to === 'bob@example.com' && isBusy ? { code: 450, text: '4.2.0 try later' } : undefined;
    },
  });
  const { code, stderr } = await run('--retries', '0');
  expect(code).toBe(1);
  expect(stderr).toMatch(/ {4}ann@example\.com: .*550 5\.1\.1 no such user/);
  expect(stderr).toMatch(/ {4}bob@example\.com: .*450 4\.2\.0 try later/);
  expect(stderr.trimEnd().split('\n').at(-1)).toBe('clickledger: 1 person got no message yet. Run the same command again later.');
  isBusy = false;
  const again = await expectJson<Report>(run('--json'));
  expect(again).toMatchObject({ sent: 1, already_sent: 2, refused: [{ email: 'ann@example.com' }], deferred_total: 0 });
  expect(server.counts()).toEqual({ 'bob@example.com': 1, 'me@example.com': 1, 'out@example.com': 1 });
  expect((await run('--retry-refused')).stderr).toContain('1 person refused');
});

test('a person who may have the message is listed, and gets another one only with --retry-unknown', async () => {
  let dies = true;
  const { server, id, run } = await setUp('unknown', {
    fault: (step, to) => (step === 'stored' && to === 'bob@example.com' && dies ? 'die' : undefined),
  });
  const { code, stderr } = await run();
  expect(code).toBe(1);
  expect(stderr).toMatch(/1 person unknown: .*\n {4}bob@example\.com: /);
  dies = false;
  const later = await run();
  expect({ code: later.code, stderr: later.stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining('bob@example.com') });
  expect(server.counts()['bob@example.com']).toBe(1);
  expect(await mailedIn(id)).toContain('bob@example.com');
  expect(await expectJson<Report>(run('--retry-unknown', '--json'))).toMatchObject({ sent: 1, unknown_total: 0 });
  expect(server.counts()['bob@example.com']).toBe(2);
  const ids = server.stored.filter(({ to }) => to === 'bob@example.com').map(({ content }) => /^Message-ID: (.*)$/im.exec(content)?.[1]);
  expect(ids[0]).toMatch(/^<[0-9a-f]{32}@shop\.example>\r?$/);
  expect(new Set(ids).size).toBe(1);
});

/** Starts the command in a process that a test can end. */
function start(at: string, env: Record<string, string>, args: readonly string[]): ChildProcess {
  const file = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
  return spawn(process.execPath, [file, ...args], {
    cwd: at,
    env: { PATH: variables['PATH'], HOME: variables['HOME'], ...env },
    stdio: 'ignore',
  });
}

test('killed at any step and started again: nobody gets two messages, and only people who are listed get none', async () => {
  const count = 150;
  const people = `email,name\n${Array.from({ length: count }, (_, i) => `p${i}@example.com,P${i}\n`).join('')}`;
  let child: ChildProcess | undefined;
  /** The step at which the process is killed next, after so many messages. */
  const kills = [
    { step: 'stored', after: 12 },
    { step: 'rcpt', after: 30 },
    { step: 'answered', after: 55 },
    { step: 'mail', after: 80 },
    { step: 'stored', after: 110 },
  ];
  const { server, at, env, args, run } = await setUp(
    'killed',
    {
      fault(step) {
        if (step === kills[0]?.step && server.stored.length >= kills[0].after) {
          kills.shift();
          child?.kill('SIGKILL');
        }
        return undefined;
      },
    },
    { 'people.csv': people },
  );
  while (kills.length > 0) {
    child = start(at, env, [...args, '--connections', '4']);
    const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
    expect(signal).toBe('SIGKILL');
  }
  const report = await expectJson<Report>(run('--json', '--connections', '4'));
  const counts = server.counts();
  expect(Math.max(...Object.values(counts))).toBe(1);
  const unknown = new Set(report.unknown.map(({ email }) => email));
  expect(unknown.size).toBe(report.unknown_total);
  // Each time, at most the messages of the four connections were on their way.
  expect(unknown.size).toBeLessThanOrEqual(20);
  for (let i = 0; i < count; i++) {
    const address = `p${i}@example.com`;
    if (!unknown.has(address)) expect([address, counts[address]]).toEqual([address, 1]);
  }
  expect(report.already_sent + report.sent + unknown.size).toBe(count);
  expect(await expectJson<Report>(run('--retry-unknown', '--json'))).toMatchObject({
    sent: unknown.size,
    already_sent: count - unknown.size,
  });
  for (let i = 0; i < count; i++) {
    const address = `p${i}@example.com`;
    expect([address, server.counts()[address]]).toEqual([address, (counts[address] ?? 0) + (unknown.has(address) ? 1 : 0)]);
  }
}, 120_000);

test('Ctrl-C ends the run after the messages that are being sent, and nobody is unknown', async () => {
  const people = `email,name\n${Array.from({ length: 60 }, (_, i) => `q${i}@example.com,Q${i}\n`).join('')}`;
  let child: ChildProcess | undefined;
  const { server, at, env, args, run } = await setUp(
    'interrupted',
    {
      fault: (step) => {
        // A second signal would end the process at once.
        if (step === 'rcpt' && server.stored.length >= 10 && !child?.killed) child?.kill('SIGINT');
        return undefined;
      },
    },
    { 'people.csv': people },
  );
  child = start(at, env, args);
  expect((await once(child, 'exit'))[0]).toBe(1);
  const then = server.stored.length;
  expect(then).toBeLessThan(60);
  child = undefined;
  expect(await expectJson<Report>(run('--json'))).toMatchObject({ ended: 'all', already_sent: then, sent: 60 - then, unknown_total: 0 });
  expect(Object.values(server.counts())).toEqual(Array(60).fill(1));
});
