-- title: Completeness
-- question: How much of each access log is counted on each shard, and is anything missing?
-- parameter: limit  how many rows at most; default: 1000
-- chart: none
-- reach: no
--
-- A generation is one access log as it was written; size is its length in bytes once it is finished. Whatever lacks something comes first.
-- Sum holes and missing_bytes over all rows: 0 means that all that is known of is counted. A hole in an old log: believe no number yet.

\if :{?limit} \else \set limit '1000' \endif

SELECT gen AS generation, shard, size, committed_bytes, missing_bytes, holes, first_at AS first_commit_at, last_at AS last_commit_at
FROM analytics.completeness
ORDER BY (missing_bytes > 0 OR holes > 0) DESC, max(last_at) OVER (PARTITION BY gen) DESC, gen, shard
LIMIT :'limit'::bigint;
