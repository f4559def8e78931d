import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { parseConfig } from '../core/config.ts';
import { readEnvFile } from '../core/env-file.ts';
import { createSlugCodec } from '../core/slug.ts';
import { locate } from '../stack/debian.ts';
import { NATS_ROLES } from '../operating/nats-conf.ts';
import { freePort, acceptsConnections } from '../stack/ports.ts';
import { startProcess } from '../stack/process.ts';
import { clickledger, createDataDirectory, type CommandResult } from '../test/support/commands.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { commandsIn, helpOf } from '../test/support/help.ts';
import { natsConnection, temporaryDirectory } from '../test/support/servers.ts';

let databases: Databases;

beforeAll(async () => {
  databases = await createDatabases(2);
});

const run = async (...args: string[]): Promise<CommandResult> => clickledger(['--data', await createDataDirectory(databases), ...args]);

async function expectData(ended: Promise<CommandResult>): Promise<string> {
  const { code, stdout, stderr } = await ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

/** Expects that the command fails with one line on stderr that matches `why`, and with nothing on stdout. */
async function expectRefusal(ended: Promise<CommandResult>, why: string | RegExp): Promise<void> {
  const { code, stdout, stderr } = await ended;
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(/^clickledger: [^\n]+\n$/);
  expect(stderr).toMatch(why);
}

describe('help', () => {
  async function commandsOf(path: readonly string[]): Promise<string[][]> {
    const help = (await helpOf(path)) ?? '';
    const names = commandsIn(help);
    if (names.length > 0) return (await Promise.all(names.map((name) => commandsOf([...path, name])))).flat();
    expect(help, path.join(' ')).toMatch(/\nExamples?:\n {2}(?:[A-Z_]+=\S+ )*clickledger /);
    expect(help, path.join(' ')).toContain(`clickledger ${path.join(' ')}`);
    return [[...path]];
  }

  test('the installed command passes everything on: arguments, output, exit code', async () => {
    const entry = 'bin/clickledger.js';
    expect(await clickledger(['--version'], { entry })).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      stderr: '',
    });
    expect((await clickledger(['dance'], { entry })).code).toBe(2);
    await expectRefusal(clickledger(['url', 'a b', '--campaign', 'x y'], { entry }), "'a b'");
  });

  test.each([[['--help']], [['campaign', '--help']], [['prepare', '--help']]])('%j prints the help', async (args) => {
    expect(await expectData(clickledger(args))).toBe(await helpOf(args.slice(0, -1)));
  });

  test('every command has an example', async () => {
    const commands = (await commandsOf([])).map((path) => path.join(' '));
    expect(commands).toEqual(
      expect.arrayContaining(['up', 'init', 'migrate', 'run', 'campaign create', 'url', 'pixel', 'link list', 'report', 'status']),
    );
  });
});

describe('wrong usage', () => {
  test.each([
    ['no command', []],
    ['an unknown command', ['dance']],
    ['an unknown option', ['campaign', 'list', '--dance']],
    ['a missing argument', ['campaign', 'create']],
    ['a missing required option', ['url', 'https://x.example']],
    ['options that exclude each other', ['url', 'https://x.example', '--campaign', 'x', '--to', 'a@example.com', '--alias', 'a-b']],
    ['an unknown part', ['run', 'dance']],
  ])('%s ends with 2, and stdout stays empty', async (_, args) => {
    const { code, stdout, stderr } = await clickledger(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).not.toBe('');
    expect(stderr).not.toMatch(/\n {4}at /);
  });
});

