import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { compact } from '../../export/compact.ts';
import { openDirectory } from '../../export/directory.ts';
import { parseManifest } from '../../export/manifest.ts';
import { openExport } from '../../export/open-export.ts';
import { compileCache } from '../../stack/process.ts';
import { clickledger, type CommandResult } from '../support/commands.ts';
import { documentedSql, openDuck } from '../support/duckdb.ts';
import { eventually, temporaryDirectory } from '../support/servers.ts';
import { createExportWorld, type ExportWorld, START } from './world.ts';

// Exports to a directory: all kinds of events, options, compaction, and what can be wrong with a directory.

const HITS = 2_000;
const DAY_MS = 86_400_000;
const CHANGES = `SELECT * FROM read_parquet(getvariable('change_files'), hive_partitioning = true) ORDER BY ALL`;

let world: ExportWorld;

beforeAll(async () => {
  world = await createExportWorld(2, 100);
  await world.generate({ count: HITS / 2, people: 100, days: 2 });
  await world.databases.query(
    'a',
    `INSERT INTO shard.unsubscribe (at, off, gen, rid, recipient_id, link_id, campaign_id)
     VALUES (to_timestamp(${START / 1000}), 1, md5('a 0')::uuid, gen_random_uuid(), 7, 1, 1)`,
  );
  await world.databases.query(
    'a',
    `INSERT INTO shard.site_event (at, off, gen, rid, kind, site_id, name, session, recipient_id, link_id, campaign_id, agent_id, rules, verdict, page, value, currency, properties, dropped)
     VALUES (to_timestamp(${START / 1000}) + interval '1.5 s', 2, md5('a 0')::uuid, '00112233-4455-6677-8899-aabbccddeeff', 'goal', 1, 'order', 77, 7, 1, 1, 3, 6, 'human',
             'shop.example/thanks', 1234567.89, 'EUR', '{"color":"blue"}', 2),
            (to_timestamp(${START / 1000}), 3, md5('a 0')::uuid, gen_random_uuid(), 'visit', 1, '', NULL, 0, 0, 0, 3, 6, 'human', 'shop.example/', NULL, NULL, NULL, 0)`,
  );
});
afterAll(() => world.close());

const environment = (): Record<string, string> => ({ ANALYST_URL: world.databases.roleUrls.analyst, SHARDS: world.databases.shardsText });
const run = (...args: string[]): Promise<CommandResult> => clickledger(['export', '--wait', '0', ...args], { env: environment() });
const manifestOf = async (directory: string) => parseManifest(await readFile(join(directory, 'manifest.json'), 'utf8'), directory);

test('all kinds of events are exported with the types of the views', async () => {
  const directory = await temporaryDirectory();
  const { code, stderr } = await run('--to', directory);
  expect({ code, stderr }).toMatchObject({
    code: 0,
    stderr: expect.stringContaining(`${directory}: ${(HITS + 3).toLocaleString('en')} new rows`),
  });
  const duck = await openDuck(directory);
  const table = (name: string): string => `read_parquet('${directory}/${name}/*/*/*.parquet', hive_partitioning = true)`;
  expect(await duck.rows(`SELECT * EXCLUDE (gen) FROM ${table('goals')}`)).toEqual([
    {
      at: '2026-10-01 00:00:01.5+00',
      site_id: 1,
      name: 'order',
      value: '1234567.890000',
      currency: 'EUR',
      page: 'shop.example/thanks',
      referrer: null,
      session: 77,
      visitor: null,
      recipient_id: 7,
      link_id: 1,
      campaign_id: 1,
      country: null,
      net: null,
      client: 'Outlook',
      system: 'Android',
      device: 'desktop',
      verdict: 'human',
      signals: [],
      rules: 6,
      properties: '{"color":"blue"}',
      dropped: 2,
      request_id: '00112233-4455-6677-8899-aabbccddeeff',
      off: 2,
      day: '2026-10-01',
      shard: 'a',
    },
  ]);
  expect(await duck.rows(`SELECT page, session, recipient_id, day FROM ${table('visits')}`)).toEqual([
    { page: 'shop.example/', session: null, recipient_id: null, day: '2026-10-01' },
  ]);
  expect(await duck.rows(`SELECT recipient_id, link_id, "off" FROM ${table('unsubscribes')}`)).toEqual([
    { recipient_id: 7, link_id: 1, off: 1 },
  ]);
  const columns = async (relation: string) =>
    (await duck.rows(`DESCRIBE SELECT * FROM ${relation}`)).map((column) => String(column['column_name']));
  for (const name of ['events', 'visits', 'unsubscribes'] as const) {
    const { fields } = await world.analyst.query(`SELECT * FROM analytics.${name} LIMIT 0`);
    const expected = fields.map((field) => field.name).concat('day');
    expect((await columns(table(name))).toSorted(), name).toEqual(expected.toSorted());
  }
  // Nobody's address is in the export, unless it was asked for.
  expect(await columns(`read_parquet('${directory}/recipients/*.parquet')`)).not.toContain('email');
});

