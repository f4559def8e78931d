-- What a shard shows analysts, summed and counted here, so that events do not travel for a count. The catalog's schema
-- `analytics` puts the shards together: all events of a recipient are on one shard, so counts of recipients add up exactly.
CREATE SCHEMA shard_analytics;

CREATE VIEW shard_analytics.events AS
  SELECT (SELECT name FROM shard.identity) AS shard, at, kind::text AS kind, campaign_id, link_id, link_version, nullif(recipient_id, 0) AS recipient_id,
         visitor, country, net, referrer, client, version AS client_version, system, device,
         verdict::text AS verdict, coalesce(signals, '{}') AS signals, rules, rid AS request_id, gen, off
  FROM shard.event LEFT JOIN shard.user_agent ON user_agent.id = agent_id;

CREATE VIEW shard_analytics.activity_15m AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, link_id, date_bin('15 minutes', at, '2000-01-01 00:00+00') AS quarter,
         kind::text AS kind, verdict::text AS verdict, count(*) AS hits
  FROM shard.event GROUP BY campaign_id, link_id, quarter, kind, verdict;

CREATE VIEW shard_analytics.activity AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, link_id, recipient_id, kind::text AS kind, min(at) AS first_at, max(at) AS last_at,
         count(*) FILTER (WHERE verdict = 'human') AS human_hits, count(*) FILTER (WHERE verdict <> 'human') AS machine_hits
  FROM shard.event WHERE recipient_id <> 0 GROUP BY campaign_id, link_id, recipient_id, kind;

CREATE VIEW shard_analytics.campaign_totals AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, kind::text AS kind,
         count(*) AS hits, count(*) FILTER (WHERE verdict = 'human') AS human_hits,
         count(DISTINCT nullif(recipient_id, 0)) AS recipients,
         count(DISTINCT nullif(recipient_id, 0)) FILTER (WHERE verdict = 'human') AS human_recipients
  FROM shard.event GROUP BY campaign_id, kind;

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
