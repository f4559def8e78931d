-- The views of a shard for analysts. The views count on the shard, so that a count transfers no events. The views in the schema `analytics`
-- of the catalog add up the counts of the shards. All events of a recipient are on one shard, so counts of recipients add up exactly.
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

-- Ends transactions of the analyst that run for longer than `longest`, and returns their number. If a transaction runs a query, the query
-- is cancelled. A query can catch the cancellation, so the session is ended if the transaction still runs 10 seconds later. If a
-- transaction is idle, its session is ended at once. Workers call this function repeatedly. `statement_timeout` cannot be the limit,
-- because a role may change its own `statement_timeout`. The function sees the transactions in all databases of the server.
CREATE FUNCTION shard.end_long_queries(longest interval) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT count(CASE WHEN state = 'active' AND xact_start > clock_timestamp() - longest - interval '10 seconds' THEN pg_cancel_backend(pid) ELSE pg_terminate_backend(pid) END)
  FROM pg_stat_activity
  WHERE usename = 'clickledger_analyst' AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND xact_start < clock_timestamp() - longest
$$;
REVOKE EXECUTE ON FUNCTION shard.end_long_queries FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.end_long_queries TO clickledger_worker;