test('the documented queries run', async () => {
  const directory = await temporaryDirectory();
  await world.exportTo(directory);
  const duck = await openDuck(directory);
  const [, ...examples] = await documentedSql();
  expect(examples.length).toBeGreaterThan(1);
  for (const sql of examples) expect((await duck.rows(sql)).length, sql).toBeGreaterThan(0);
});

test('an export has one filter, which later exports need not repeat', async () => {
  const directory = await temporaryDirectory();
  expect(
    (
      await run(
        '--to',
        directory,
        '--kind',
        'click',
        '--verdict',
        'human,unsure',
        '--campaign',
        'spring',
        '--from',
        '2026-10-02',
        '--with-addresses',
      )
    ).code,
  ).toBe(0);
  const duck = await openDuck(directory);
  const [counted] = await duck.rows(
    `SELECT count(*) AS n, count(*) FILTER (kind = 'click' AND verdict IN ('human', 'unsure') AND campaign_id = 1 AND day = '2026-10-02') AS good FROM events`,
  );
  expect(counted?.['n']).toBe(counted?.['good']);
  const { rows } = await world.analyst.query<{ n: number }>(
    `SELECT count(*) AS n FROM analytics.events WHERE kind = 'click' AND verdict IN ('human', 'unsure') AND campaign_id = 1 AND at >= '2026-10-02Z'`,
  );
  expect(counted?.['n']).toBe(rows[0]?.n);
  expect(await duck.rows(`SELECT count(email) AS n FROM read_parquet('${directory}/recipients/*.parquet')`)).toEqual([{ n: 100 }]);
  expect(await run('--to', directory)).toMatchObject({ code: 0, stderr: expect.stringContaining('0 new rows') });
  expect(await run('--to', directory, '--verdict', 'any')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(
      'was begun with verdicts ["human","unsure"], not null: leave the option out, or export to another place',
    ),
  });
});

test('wrong options have messages that say what to do', async () => {
  const directory = await temporaryDirectory();
  for (const [args, message] of [
    [['--kind', 'clicks'], "--kind: 'clicks' is none of click, open"],
    [['--verdict', 'people'], "--verdict: 'people' is none of human, unsure"],
    [['--campaign', 'summer'], "campaign 'summer' does not exist"],
    [['--from', 'yesterdayish'], 'is not a day or a time'],
  ] as const)
    expect(await run('--to', directory, ...args)).toMatchObject({ code: 1, stderr: expect.stringContaining(message) });
});

test('a directory that is damaged or of something else is refused', async () => {
  const directory = await temporaryDirectory();
  await world.exportTo(directory);
  const manifest = await manifestOf(directory);
  const path = join(directory, 'manifest.json');
  const text = await readFile(path, 'utf8');
  const refused = async (message: string) =>
    expect(await run('--to', directory)).toMatchObject({ code: 1, stderr: expect.stringContaining(message) });
  for (const [changed, message] of [
    [text.slice(0, -20), 'is not JSON: restore it'],
    ['{"name":"x"}', 'is not the manifest of an export'],
    [text.replace('"version": 1', '"version": 9'), 'update clickledger'],
    [text.replace('"sequence": ', '"sequence": -'), 'is damaged (sequence'],
    [text.replace(manifest.shards, 'x'), 'the export of another installation'],
  ] as const) {
    await writeFile(path, changed);
    await refused(message);
  }
  await writeFile(path, text);
  const first = join(directory, manifest.files.find(({ rows }) => rows > 0)?.path ?? '');
  await truncate(first, 10);
  await refused('lacks 1 of');
  await rm(first);
  await refused('lacks 1 of');
});

