-- analytics.reach without the whole ledgers. If all shards have the same complete generations, none of these has a hole, so the others are enough. Otherwise,
-- for example after a shard was restored, all generations are read, as before.
CREATE TABLE fleet.ledger_incomplete (
  shard text, gen uuid, size bigint, committed_bytes bigint, committed_to bigint, holes bigint, first_at timestamptz, last_at timestamptz
) PARTITION BY LIST (shard);
CREATE TABLE fleet.ledger_complete (shard text, generations bigint, hash numeric, bytes numeric, first_at timestamptz, last_at timestamptz) PARTITION BY LIST (shard);

CREATE OR REPLACE VIEW analytics.reach AS
  WITH complete AS MATERIALIZED (SELECT * FROM fleet.ledger_complete),
       state AS MATERIALIZED (
         SELECT count(DISTINCT (generations, hash, bytes)) = 1 AND count(*) = (SELECT count(*) FROM catalog.shard) AS is_same, max(first_at) AS first_at, max(last_at) AS last_at
         FROM complete
       ),
       ledger AS MATERIALIZED (
         SELECT * FROM fleet.ledger_incomplete WHERE (SELECT is_same FROM state)
         UNION ALL SELECT * FROM fleet.ledger WHERE (SELECT NOT is_same FROM state)
       ),
       generation AS (
         SELECT gen, max(greatest(size, committed_to)) AS known_to, max(size) IS NOT NULL OR max(first_at) < (SELECT first_at FROM state) AS settled FROM ledger GROUP BY gen
       ),
       missing AS (
         SELECT g.known_to - coalesce(l.committed_bytes, 0) AS bytes,
                coalesce(l.holes, 0) + CASE WHEN coalesce(l.committed_to, 0) < g.known_to AND l.size IS NULL THEN 1 ELSE 0 END AS holes
         FROM generation g CROSS JOIN catalog.shard s LEFT JOIN ledger l ON l.gen = g.gen AND l.shard = s.name WHERE g.settled
       )
  SELECT (SELECT last_at FROM state) AS last_at, coalesce(sum(holes), 0)::bigint AS holes, coalesce(sum(bytes), 0)::bigint AS missing_bytes FROM missing;
