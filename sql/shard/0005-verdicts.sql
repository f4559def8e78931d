-- A new enum value cannot be used in the transaction that adds it, so these have a migration of their own.
ALTER TYPE shard.verdict ADD VALUE 'privacy-proxy';
ALTER TYPE shard.verdict ADD VALUE 'scanner-net';
ALTER TYPE shard.verdict ADD VALUE 'burst';
