-- What a shard has to know of recipients, the same on every shard. Only those stand here of whom there is something to know.
-- `clickledger migrate` makes catalog and shards agree again after one of them was put back from a backup.
CREATE TABLE shard.recipient (
  recipient_id bigint PRIMARY KEY,
  is_test      boolean NOT NULL DEFAULT false,
  -- A tombstone: who was forgotten stays forgotten, even if the catalog is put back to a time before.
  forgotten    boolean NOT NULL DEFAULT false
);
CREATE INDEX recipient_test ON shard.recipient (recipient_id) WHERE is_test;

GRANT USAGE ON SCHEMA shard TO clickledger_author;
GRANT SELECT, INSERT, UPDATE ON shard.recipient TO clickledger_author;

-- The events that are counted: all but those of test recipients.
CREATE VIEW shard.counted AS
  SELECT * FROM shard.event WHERE NOT EXISTS (SELECT FROM shard.recipient r WHERE r.is_test AND r.recipient_id = event.recipient_id);

CREATE OR REPLACE VIEW shard_analytics.events AS
  SELECT (SELECT name FROM shard.identity) AS shard, at, kind::text AS kind, campaign_id, link_id, link_version, nullif(recipient_id, 0) AS recipient_id,
         visitor, country, net, referrer, client, version AS client_version, system, device,
         verdict::text AS verdict, coalesce(signals, '{}') AS signals, rules, rid AS request_id, gen, off
  FROM shard.counted LEFT JOIN shard.user_agent ON user_agent.id = agent_id;

CREATE OR REPLACE VIEW shard_analytics.activity_15m AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, link_id, date_bin('15 minutes', at, '2000-01-01 00:00+00') AS quarter,
         kind::text AS kind, verdict::text AS verdict, count(*) AS hits
  FROM shard.counted GROUP BY campaign_id, link_id, quarter, kind, verdict;

CREATE OR REPLACE VIEW shard_analytics.activity AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, link_id, recipient_id, kind::text AS kind, min(at) AS first_at, max(at) AS last_at,
         count(*) FILTER (WHERE verdict = 'human') AS human_hits, count(*) FILTER (WHERE verdict <> 'human') AS machine_hits
  FROM shard.counted WHERE recipient_id <> 0 GROUP BY campaign_id, link_id, recipient_id, kind;

CREATE OR REPLACE VIEW shard_analytics.campaign_totals AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, kind::text AS kind,
         count(*) AS hits, count(*) FILTER (WHERE verdict = 'human') AS human_hits,
         count(DISTINCT nullif(recipient_id, 0)) AS recipients,
         count(DISTINCT nullif(recipient_id, 0)) FILTER (WHERE verdict = 'human') AS human_recipients
  FROM shard.counted GROUP BY campaign_id, kind;
