import { fillIn, listReports } from '../reporting/report-file.ts';
import { createPool } from '../core/postgres.ts';
import { BURST, RULES_VERSION } from '../core/rules.ts';
import { type Bench, expectEqual, type Figure } from './figure.ts';
import { onStand, type Stand, targetOf } from './stand.ts';

// Every report of reports/ on one shard with ten million events: 500,000 people who click ten links and load the pixel, in a month.

const EVENTS = 10_000_000;
const PEOPLE = 500_000;
const STEP = 1_000_000;
const ROUNDS = 3;
/** What these views show is counted from single events. */
const RAW = /analytics\.(?:events|visitors|passed_on|first_human|facets|human_clicks|machine_traffic)/;

export const reportsBench: Bench = async ({ directory, say }) =>
  onStand({ directory, members: ['postgres'] }, async (stand): Promise<Figure[]> => {
    await fill(stand, say);
    const values: Record<string, string> = { campaign: '1', url: targetOf(1), recipient: 'reader.7@example.com' };
    const analyst = createPool(stand.system.env['ANALYST_URL'] ?? '', { max: 1, name: 'bench' });
    try {
      const figures: Figure[] = [];
      for (const report of await listReports()) {
        const known = Object.fromEntries(
          report.parameters.filter(({ name }) => name in values).map(({ name }) => [name, values[name] as string]),
        );
        const sql = fillIn(report, known);
        const ms: number[] = [];
        for (let round = 0; round < ROUNDS; round++) {
          const startedMs = performance.now();
          await analyst.query(sql);
          ms.push(performance.now() - startedMs);
        }
        // Nobody waits for the fastest: the slowest of them counts.
        const worst = Math.max(...ms);
        say(`   ${report.name}: ${Math.round(worst)} ms`);
        const raw = RAW.test(report.sql);
        figures.push({
          what: `report ${report.name}${raw ? ' (single events)' : ''}`,
          unit: 'ms',
          ours: worst,
          target: { atMost: raw ? 5000 : 1000 },
        });
      }
      return figures;
    } finally {
      await analyst.end();
    }
  });

/** Events as workers commit them, with their marks, and the judge's work on them; made inside the database, as a million lines a time. */
async function fill({ query }: Stand, say: (text: string) => void): Promise<void> {
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
    // Only those of this step have offsets from here on.
    await query(
      'a',
      `INSERT INTO shard.mark (at, recipient_id, link_id, campaign_id, kind, verdict) SELECT at, recipient_id, link_id, campaign_id, kind, verdict FROM shard.event WHERE off >= ${from}`,
    );
    const startedMs = performance.now();
    const [judged] = await query<{ n: string }>(
      'a',
      `SELECT shard.judge(${STEP}, ${RULES_VERSION}, make_interval(secs => ${BURST.spanMs / 1000}), ${BURST.differentLinks}) AS n`,
    );
    expectEqual('events that the judge took', Number(judged?.n), STEP);
    say(
      `   ${((from + STEP) / 1e6).toFixed(0)} million events; the judge took the last million in ${((performance.now() - startedMs) / 1000).toFixed(0)} s`,
    );
  }
  for (const where of ['a', 'catalog']) await query(where, 'VACUUM ANALYZE');
  const [counted] = await query<{ hits: string }>('catalog', 'SELECT sum(hits) AS hits FROM analytics.campaign_totals');
  expectEqual('hits in the rollups', Number(counted?.hits), EVENTS);
}
