-- Unsubscribes: requests by which a recipient asks for no more mail. They are stored in the same transaction as events and their range in
-- the ledger, so each one is stored once. They stay when months of events are dropped.
CREATE TABLE shard.unsubscribe (
  at           timestamptz NOT NULL,
  off          bigint NOT NULL,
  gen          uuid NOT NULL,
  rid          uuid NOT NULL,
  recipient_id bigint NOT NULL,
  link_id      bigint NOT NULL,
  campaign_id  bigint NOT NULL
);
CREATE INDEX unsubscribe_by_recipient ON shard.unsubscribe (recipient_id, at);
GRANT INSERT ON shard.unsubscribe TO clickledger_worker;

CREATE VIEW shard_analytics.unsubscribes AS
  SELECT (SELECT name FROM shard.identity) AS shard, at, campaign_id, link_id, recipient_id, rid AS request_id, gen, off FROM shard.unsubscribe;
GRANT SELECT ON shard_analytics.unsubscribes TO clickledger_analyst;

-- The views of the audit, with unsubscribes.
CREATE VIEW shard.place AS
  SELECT gen, off FROM shard.event UNION ALL SELECT gen, off FROM shard.unsubscribe UNION ALL SELECT gen, off FROM shard.dead_letter;
CREATE OR REPLACE VIEW shard_analytics.doubled AS
  SELECT gen, off, count(*) AS times FROM shard.place GROUP BY gen, off HAVING count(*) > 1;
CREATE OR REPLACE VIEW shard_analytics.outside_ledger AS
  SELECT place.gen, place.off FROM shard.place LEFT JOIN shard.ledger l ON l.gen = place.gen
  WHERE l.gen IS NULL OR NOT l.committed @> place.off;
CREATE OR REPLACE VIEW shard_analytics.counts AS
  SELECT gen, kind::text AS what, count(*) AS lines FROM shard.event GROUP BY gen, kind
  UNION ALL SELECT gen, 'unsubscribe', count(*) FROM shard.unsubscribe GROUP BY gen
  UNION ALL SELECT gen, 'dead ' || reason, count(*) FROM shard.dead_letter GROUP BY gen, reason
  UNION ALL SELECT gen, 'skipped ' || reason, sum(lines)::bigint FROM shard.skipped GROUP BY gen, reason;