test('--follow exports what is new until it is stopped, and locks the directory', async () => {
  const directory = await temporaryDirectory();
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL('../../cli/main.ts', import.meta.url)), 'export', '--to', directory, '--follow', '--every', '1', '--wait', '0'],
    {
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...compileCache(), ...environment() },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const rows = async (): Promise<number> =>
    (await manifestOf(directory).catch(() => undefined))?.files
      .filter(({ table }) => table === 'events')
      .reduce((sum, file) => sum + file.rows, 0) ?? 0;
  await eventually('the hits are exported', async () => (await rows()) === HITS);
  expect(await run('--to', directory)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`another export writes to ${directory} (process ${child.pid})`),
  });
  await world.clicksAt('b', 0, 2);
  await eventually('later clicks are exported', async () => (await rows()) === HITS + 2);
  child.kill('SIGTERM');
  expect((await once(child, 'close'))[0], output).toBe(0);
  expect(await run('--to', directory)).toMatchObject({ code: 0, stderr: expect.stringContaining('0 new rows') });
});

test('small files of a day that is over become one, and old files go later', async () => {
  const directory = await temporaryDirectory();
  for (let i = 0; i < 4; i++) {
    await world.databases.query(
      'a',
      `INSERT INTO shard.site_event (at, off, gen, rid, kind, site_id, name, recipient_id, link_id, campaign_id, agent_id, rules, verdict, value, currency, properties, dropped)
       VALUES (to_timestamp(${(START + 40 * DAY_MS) / 1000}), $1, md5('clicks of a')::uuid, gen_random_uuid(), 'goal', 1, 'order', 7, 1, 1, 3, 6, 'human', $2, 'EUR', '{"a":"ü"}', 0)`,
      [i * 600 + 1, `-1${i}.000001`],
    );
    await world.clicksAt('a', 2 * i, 2 * i + 2);
    await world.exportTo(directory);
  }
  const before = await manifestOf(directory);
  const duck = await openDuck(directory);
  const read = async (of: typeof duck): Promise<unknown[]> => [
    await of.rows('SELECT * FROM events ORDER BY ALL'),
    await of.rows('SELECT * FROM goals ORDER BY ALL'),
    await of.rows(CHANGES),
  ];
  const expected = await read(duck);
  expect((await duck.rows(CHANGES)).length).toBeGreaterThan(3);

  const target = await world.open(await openDirectory(directory));
  await compact(target, new Date(Date.now() + 2 * DAY_MS));
  const after = await manifestOf(directory);
  const filesOf = ({ files }: typeof before, table: string) =>
    files.filter((file) => file.table === table && file.day === '2026-11-10' && file.shard === 'a');
  for (const table of ['events', 'goals', 'verdict_changes']) {
    expect(filesOf(before, table).length, table).toBeGreaterThan(1);
    expect(filesOf(after, table).length, table).toBe(1);
    expect(filesOf(after, table)[0]?.rows).toBe(filesOf(before, table).reduce((sum, { rows }) => sum + rows, 0));
  }
  expect(after.ledger).toEqual(before.ledger);
  const merged = await openDuck(directory);
  expect(await read(merged)).toEqual(expected);
  // A query that began before still finds the old files.
  expect(await read(duck)).toEqual(expected);

  const later = await openExport({
    storage: await openDirectory(directory),
    shards: world.databases.shards.fingerprint,
    wanted: { kinds: undefined, campaigns: undefined, verdicts: undefined, from: undefined, with_addresses: undefined },
    allKinds: [],
    now: () => new Date(Date.now() + DAY_MS),
  });
  await later.removeReplaced();
  const left = await manifestOf(directory);
  expect(left.replaced).toEqual([]);
  const parquet = [...(await (await openDirectory(directory)).list()).keys()].filter((path) => path.endsWith('.parquet'));
  expect(parquet.toSorted()).toEqual(left.files.map(({ path }) => path).toSorted());
});
