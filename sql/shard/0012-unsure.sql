-- Verdicts follow from the sum of the weights of all signs, and a hit may be unsure. Functions of earlier migrations name these values only in texts, because
-- a new enum value cannot be used in the transaction that adds it.
ALTER TYPE shard.verdict ADD VALUE 'honeypot';
ALTER TYPE shard.verdict ADD VALUE 'near-honeypot';
ALTER TYPE shard.verdict ADD VALUE 'short-burst';
ALTER TYPE shard.verdict ADD VALUE 'many-links';
ALTER TYPE shard.verdict ADD VALUE 'even-steps';
ALTER TYPE shard.verdict ADD VALUE 'many-visitors';
ALTER TYPE shard.verdict ADD VALUE 'after-head';
ALTER TYPE shard.verdict ADD VALUE 'echo';
ALTER TYPE shard.verdict ADD VALUE 'hosting-net';
ALTER TYPE shard.verdict ADD VALUE 'early';
ALTER TYPE shard.verdict ADD VALUE 'old-browser';
ALTER TYPE shard.verdict ADD VALUE 'altered';
ALTER TYPE shard.verdict ADD VALUE 'unsure';
