-- The generations that are complete on this shard. `clickledger status` reads them when the shards differ. The index has both columns, so this does not read
-- the ranges of the ledger.
CREATE VIEW shard_analytics.complete_generation AS
  SELECT gen, size FROM shard.ledger WHERE size IS NOT NULL AND committed = int8multirange(int8range(0, size));
GRANT SELECT ON shard_analytics.complete_generation TO clickledger_analyst;