describe('failures', () => {
  test('without any settings it says where they were looked for and what to do', async () => {
    const directory = await temporaryDirectory();
    await expectRefusal(clickledger(['campaign', 'list'], { cwd: directory }), /no settings in .*\.clickledger\/env.*npm start/);
  });

  test('with some settings missing it says which, one a line', async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'env'), 'BASE_URL=https://t.example.org\n');
    const { code, stdout, stderr } = await clickledger(['--data', directory, 'url', 'https://x.example', '--campaign', 'x']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('AUTHOR_URL is not set');
    expect(stderr).toContain('SLUG_KEYS is not set');
  });

  test('a database that is not there, not set up, or closed to us is told in one line without secrets', async () => {
    const author = (change: (url: URL) => void) => {
      const url = new URL(databases.roleUrls.author);
      change(url);
      return clickledger(['campaign', 'list'], { env: { AUTHOR_URL: url.toString() } });
    };
    await expectRefusal(
      author((url) => (url.port = '1')),
      'does not answer',
    );
    await expectRefusal(
      author((url) => (url.password = 'hunter2')),
      'refused the credentials',
    );
    await expectRefusal(
      author((url) => (url.pathname = '/nowhere')),
      'clickledger migrate',
    );
    await expectRefusal(
      author((url) => (url.pathname = '/postgres')),
      'clickledger migrate',
    );
  });

  test('what cannot be done is refused with a reason', async () => {
    const refusals: [why: string, ...args: string[]][] = [
      ['begins with http', 'url', 'shop.example', '--campaign', 'x'],
      ['campaign create', 'url', 'https://x.example', '--campaign', 'nope'],
      ['name', 'campaign', 'create', ''],
      ['begins with http', 'campaign', 'create', 'x', '--fallback', 'nowhere'],
      ["report 'nope' does not exist", 'report', 'nope'],
      ["no parameter 'nope'", 'report', 'campaign-summary', '--nope', '1'],
      ["campaign 'x' does not exist", 'report', 'campaign-summary', '--campaign', 'x'],
      ['whole number', 'report', 'campaign-summary', '--limit', 'abc'],
      ['Write the year first', 'report', 'clicks-by-hour', '--from', '01.11.2026'],
      ['has no length', 'report', 'clicks-by-hour', '--from', '2026-11-02', '--to', '2026-11-01'],
      ['America/Los_Angeles', 'report', 'clicks-by-hour', '--timezone', 'PST'],
      ["Did you mean 'campaign'", 'report', 'campaign-summary', '--campain', '1'],
      ['write click or open', 'report', 'countries', '--kind', 'x'],
      ["URL 'https://x.example/' does not exist", 'report', 'clicks-of-url', '--url', 'https://x.example/'],
      ["recipient 'nobody@example.com' does not exist", 'report', 'recipient-timeline', '--recipient', 'nobody@example.com'],
      ['has no value', 'report', 'campaign-summary', '--campaign'],
      ['is not a parameter', 'report', 'campaign-summary', 'stray'],
    ];
    const directory = await createDataDirectory(databases);
    await Promise.all(refusals.map(([why, ...args]) => expectRefusal(clickledger(['--data', directory, ...args]), why)));
  });

  test('a backend that can neither reach Postgres nor read a snapshot ends with 1 and says so', async () => {
    const env = {
      BACKEND_URL: 'postgres://clickledger_backend:x@127.0.0.1:1,127.0.0.1:2/x',
      SLUG_KEYS: databases.keysText,
      STATE_DIR: await temporaryDirectory(),
      // Its admin server must not keep it alive.
      ADMIN_PORT: String(await freePort()),
    };
    await expectRefusal(clickledger(['run', 'backend'], { env: { ...env, PORT: '0', LOG_LEVEL: 'silent' } }), 'no readable snapshot');
  });
});

describe('what an author does', () => {
  test('a campaign, its links and their addresses, the same every time', async () => {
    const id = await expectData(run('campaign', 'create', 'Spring sale', '--fallback', 'https://shop.example/'));
    expect(id).toMatch(/^\d+\n$/);
    expect(JSON.parse(await expectData(run('campaign', 'create', 'Spring sale', '--json')))).toEqual({
      id: Number(id),
      name: 'Spring sale',
      created: false,
    });

    const slugs = createSlugCodec(databases.keys);
    const target = 'https://shop.example/sale?a=b&c=ü#d';
    const url = await expectData(run('url', target, '--campaign', 'Spring sale', '--to', 'Reader@example.com'));
    expect(url).toMatch(/^https:\/\/t\.example\.org\/u\/[0-9A-Za-z]{17,19}\n$/);
    const again = JSON.parse(await expectData(run('--json', 'url', target, '--campaign', id.trim(), '--to', 'reader@example.com'))) as {
      url: string;
      campaign: number;
      link: number;
      recipient: number;
    };
    expect(again).toMatchObject({ url: url.trim(), campaign: Number(id) });
    expect(slugs.verify(url.trim().split('/u/')[1] ?? '')).toEqual({ ok: true, ids: { link: again.link, recipient: again.recipient } });

    expect(await expectData(run('url', target, '--campaign', 'Spring sale', '--alias', 'spring-sale'))).toBe(
      'https://t.example.org/u/spring-sale\n',
    );
    const shared = JSON.parse(await expectData(run('pixel', '--campaign', 'Spring sale', '--json'))) as { url: string; recipient: null };
    expect(shared.url).toMatch(/^https:\/\/t\.example\.org\/r\/[0-9A-Za-z]{17,19}\.gif$/);
    expect(shared.recipient).toBeNull();

    const links = JSON.parse(await expectData(run('link', 'list', '--campaign', 'Spring sale', '--json'))) as object[];
    expect(links).toMatchObject([
      { id: again.link, kind: 'url', target, version: 1, aliases: ['spring-sale'] },
      { kind: 'pixel', target: null },
    ]);
    const table = await expectData(run('link', 'list', '--campaign', 'Spring sale'));
    expect(table.split('\n')[0]).toMatch(/^id +position +kind +label +target +version +state +aliases$/);
    expect(table).toContain(target);
    expect(table).not.toContain('\x1b');
    expect(JSON.parse(await expectData(run('campaign', 'list', '--json')))).toMatchObject([
      { id: Number(id), name: 'Spring sale', links: 2 },
    ]);
    await expectRefusal(
      run('url', 'https://other.example', '--campaign', 'Spring sale', '--alias', 'spring-sale'),
      'belongs to another link',
    );
  });

  test('no address is made with a key that is not listed, and the environment stands above the file', async () => {
    const directory = await createDataDirectory(databases);
    await expectRefusal(
      clickledger(['--data', directory, 'url', 'https://x.example', '--campaign', 'x'], { env: { SLUG_KEYS: '99'.repeat(32) } }),
      'clickledger migrate',
    );
  });
});

