-- What is asked often must read neither the whole ledger, which has a row for each log of all years, nor the sets of all campaigns.

-- The forwarder asks twice a second which generations changed (shard.feed_state), and each page asks for the last commit (analytics.reach).
CREATE INDEX ledger_by_last_commit ON shard.ledger (last_at);
CREATE INDEX ledger_by_first_commit ON shard.ledger (first_at);

-- A generation is complete when all its bytes are committed on this shard. Almost all old generations are complete.
CREATE INDEX ledger_complete ON shard.ledger (gen) INCLUDE (size) WHERE size IS NOT NULL AND committed = int8multirange(int8range(0, size));
CREATE INDEX ledger_incomplete ON shard.ledger (gen) WHERE (size IS NOT NULL AND committed = int8multirange(int8range(0, size))) IS NOT TRUE;

-- The generations that are not complete on this shard, with the same columns as shard_analytics.ledger.
CREATE VIEW shard_analytics.ledger_incomplete AS
  SELECT (SELECT name FROM shard.identity) AS shard, gen, size,
         (SELECT coalesce(sum(upper(r) - lower(r)), 0)::bigint FROM unnest(committed) r) AS committed_bytes,
         coalesce(upper(committed), 0) AS committed_to,
         (SELECT count(*) FROM unnest(int8multirange(int8range(0, greatest(size, coalesce(upper(committed), 0)))) - committed)) AS holes,
         first_at, last_at
  FROM shard.ledger WHERE (size IS NOT NULL AND committed = int8multirange(int8range(0, size))) IS NOT TRUE;

-- One row about the complete generations. If two shards have the same number, hash and bytes, they have the same complete generations. The hash is the sum
-- of 64 bits for each generation.
CREATE VIEW shard_analytics.ledger_complete AS
  SELECT (SELECT name FROM shard.identity) AS shard, c.generations, c.hash, c.bytes,
         (SELECT max(first_at) FROM shard.ledger) AS first_at, (SELECT max(last_at) FROM shard.ledger) AS last_at
  FROM (SELECT count(*) AS generations, coalesce(sum(uuid_hash_extended(gen, 0)), 0) AS hash, coalesce(sum(size), 0) AS bytes
        FROM shard.ledger WHERE size IS NOT NULL AND committed = int8multirange(int8range(0, size))) AS c;
GRANT SELECT ON shard_analytics.ledger_incomplete, shard_analytics.ledger_complete TO clickledger_analyst;

-- The planner does not know the time when it plans the function, so without the setting it reads the whole ledger.
ALTER FUNCTION shard.feed_state(timestamptz) SET enable_seqscan = off;

-- shard.people_now joins sets and deltas completely (FULL JOIN), and Postgres pushes a condition such as campaign_id = ANY (…) into no such join. So the
-- totals of some campaigns read the sets of all campaigns. Here the condition reaches both parts.
CREATE VIEW shard.delta_total AS
  SELECT campaign_id, kind, recipient_id / 15000 AS chunk, count(*) AS hits, count(*) FILTER (WHERE is_human) AS human_hits,
         array_agg((recipient_id % 15000)::integer) FILTER (WHERE recipient_id <> 0) AS few,
         array_agg((recipient_id % 15000)::integer) FILTER (WHERE recipient_id <> 0 AND is_human) AS human_few
  FROM shard.delta_fact WHERE facet = 'all' GROUP BY 1, 2, 3;

CREATE VIEW shard.total_now AS
  SELECT p.campaign_id, p.kind, p.chunk, p.hits + coalesce(d.hits, 0) AS hits, p.human_hits + coalesce(d.human_hits, 0) AS human_hits,
         p.few || d.few AS few, p.bits, p.human_few || d.human_few AS human_few, p.human_bits
  FROM shard.people p LEFT JOIN shard.delta_total d USING (campaign_id, kind, chunk) WHERE p.facet = 'all'
  UNION ALL
  SELECT d.campaign_id, d.kind, d.chunk, d.hits, d.human_hits, d.few, NULL, d.human_few, NULL
  FROM shard.delta_total d
  WHERE NOT EXISTS (SELECT FROM shard.people p WHERE p.facet = 'all' AND (p.campaign_id, p.kind, p.chunk) = (d.campaign_id, d.kind, d.chunk));

CREATE OR REPLACE VIEW shard.opened AS
  SELECT campaign_id, chunk, max(few) FILTER (WHERE kind = 'open') || max(few) FILTER (WHERE kind = 'click') AS few, bit_or(bits)::bit varying AS bits,
         max(human_few) FILTER (WHERE kind = 'open') || max(human_few) FILTER (WHERE kind = 'click') AS human_few, bit_or(human_bits)::bit varying AS human_bits
  FROM shard.total_now GROUP BY campaign_id, chunk;

CREATE OR REPLACE VIEW shard_analytics.campaign_totals AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, kind::text AS kind, sum(hits)::bigint AS hits, sum(human_hits)::bigint AS human_hits,
         sum(recipients)::bigint AS recipients, sum(human_recipients)::bigint AS human_recipients
  FROM (SELECT campaign_id, kind, hits, human_hits, CASE kind WHEN 'click' THEN shard.size(few, bits) ELSE 0 END AS recipients,
               CASE kind WHEN 'click' THEN shard.size(human_few, human_bits) ELSE 0 END AS human_recipients
        FROM shard.total_now
        UNION ALL
        SELECT campaign_id, 'open', 0, 0, shard.size(few, bits), shard.size(human_few, human_bits) FROM shard.opened) AS both_of_them
  GROUP BY campaign_id, kind HAVING sum(hits) <> 0 OR sum(recipients) <> 0;
