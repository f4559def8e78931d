import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { readReport } from '../../reporting/report-file.ts';
import { runReport } from '../../reporting/run-report.ts';
import { compileCache } from '../../stack/process.ts';
import { peakMemory } from '../chaos/world.ts';
import { createExportWorld } from '../export/world.ts';
import { openDuck } from '../support/duckdb.ts';
import { toRows } from '../support/results.ts';
import { temporaryDirectory } from '../support/servers.ts';
import { FULL } from './setup.ts';

// Exports many events with the command, and compares what DuckDB counts in the Parquet files with the reports.

const SHARDS = 2;
const EVENTS = FULL ? 10_000_000 : 40_000;
const PEOPLE = FULL ? 500_000 : 4_000;
const DAYS = FULL ? 10 : 4;
const MAX_MIB = 250;
const MIB = 1024 * 1024;

const HITS = `count(*) AS hits, count(*) FILTER (WHERE verdict = 'human') AS human_hits, count(*) FILTER (WHERE verdict <> 'human') AS machine_hits`;
const PEOPLE_OF = `count(DISTINCT recipient_id) AS recipients, count(DISTINCT recipient_id) FILTER (WHERE verdict = 'human') AS human_recipients`;
const facet = (column: string, kind: string): string =>
  `SELECT campaign_id, coalesce(${column}, 'unknown') AS "${column}", ${HITS}, ${PEOPLE_OF} FROM events WHERE campaign_id = 1 AND kind = '${kind}' GROUP BY ALL`;
const byHour = (kind: string): string =>
  `SELECT strftime(time_bucket(INTERVAL '1 hour', "at"), '%Y-%m-%d %H:%M') AS hour, ${HITS} FROM events WHERE campaign_id = 1 AND kind = '${kind}' GROUP BY ALL`;

/** For each report, the columns that are compared, and the same question to DuckDB. */
const QUESTIONS: Readonly<Record<string, { columns: readonly string[]; sql: string; values?: Record<string, string> }>> = {
  'campaign-summary': {
    columns: ['kind', 'hits', 'human_hits', 'machine_hits', 'unsure_hits', 'recipients', 'human_recipients'],
    sql: `WITH both_kinds AS (
            SELECT 'click' AS counts_as, * FROM events WHERE campaign_id = 1 AND kind = 'click' UNION ALL
            SELECT 'open', * FROM events WHERE campaign_id = 1)
          SELECT counts_as AS kind, count(*) FILTER (WHERE kind = counts_as) AS hits, count(*) FILTER (WHERE kind = counts_as AND verdict = 'human') AS human_hits,
                 count(*) FILTER (WHERE kind = counts_as AND verdict NOT IN ('human', 'unsure')) AS machine_hits,
                 count(*) FILTER (WHERE kind = counts_as AND verdict = 'unsure') AS unsure_hits, ${PEOPLE_OF}
          FROM both_kinds GROUP BY counts_as`,
  },
  'clicks-by-link': {
    columns: ['campaign_id', 'link_id', 'target', 'hits', 'human_hits', 'machine_hits', 'recipients', 'human_recipients'],
    sql: `SELECT campaign_id, link_id, target, ${HITS}, ${PEOPLE_OF} FROM events JOIN links USING (campaign_id, link_id)
          WHERE campaign_id = 1 AND events.kind = 'click' GROUP BY ALL`,
  },
  'clicks-by-hour': { columns: ['hour', 'hits', 'human_hits', 'machine_hits'], sql: byHour('click') },
  'opens-by-hour': { columns: ['hour', 'hits', 'human_hits', 'machine_hits'], sql: byHour('open') },
  devices: { columns: ['device', 'hits', 'human_hits', 'machine_hits', 'recipients', 'human_recipients'], sql: facet('device', 'click') },
  countries: {
    columns: ['country', 'hits', 'human_hits', 'machine_hits', 'recipients', 'human_recipients'],
    sql: facet('country', 'open'),
    values: { kind: 'open' },
  },
  'machine-traffic': {
    columns: ['campaign_id', 'kind', 'verdict', 'network', 'hits', 'recipients'],
    sql: `SELECT campaign_id, kind, verdict, coalesce(net, 'unknown') AS network, count(*) AS hits, count(DISTINCT recipient_id) AS recipients
          FROM events WHERE verdict <> 'human' AND campaign_id = 1 GROUP BY ALL`,
  },
};

