import { RULES_VERSION } from '../core/rules.ts';
import type { BenchSystem } from './system.ts';

// Fills the databases with the rows of five years, in the real schema. SQL makes the rows, so they take minutes instead of five years.

const YEARS = 5;
const MONTHS = YEARS * 12;
/** Two campaigns a day. */
const CAMPAIGNS = 2 * 365 * YEARS;
const EVENTS_PER_MONTH = 20_000;
const RECIPIENTS = 100_000;
/** A campaign has a row of shard.people for each of its values and each chunk of recipients, here ten chunks with fifteen values. */
const SETS_PER_CAMPAIGN = 150;

/**
 * Adds generations to the ledger of each shard until it has `generations`, as if they were written over five years. One in a thousand has three
 * ranges, because some of its bytes are missing on this shard. The last ten still grow.
 */
export async function fillLedger({ query }: BenchSystem, shards: readonly string[], generations: number): Promise<void> {
  for (const shard of shards) {
    await query(
      shard,
      `INSERT INTO shard.ledger (gen, committed, size, first_at, last_at)
       SELECT md5(n::text)::uuid,
              CASE WHEN n % 1000 = 500 THEN '{[0,1000),[2000,3000),[4000,268435456)}' ELSE '{[0,268435456)}' END::int8multirange,
              CASE WHEN n <= $1::int - 10 THEN 268435456 END, written, written + interval '1 hour'
       FROM (SELECT n, now() - interval '2 hours' - ($1::int - n) * (interval '${YEARS} years' / $1::int) AS written FROM generate_series(1, $1::int) AS n) AS log
       ON CONFLICT (gen) DO UPDATE SET size = excluded.size, first_at = excluded.first_at, last_at = excluded.last_at`,
      [generations],
    );
  }
  // The first shard counts the lines that are no hits.
  await query(
    shards[0] as string,
    `INSERT INTO shard.skipped SELECT md5(n::text)::uuid, reason, 100 FROM generate_series(1, $1::int) AS n, unnest(ARRAY['not-tracking', 'not-served']) AS reason
     ON CONFLICT DO NOTHING`,
    [generations],
  );
  for (const shard of shards) {
    await query(shard, 'VACUUM (FULL, ANALYZE) shard.ledger');
    // VACUUM FULL does not write the visibility map. Without this map, Postgres reads the table for each row that it finds in an index.
    await query(shard, 'VACUUM shard.ledger');
  }
  await query(shards[0] as string, 'VACUUM (FULL, ANALYZE) shard.skipped');
}

/** Adds the campaigns, counts, sets and events of five years. */
export async function fillCounts({ query }: BenchSystem, shards: readonly string[]): Promise<void> {
  await query(
    'catalog',
    `INSERT INTO catalog.campaign (name, created_at, sent_at)
     SELECT 'letter ' || n, sent, sent FROM (SELECT n, now() - ($1::int - n) * interval '12 hours' AS sent FROM generate_series(2, $1::int) AS n) AS letter`,
    [CAMPAIGNS],
  );
  for (const shard of shards) {
    await query(
      shard,
      `INSERT INTO shard.people (campaign_id, facet, value, link_id, kind, chunk, hits, human_hits, few, human_few)
       SELECT c, CASE WHEN v = 0 THEN 'all' WHEN v <= 10 THEN 'link' ELSE 'country' END::shard.facet, CASE WHEN v > 10 THEN v::text ELSE '' END,
              CASE WHEN v BETWEEN 1 AND 10 THEN v ELSE 0 END, 'click', chunk, 20, 10, people, people[:10]
       FROM generate_series(2, ${CAMPAIGNS}) AS c, generate_series(0, ${SETS_PER_CAMPAIGN / 10 - 1}) AS v, generate_series(0, 9) AS chunk,
            (SELECT array_agg(p * 700) AS people FROM generate_series(0, 19) AS p) AS few`,
    );
    await query(
      shard,
      `INSERT INTO shard.hit_count (campaign_id, chunk, few)
       SELECT c, chunk, few FROM generate_series(2, ${CAMPAIGNS}) AS c, generate_series(0, 39) AS chunk,
         (SELECT array_agg(p * 20) AS few FROM generate_series(0, 49) AS p) AS counters`,
    );
    await query(
      shard,
      `INSERT INTO shard.activity_15m (campaign_id, link_id, quarter, kind, verdict, hits)
       SELECT c, link, shard.quarter_of(now() - (${CAMPAIGNS} - c) * interval '12 hours' + q * interval '15 minutes'), 'click', verdict, 5
       FROM generate_series(2, ${CAMPAIGNS}) AS c, generate_series(1, 10) AS link, generate_series(0, 19) AS q, unnest('{human,bot-ua}'::shard.verdict[]) AS verdict`,
    );
    await query(shard, `INSERT INTO shard.user_agent SELECT n, 'Chrome', n::text, 'Windows', 'desktop' FROM generate_series(1, 5000) AS n`);
    await query(
      shard,
      `INSERT INTO shard.outside_value SELECT 'referrer', c, 'site-' || n || '.example', current_date FROM generate_series(2, ${CAMPAIGNS}) AS c, generate_series(1, 20) AS n`,
    );
    await query(shard, `SELECT shard.ensure_month(now() - make_interval(months => n)) FROM generate_series(1, ${MONTHS}) AS n`);
    for (let month = 1; month <= MONTHS; month++) await fillMonth(query, shard, month);
    await query(shard, 'VACUUM ANALYZE');
  }
  await query('catalog', 'VACUUM ANALYZE');
}

async function fillMonth(query: BenchSystem['query'], shard: string, monthsAgo: number): Promise<void> {
  await query(
    shard,
    `INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, visitor, agent_id, link_version, rules, kind, verdict, country)
     SELECT date_trunc('month', now()) - make_interval(months => $1::int) + n * interval '40 seconds', (n % 1000) * 300, md5(($1::int * 100 + n / 1000)::text)::uuid, gen_random_uuid(),
            1 + floor(random() * ${RECIPIENTS})::bigint, 1 + n % 10, ${CAMPAIGNS} - $1::int * 60 + n % 60, n, 1 + n % 20, 1, ${RULES_VERSION}, 'click', 'human', 'DE'
     FROM generate_series(1, ${EVENTS_PER_MONTH}) AS n`,
    [monthsAgo],
  );
}
