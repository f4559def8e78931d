-- The views of `clickledger audit`. The view `doubled` has the lines that are stored twice. The view `outside_ledger` has the lines that
-- are stored although their offset is not in the ledger. Without errors both views are empty. They read all events.
CREATE VIEW shard_analytics.doubled AS
  SELECT gen, off, count(*) AS times FROM (SELECT gen, off FROM shard.event UNION ALL SELECT gen, off FROM shard.dead_letter) place
  GROUP BY gen, off HAVING count(*) > 1;

CREATE VIEW shard_analytics.outside_ledger AS
  SELECT place.gen, place.off FROM (SELECT gen, off FROM shard.event UNION ALL SELECT gen, off FROM shard.dead_letter) place
  LEFT JOIN shard.ledger l ON l.gen = place.gen
  WHERE l.gen IS NULL OR NOT l.committed @> place.off;

CREATE VIEW shard_analytics.ranges AS
  SELECT gen, committed::text AS committed, size, first_at, last_at FROM shard.ledger;

-- The number of events, dead letters and skipped lines of each generation. The audit compares these numbers with the log.
CREATE VIEW shard_analytics.counts AS
  SELECT gen, kind::text AS what, count(*) AS lines FROM shard.event GROUP BY gen, kind
  UNION ALL SELECT gen, 'dead ' || reason, count(*) FROM shard.dead_letter GROUP BY gen, reason
  UNION ALL SELECT gen, 'skipped ' || reason, sum(lines)::bigint FROM shard.skipped GROUP BY gen, reason;

GRANT SELECT ON shard_analytics.doubled, shard_analytics.outside_ledger, shard_analytics.ranges, shard_analytics.counts TO clickledger_analyst;