type Row = Record<string, unknown>;
const sorted = (rows: readonly Row[], columns: readonly string[]): string[] =>
  rows.map((row) => JSON.stringify(columns.map((name) => row[name]))).toSorted();

test('DuckDB counts in the files what the reports count, with bounded memory', { timeout: 3_600_000 }, async () => {
  const world = await createExportWorld(SHARDS, PEOPLE);
  onTestFinished(() => world.close());
  const { databases } = world;
  await world.generate({ count: EVENTS / SHARDS, people: PEOPLE, days: DAYS });
  // Five different links of one person within a second are a burst. Two of these clicks come later, so the judge changes the first three.
  await world.clicksAt('b', 0, 3);
  const directory = await temporaryDirectory();

  const startedMs = performance.now();
  const { peakMib, rows, bytes } = await runCommand(['--to', directory, '--wait', '0'], databases);
  const seconds = (performance.now() - startedMs) / 1000;
  expect(rows).toBe(EVENTS + 3);
  if (FULL) expect(peakMib).toBeLessThan(MAX_MIB);
  await world.clicksAt('b', 3, 5);
  expect((await runCommand(['--to', directory, '--wait', '0'], databases)).rows).toBe(5);

  const [size] = await databases.query<{ bytes: string }>(
    'a',
    `SELECT sum(pg_total_relation_size(relid)) AS bytes FROM pg_partition_tree('shard.event')`,
  );
  const notes = [
    `${EVENTS.toLocaleString('en')} events: ${seconds.toFixed(1)} s, ${Math.round(rows / seconds).toLocaleString('en')} rows/s, peak ${peakMib} MiB`,
    `bytes per row: Postgres ${((Number(size?.bytes) * SHARDS) / EVENTS).toFixed(0)}, Parquet ${(bytes / EVENTS).toFixed(1)}`,
  ];
  const duck = await openDuck(directory);
  expect(await duck.rows(`SELECT count(*) AS n, count(DISTINCT (gen, off)) AS different FROM events`)).toEqual([
    { n: EVENTS + 5, different: EVENTS + 5 },
  ]);
  expect(await duck.rows(`SELECT verdict, count(*) AS n FROM events WHERE verdict = 'burst' GROUP BY 1`)).toEqual([
    { verdict: 'burst', n: 5 },
  ]);
  for (const [name, { columns, sql, values = {} }] of Object.entries(QUESTIONS)) {
    const reportMs = performance.now();
    const report = toRows(
      await runReport(world.analyst, await readReport(name), { campaign: '1', ...values }, { timeoutSeconds: 600, zone: 'UTC' }),
    );
    const duckMs = performance.now();
    const counted = await duck.rows(sql);
    notes.push(`${name}: report ${Math.round(duckMs - reportMs)} ms, DuckDB ${Math.round(performance.now() - duckMs)} ms`);
    // The report has a row for each hour, and for each link.
    expect(sorted(counted, columns), name).toEqual(
      sorted(
        report.filter(({ hits }) => hits !== 0),
        columns,
      ),
    );
    expect(counted.length, name).toBeGreaterThan(1);
  }
  process.stdout.write(`${notes.map((line) => `   ${line}`).join('\n')}\n`);
});

/** Runs `clickledger export` in a process of its own, and returns its result and its peak of resident memory. */
async function runCommand(
  args: readonly string[],
  databases: { roleUrls: { analyst: string }; shardsText: string },
): Promise<{ peakMib: number; rows: number; bytes: number }> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('../../cli/main.ts', import.meta.url)), '--json', 'export', ...args], {
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      ...compileCache(),
      ANALYST_URL: databases.roleUrls.analyst,
      SHARDS: databases.shardsText,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let peak = 0;
  const timer = setInterval(() => void peakMemory(child.pid as number).then((bytes) => (peak = Math.max(peak, bytes))), 50);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  const [code] = (await once(child, 'close')) as [number];
  clearInterval(timer);
  expect(code).toBe(0);
  const { rows, bytes } = JSON.parse(text) as { rows: number; bytes: number };
  return { peakMib: Math.round(peak / MIB), rows, bytes };
}
