-- New verdicts have to be there before anything can use them, which a migration of its own sees to.
ALTER TYPE shard.verdict ADD VALUE 'privacy-proxy';
ALTER TYPE shard.verdict ADD VALUE 'scanner-net';
ALTER TYPE shard.verdict ADD VALUE 'burst';
