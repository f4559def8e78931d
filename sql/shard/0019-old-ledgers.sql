-- What is asked often must not read the whole ledger, which has a row for each log of all years.

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
