-- The recipients who are or were test recipients, and the forgotten recipients. Every shard has the same rows. If the catalog or a shard
-- was restored from a backup, `clickledger migrate` makes the rows equal again.
CREATE TABLE shard.recipient (
  recipient_id bigint PRIMARY KEY,
  is_test      boolean NOT NULL DEFAULT false,
  -- Because of this column, a forgotten recipient stays forgotten even if the catalog is restored from an older backup.
  forgotten    boolean NOT NULL DEFAULT false
);
CREATE INDEX recipient_test ON shard.recipient (recipient_id) WHERE is_test;

GRANT USAGE ON SCHEMA shard TO clickledger_author;
GRANT SELECT, INSERT, UPDATE ON shard.recipient TO clickledger_author;

-- The events that are counted: all events except those of test recipients. Each kind of hit is one branch of the UNION, with a constant
-- kind. So a query for one kind reads only one branch and does not compare the kind of every row. The planner can also estimate the number
-- of rows better.
CREATE VIEW shard.counted AS
  SELECT 'click' AS kind, at, off, gen, rid, recipient_id, link_id, campaign_id, visitor, agent_id, link_version, rules, verdict, country, net, referrer, signals
  FROM shard.event WHERE kind = 'click' AND recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test)
  UNION ALL
  SELECT 'open', at, off, gen, rid, recipient_id, link_id, campaign_id, visitor, agent_id, link_version, rules, verdict, country, net, referrer, signals
  FROM shard.event WHERE kind = 'open' AND recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test);

-- Hits of shared links are in a separate branch, so that Postgres can use the index to find the hits of one recipient.
CREATE VIEW shard_analytics.events AS
  SELECT (SELECT name FROM shard.identity) AS shard, at, kind, campaign_id, link_id, link_version, hit.recipient_id, visitor, country, net, referrer, client,
         version AS client_version, system, device, verdict::text AS verdict, coalesce(signals, '{}') AS signals, rules, rid AS request_id, gen, off
  FROM (SELECT * FROM shard.counted WHERE recipient_id <> 0
        UNION ALL
        SELECT kind, at, off, gen, rid, NULL, link_id, campaign_id, visitor, agent_id, link_version, rules, verdict, country, net, referrer, signals
        FROM shard.counted WHERE recipient_id = 0) AS hit
  LEFT JOIN shard.user_agent ON user_agent.id = agent_id;

GRANT SELECT ON shard_analytics.events TO clickledger_analyst;
