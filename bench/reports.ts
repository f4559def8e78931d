import { fillIn, listReports } from '../reporting/report-file.ts';
import { runReport } from '../reporting/run-report.ts';
import { createPool, type Pool } from '../core/postgres.ts';
import { RULES_VERSION } from '../core/rules.ts';
import { parseShards, shardUrl } from '../core/shards.ts';
import { createDesk } from '../desk/app.ts';
import { appendDeltas } from '../test/support/deltas.ts';
import { judgeAll } from '../test/support/merge.ts';
import { type Bench, expectEqual, type Figure } from './figure.ts';
import { withBenchSystem, type BenchSystem, targetOf } from './system.ts';

// Runs every report of reports/ on one shard with ten million events of one month: 500,000 people click ten links and load the pixel.

const EVENTS = 10_000_000;
const PEOPLE = 500_000;
const STEP = 1_000_000;
const ROUNDS = 3;
/** The views that read single events. A report that reads one of these views counts single events instead of sets. */
const SINGLE_EVENT_VIEWS = /analytics\.(?:events|visitors|passed_on|first_human|first_hits|human_clicks|people_hits|people_first|activity)/;

export const reportsBench: Bench = async ({ directory, progress }) =>
  withBenchSystem({ directory, members: ['postgres'] }, async (benchSystem): Promise<Figure[]> => {
    const worker = createPool(
      shardUrl(parseShards(benchSystem.system.env['SHARDS'] ?? '').first, benchSystem.system.env['WORKER_URL'] ?? ''),
      { max: 1, name: 'bench' },
    );
    await insertEvents(benchSystem, worker, progress).finally(() => worker.end());
    const values: Record<string, string> = {
      campaign: '1',
      url: targetOf(1),
      recipient: 'reader.7@example.com',
      not_url: targetOf(2),
      since: '30 days ago',
    };
    const analyst = createPool(benchSystem.system.env['ANALYST_URL'] ?? '', { max: 1, name: 'bench' });
    try {
      const figures: Figure[] = [];
      for (const report of await listReports()) {
        const parameterValues = Object.fromEntries(
          report.parameters.filter(({ name }) => name in values).map(({ name }) => [name, values[name] as string]),
        );
        const durationsMs: number[] = [];
        for (let round = 0; round < ROUNDS; round++) {
          const startedMs = performance.now();
          await runReport(analyst, report, parameterValues, { timeoutSeconds: 600, zone: 'UTC' });
          durationsMs.push(performance.now() - startedMs);
        }
        // The slowest round counts, because it is the longest time that a user waits.
        const slowestMs = Math.max(...durationsMs);
        progress(`   ${report.name}: ${Math.round(slowestMs)} ms`);
        const readsEvents = fillIn(report, parameterValues).statements.some(({ text }) => SINGLE_EVENT_VIEWS.test(text));
        figures.push({
          what: `report ${report.name}${readsEvents ? ' (single events)' : ''}`,
          unit: 'ms',
          ours: slowestMs,
          target: { atMost: readsEvents ? 1000 : 300 },
        });
      }
      figures.push(...(await measurePages(analyst, progress)));
      return figures;
    } finally {
      await analyst.end();
    }
  });

/** Measures the server time of the pages of the desk. */
async function measurePages(pool: Pool, progress: (text: string) => void): Promise<Figure[]> {
  const app = createDesk({
    pool,
    host: '127.0.0.1',
    timeoutSeconds: 600,
    zone: 'UTC',
    refreshSeconds: 10,
    onError: (error) => progress(String(error)),
  });
  const figures: Figure[] = [];
  for (const [name, url] of Object.entries({
    overview: '/',
    campaign: '/campaign/1',
    link: '/campaign/1/link/1',
    people: '/campaign/1/people/clicked',
  })) {
    const durationsMs: number[] = [];
    for (let round = 0; round <= ROUNDS; round++) {
      const startedMs = performance.now();
      expectEqual(url, (await app.inject({ url })).statusCode, 200);
      // The first round compiles the code of the page.
      if (round > 0) durationsMs.push(performance.now() - startedMs);
    }
    const slowestMs = Math.max(...durationsMs);
    progress(`   page ${name}: ${Math.round(slowestMs)} ms`);
    figures.push({ what: `page ${name}`, unit: 'ms', ours: slowestMs, target: { atMost: 200 } });
  }
  await app.close();
  return figures;
}

/**
 * Generates events in the database, one million at a time. Appends their deltas as commits do, and runs the judge.
 */
async function insertEvents({ query }: BenchSystem, worker: Pool, progress: (text: string) => void): Promise<void> {
  await query(
    'catalog',
    `INSERT INTO catalog.recipient (email) SELECT 'reader.' || n || '@example.com' FROM generate_series(1, $1::int) n`,
    [PEOPLE],
  );
  await query('catalog', 'INSERT INTO catalog.mailing (campaign_id, recipient_id) SELECT 1, id FROM catalog.recipient');
  await query('catalog', `UPDATE catalog.campaign SET sent_at = date_trunc('month', now()) WHERE id = 1`);
  await query(
    'a',
    `INSERT INTO shard.user_agent SELECT n, (ARRAY['Chrome', 'Safari', 'Firefox', 'Outlook', 'Thunderbird'])[1 + n % 5], (100 + n)::text,
       (ARRAY['Windows', 'iOS', 'macOS', 'Android'])[1 + n % 4], (ARRAY['desktop', 'mobile', 'tablet'])[1 + n % 3] FROM generate_series(1, 20) n`,
  );
  for (let from = 0; from < EVENTS; from += STEP) {
    await query(
      'a',
      `INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, visitor, agent_id, link_version, rules, kind, verdict, country, referrer, signals)
       SELECT date_trunc('month', now()) + random() ^ 3 * 25 * interval '1 day', n, gen_random_uuid(), gen_random_uuid(), who, CASE WHEN n % 2 = 0 THEN 1 + (who + n / 2) % 10 ELSE 11 END, 1,
              who * 3 + n % 2, 1 + who % 20, 1, ${RULES_VERSION}, CASE WHEN n % 2 = 0 THEN 'click' ELSE 'open' END::shard.kind, CASE WHEN n % 7 = 0 THEN 'bot-ua' ELSE 'human' END::shard.verdict,
              (ARRAY['DE', 'FR', 'US', 'GB', 'IN', NULL])[1 + who % 6], CASE WHEN n % 3 = 0 THEN 'mail.example.org' END, CASE WHEN n % 7 = 0 THEN '{bot-ua}'::text[] END
       FROM (SELECT n, CASE WHEN n % 100 = 0 THEN 0 ELSE 1 + floor(random() * ${PEOPLE})::bigint END AS who FROM generate_series(${from}, ${from + STEP - 1}) n) hit`,
    );
    // Only the events of this step have offsets of at least `from`.
    await query('a', appendDeltas(`(SELECT * FROM shard.event WHERE off >= ${from}) AS new`));
    const startedMs = performance.now();
    expectEqual('events that the judge processed', await judgeAll(worker), STEP);
    progress(
      `   ${((from + STEP) / 1e6).toFixed(0)} million events; the judge processed the last million in ${((performance.now() - startedMs) / 1000).toFixed(0)} s`,
    );
  }
  for (const database of ['a', 'catalog']) await query(database, 'VACUUM ANALYZE');
  const [total] = await query<{ hits: string }>('catalog', 'SELECT sum(hits) AS hits FROM analytics.campaign_totals');
  expectEqual('hits in the views', Number(total?.hits), EVENTS);
}
