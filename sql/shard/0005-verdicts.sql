-- A new enum value cannot be used in the transaction that adds it. So these values have their own migration.
ALTER TYPE shard.verdict ADD VALUE 'privacy-proxy';
ALTER TYPE shard.verdict ADD VALUE 'scanner-net';
ALTER TYPE shard.verdict ADD VALUE 'burst';
