-- The views of a shard for analysts. They count on the shard, so that a count transfers no events. The schema `analytics` of the catalog
-- adds up the shards. All events of a recipient are on one shard, so counts of recipients add up exactly.
CREATE SCHEMA shard_analytics;

CREATE VIEW shard_analytics.ledger AS
  SELECT (SELECT name FROM shard.identity) AS shard, gen, size,
         (SELECT coalesce(sum(upper(r) - lower(r)), 0)::bigint FROM unnest(committed) r) AS committed_bytes,
         coalesce(upper(committed), 0) AS committed_to,
         (SELECT count(*) FROM unnest(int8multirange(int8range(0, greatest(size, coalesce(upper(committed), 0)))) - committed)) AS holes,
         first_at, last_at
  FROM shard.ledger;

CREATE VIEW shard_analytics.skipped AS
  SELECT (SELECT name FROM shard.identity) AS shard, gen, reason, lines FROM shard.skipped;

CREATE VIEW shard_analytics.dead_letters AS
  SELECT (SELECT name FROM shard.identity) AS shard, gen, off, reason, length, hash, at FROM shard.dead_letter;

GRANT USAGE ON SCHEMA shard_analytics TO clickledger_analyst;
GRANT SELECT ON ALL TABLES IN SCHEMA shard_analytics TO clickledger_analyst;