describe('what an analyst sees', () => {
  test('reports are listed, run and filled in', async () => {
    const own = await createDatabases(1);
    await own.query('catalog', `INSERT INTO catalog.campaign (name) VALUES ('one'), ('two')`);
    const data = ['--data', await createDataDirectory(own)];
    const listed = JSON.parse(await expectData(clickledger([...data, 'report', '--json']))) as {
      name: string;
      parameters: { name: string }[];
    }[];
    expect(listed.find(({ name }) => name === 'campaign-summary')?.parameters.map(({ name }) => name)).toEqual(['campaign', 'limit']);
    expect(JSON.stringify(listed)).not.toContain('SELECT');
    for (const parameter of [['--campaign', '2'], ['--campaign=2']]) {
      const rows = JSON.parse(await expectData(clickledger([...data, 'report', 'campaign-summary', ...parameter, '--json']))) as object[];
      expect(rows).toMatchObject([
        { campaign_id: 2, campaign: 'two', kind: 'click', hits: 0 },
        { campaign_id: 2, campaign: 'two', kind: 'open', hits: 0 },
      ]);
    }
    const { code, stdout, stderr } = await clickledger([...data, 'report', 'campaign-summary']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: 'Campaign summary\nNothing has been counted yet; no holes.\n' });
    expect(stdout.split('\n')).toHaveLength(6);
  });

  test('status tells what each shard has, and that NATS does not answer', async () => {
    const gen = '11111111-1111-1111-1111-111111111111';
    await databases.query('b', `INSERT INTO shard.ledger (gen, committed, size) VALUES ('${gen}', '{[0,70)}', 100)`);
    const { code, stdout, stderr } = await run('status');
    expect({ code, stderr }).toEqual({ code: 3, stderr: 'PARTS is not set, so the state of the parts is not shown\n' });
    expect(stdout).toMatch(/^ {2}nats: NATS does not answer: hits stay in the log until it does \(.*\)\n +→ start NATS, /m);
    expect(stdout).toMatch(/^a +ok +– +– +1 +100 B +1 +0 /m);
    const json = JSON.parse((await run('status', '--json')).stdout) as object;
    expect(json).toMatchObject({
      ok: false,
      parts: [],
      stream: { answers: false, messages: null },
      shards: [
        { shard: 'a', waiting_messages: null, generations: 1, committed_bytes: 0, missing_bytes: 100, holes: 1, dead_letters: 0 },
        { shard: 'b', committed_bytes: 70, missing_bytes: 30, holes: 1 },
      ],
      problems: [{ where: 'nats', code: 'nats-unreachable', about: null }],
    });
  });
});

