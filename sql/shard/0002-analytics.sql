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

-- Ends what the analyst has run for longer than `longest`, and returns the number of its transactions that were over it. It cancels a query
-- first. It ends the session of a transaction that is idle, or that goes on 10 seconds after it should have been cancelled, because a query
-- can catch that. Workers call it again and again: a role may change its own `statement_timeout`, so that is no limit. It sees all databases
-- of the server.
CREATE FUNCTION shard.end_long_queries(longest interval) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT count(CASE WHEN state = 'active' AND xact_start > clock_timestamp() - longest - interval '10 seconds' THEN pg_cancel_backend(pid) ELSE pg_terminate_backend(pid) END)
  FROM pg_stat_activity
  WHERE usename = 'clickledger_analyst' AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND xact_start < clock_timestamp() - longest
$$;
REVOKE EXECUTE ON FUNCTION shard.end_long_queries FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.end_long_queries TO clickledger_worker;
