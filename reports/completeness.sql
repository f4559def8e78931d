-- title: Completeness
-- question: How much of each access log is counted on each shard, and is anything missing?
-- parameter: limit  maximum number of rows; default: all
-- chart: none
-- reach: no
--
-- A generation is one access log file. The column size has its length in bytes, and is empty until the file is finished. Rows with missing
-- bytes come first. If holes and missing_bytes are 0 in all rows, all bytes that are known to exist are counted. While an old log has a
-- hole, all counts are too low.

\if :{?limit} \else \set limit '' \endif
\ir shared/clock.sql

SELECT gen AS generation, shard, size, committed_bytes, missing_bytes, holes, first_at AS first_commit_at, last_at AS last_commit_at
FROM analytics.completeness
ORDER BY (missing_bytes > 0 OR holes > 0) DESC, max(last_at) OVER (PARTITION BY gen) DESC, gen, shard
LIMIT nullif(:'limit', '')::bigint;