describe('setting up', () => {
  test('init writes settings that every part accepts, for the owner alone, and never twice', async () => {
    const directory = join(await temporaryDirectory(), 'new');
    const init = (...more: string[]) =>
      clickledger([
        '--data',
        directory,
        'init',
        '--base-url',
        'https://t.example.org',
        '--catalog',
        'postgres://owner:se%40cret@db1:6543/cl',
        ...more,
      ]);
    expect((await init('--shards', '3')).code).toBe(0);
    const env = await readEnvFile(directory);
    const config = parseConfig(
      ['BASE_URL', 'CATALOG_URL', 'BACKEND_URL', 'WORKER_URL', 'AUTHOR_URL', 'ANALYST_URL', 'SHARDS', 'SLUG_KEYS', 'LOG_DIR', 'PARTS'],
      env,
    );
    expect(config.SHARDS.list.map(({ name, url }) => [name, url])).toEqual(
      ['a', 'b', 'c'].map((name) => [name, `postgres://db1:6543/cl_shard_${name}`]),
    );
    expect(
      new Set([config.BACKEND_URL, config.WORKER_URL, config.AUTHOR_URL, config.ANALYST_URL].map((url) => new URL(url).password)).size,
    ).toBe(4);
    expect(config.PARTS.map(({ name }) => name)).toEqual(['backend', 'agent', 'worker']);
    expect((await stat(join(directory, 'env'))).mode & 0o777).toBe(0o600);
    const before = await readFile(join(directory, 'env'), 'utf8');
    await expectRefusal(init(), 'in use');
    expect(await readFile(join(directory, 'env'), 'utf8')).toBe(before);
  });

  test.each([
    ['--catalog', 'http://db1/x', '--catalog'],
    ['--catalog', 'nonsense', 'is not a URL'],
    ['--base-url', 't.example.org', 'BASE_URL'],
    ['--shards', '0', 'from 1 to 26'],
    ['--shards', 'many', 'from 1 to 26'],
    ['--nats', 'n1:4222', 'nats://HOST or tls://HOST'],
    ['--nats', 'nats://me:secret@n1', 'has a user'],
    ['--nats', 'tls://n1', '--nats-certificate'],
    ['--nats-key', 'key.pem', '--nats-certificate'],
    ['--nats-listen', '4222', 'host:port'],
  ])('init refuses %s %s and writes nothing', async (option, value, why) => {
    const directory = join(await temporaryDirectory(), 'new');
    const given: Record<string, string> = { '--base-url': 'https://t.example.org', '--catalog': 'postgres://o:p@db1/cl', [option]: value };
    await expectRefusal(clickledger(['--data', directory, 'init', ...Object.entries(given).flat()]), why);
    expect(await readEnvFile(directory)).toEqual({});
  });

  test('init writes what nats-server needs, and the parts get in', async () => {
    const directory = join(await temporaryDirectory(), 'new');
    const port = await freePort();
    const listen = `127.0.0.1:${port}`;
    const options = { 'base-url': 'https://t.example.org', catalog: 'postgres://o:p@db1/cl?sslmode=verify-full', nats: `nats://${listen}` };
    const more = { 'nats-listen': listen, 'nats-store': join(directory, 'store') };
    const args = Object.entries({ ...options, ...more }).flatMap(([name, value]) => [`--${name}`, value]);
    expect(await clickledger(['--data', directory, 'init', ...args])).toMatchObject({ code: 0 });
    const conf = join(directory, 'nats.conf');
    expect((await stat(conf)).mode & 0o777).toBe(0o600);
    const env = await readEnvFile(directory);
    expect(env['SHARDS']).toBe('a=00=postgres://db1/cl_shard_a?sslmode=verify-full');
    const server = await startProcess({
      name: 'nats',
      command: await locate('nats-server'),
      args: ['-c', conf],
      stopSignal: 'SIGTERM',
      runDir: join(directory, 'run'),
      ready: () => acceptsConnections(port),
    });
    onTestFinished(() => server.stop());
    for (const role of NATS_ROLES) {
      const connection = await natsConnection(env[`${role.toUpperCase()}_NATS_URL`] ?? '');
      await connection.close();
    }
    await expect(natsConnection(options.nats)).rejects.toThrow();
  });

  test('migrate says what it has done, or that there was nothing to do', async () => {
    expect(await expectData(run('migrate'))).toBe('up to date\n');
    expect(JSON.parse(await expectData(run('migrate', '--json')))).toEqual({ applied: [] });
    const other = await createDataDirectory(databases, { SHARDS: databases.shardsText.replace('b=V0', 'b=V1') });
    await expectRefusal(clickledger(['--data', other, 'migrate']), 'Names and bounds cannot change');
  });
});
