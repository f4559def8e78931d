-- Counts that are kept up, so that reports need not read events.
--
-- The transaction that commits events appends marks, one an event. One judge at a time takes marks away, adds them to the rollups, and looks
-- at the clicks of each recipient around them again: of what turns out to be part of a burst, new marks take back what was said before. So
-- rollup + marks is at any moment the sum over all events, and that is what the views show.

-- No key and no index: appending must not wait for anybody.
CREATE TABLE shard.mark (
  at           timestamptz NOT NULL,
  recipient_id bigint NOT NULL,
  link_id      bigint NOT NULL,
  campaign_id  bigint NOT NULL,
  kind         shard.kind NOT NULL,
  verdict      shard.verdict NOT NULL,
  -- 1; -1 takes back what was said before, when history is judged again.
  hits         smallint NOT NULL DEFAULT 1
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100000, autovacuum_vacuum_insert_threshold = -1);

-- Without what test recipients did.
CREATE TABLE shard.activity_15m (
  campaign_id bigint NOT NULL,
  link_id     bigint NOT NULL,
  quarter     timestamptz NOT NULL,
  kind        shard.kind NOT NULL,
  verdict     shard.verdict NOT NULL,
  hits        bigint NOT NULL,
  PRIMARY KEY (campaign_id, quarter, link_id, kind, verdict)
);

-- What each recipient did with each link, test recipients too.
CREATE TABLE shard.activity (
  campaign_id    bigint NOT NULL,
  recipient_id   bigint NOT NULL,
  link_id        bigint NOT NULL,
  kind           shard.kind NOT NULL,
  human_hits     bigint NOT NULL,
  machine_hits   bigint NOT NULL,
  first_at       timestamptz NOT NULL,
  last_at        timestamptz NOT NULL,
  -- Whether there were human hits before the last change; null: there was no row.
  was_human      boolean,
  PRIMARY KEY (campaign_id, kind, recipient_id, link_id)
) WITH (fillfactor = 80);

-- How many people that makes, link by link and, as link 0, in the campaign as a whole. Without test recipients.
CREATE TABLE shard.reach (
  campaign_id      bigint NOT NULL,
  link_id          bigint NOT NULL,
  kind             shard.kind NOT NULL,
  recipients       bigint NOT NULL,
  human_recipients bigint NOT NULL,
  PRIMARY KEY (campaign_id, link_id, kind)
);

-- Events from before there were rollups.
INSERT INTO shard.mark (at, recipient_id, link_id, campaign_id, kind, verdict) SELECT at, recipient_id, link_id, campaign_id, kind, verdict FROM shard.event;

CREATE FUNCTION shard.quarter_of(at timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN date_bin('15 minutes', at, '2000-01-01 00:00+00');

-- Which clicks of one recipient, given in the order of their times, are part of a burst: `links` different links within `span` of its first
-- click. Every click comes into and leaves the stretch that is looked at once, however many there are.
CREATE FUNCTION shard.in_burst(times timestamptz[], link_ids bigint[], span interval, links integer) RETURNS boolean[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog AS $$
DECLARE
  number_of integer[] := (SELECT array_agg(n ORDER BY i) FROM (SELECT i, dense_rank() OVER (ORDER BY link) AS n FROM unnest(link_ids) WITH ORDINALITY AS t (link, i)) AS numbered);
  clicks integer[] := array_fill(0, ARRAY[cardinality(link_ids)]);
  found boolean[] := array_fill(false, ARRAY[cardinality(link_ids)]);
  different integer := 0;
  newest integer := 0;
  marked integer := 0;
BEGIN
  FOR oldest IN 1 .. cardinality(times) LOOP
    WHILE newest < cardinality(times) AND times[newest + 1] <= times[oldest] + span LOOP
      newest := newest + 1;
      IF clicks[number_of[newest]] = 0 THEN different := different + 1; END IF;
      clicks[number_of[newest]] := clicks[number_of[newest]] + 1;
    END LOOP;
    IF different >= links THEN
      FOR i IN greatest(oldest, marked + 1) .. newest LOOP found[i] := true; END LOOP;
      marked := newest;
    END IF;
    clicks[number_of[oldest]] := clicks[number_of[oldest]] - 1;
    IF clicks[number_of[oldest]] = 0 THEN different := different - 1; END IF;
  END LOOP;
  RETURN found;
END $$;

-- Takes up to `most` marks and gives how many; null while another judge is at work. A click is part of a burst when its recipient clicked
-- `links` different links of the campaign within `span`. What turns out to be in a burst is said by new marks, for the next time. All of it is
-- one statement, which sees the same tables everywhere, as they were before it. The planner cannot know how much waits, nor that a small table
-- has grown since it looked: nested loops are for what is looked up one by one (LATERAL) and nowhere else, and looking up is done by an index.
CREATE FUNCTION shard.judge(most integer, rules_version integer, span interval, links integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET work_mem = '32MB' SET enable_nestloop = off SET enable_seqscan = off SET jit = off AS $$
DECLARE
  number_taken bigint;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtext('clickledger.judge')) THEN RETURN NULL; END IF;
  WITH taken AS MATERIALIZED (
    DELETE FROM shard.mark WHERE ctid = ANY (ARRAY(SELECT ctid FROM shard.mark LIMIT most)) RETURNING *
  ),
  quarters AS (
    INSERT INTO shard.activity_15m AS known (campaign_id, link_id, quarter, kind, verdict, hits)
    SELECT campaign_id, link_id, shard.quarter_of(at), kind, verdict, sum(hits)
    FROM taken WHERE recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test)
    GROUP BY campaign_id, link_id, shard.quarter_of(at), kind, verdict HAVING sum(hits) <> 0
    ON CONFLICT (campaign_id, quarter, link_id, kind, verdict) DO UPDATE SET hits = known.hits + excluded.hits
  ),
  gathered AS MATERIALIZED (
    SELECT campaign_id, kind, recipient_id, link_id, coalesce(sum(hits) FILTER (WHERE verdict = 'human'), 0) AS human_hits,
           coalesce(sum(hits) FILTER (WHERE verdict <> 'human'), 0) AS machine_hits, min(at) AS first_at, max(at) AS last_at
    FROM taken WHERE recipient_id <> 0 GROUP BY campaign_id, kind, recipient_id, link_id ORDER BY campaign_id, kind, recipient_id, link_id
  ),
  activities AS (
    INSERT INTO shard.activity AS known (campaign_id, kind, recipient_id, link_id, human_hits, machine_hits, first_at, last_at) SELECT * FROM gathered
    ON CONFLICT (campaign_id, kind, recipient_id, link_id) DO UPDATE SET
      human_hits = known.human_hits + excluded.human_hits, machine_hits = known.machine_hits + excluded.machine_hits,
      first_at = least(known.first_at, excluded.first_at), last_at = greatest(known.last_at, excluded.last_at), was_human = known.human_hits > 0
    RETURNING campaign_id, kind, recipient_id, link_id, human_hits > 0 AS is_human, was_human IS NULL AS is_new, coalesce(was_human, false) AS was_human
  ),
  person AS MATERIALIZED (
    SELECT new.*, known.* FROM (
      SELECT campaign_id, kind, recipient_id, min(first_at) AS first_at, max(last_at) AS last_at, count(*) AS links FROM gathered GROUP BY campaign_id, kind, recipient_id
    ) new CROSS JOIN LATERAL (
      SELECT count(*) AS known_links, count(*) FILTER (WHERE a.human_hits > 0) AS human_links, count(*) FILTER (WHERE a.last_at >= new.first_at - 2 * span) AS near_links
      FROM shard.activity a WHERE (a.campaign_id, a.kind, a.recipient_id) = (new.campaign_id, new.kind, new.recipient_id)
    ) known
  ),
  reached AS (
    INSERT INTO shard.reach AS known (campaign_id, link_id, kind, recipients, human_recipients)
    SELECT campaign_id, link_id, kind, count(*) FILTER (WHERE is_new), sum(is_human::int - was_human::int)
    FROM (
      SELECT campaign_id, kind, recipient_id, link_id, is_new, is_human, was_human FROM activities
      UNION ALL
      SELECT campaign_id, kind, recipient_id, 0, known_links = 0, human_links + more > 0, human_links > 0
      FROM person JOIN (SELECT campaign_id, kind, recipient_id, sum(is_human::int - was_human::int) AS more FROM activities GROUP BY campaign_id, kind, recipient_id) changed
        USING (campaign_id, kind, recipient_id)
    ) each WHERE recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test)
    GROUP BY campaign_id, link_id, kind
    ON CONFLICT (campaign_id, link_id, kind) DO UPDATE SET
      recipients = known.recipients + excluded.recipients, human_recipients = known.human_recipients + excluded.human_recipients
  ),
  -- Who may have clicked that many links now. A burst reaches `span` from its first click, so a new click can change what is within `span`
  -- of it, and that depends on what is within twice as much.
  clicks AS (
    SELECT array_agg(e.part ORDER BY e.at, e.place) AS parts, array_agg(e.place ORDER BY e.at, e.place) AS places, array_agg(e.at ORDER BY e.at, e.place) AS times,
           array_agg(e.link_id ORDER BY e.at, e.place) AS link_ids, array_agg(e.is_human ORDER BY e.at, e.place) AS humans
    FROM person CROSS JOIN LATERAL (
      SELECT e.tableoid AS part, e.ctid AS place, e.at, e.link_id, e.verdict = 'human' AS is_human FROM shard.event e
      WHERE e.recipient_id = person.recipient_id AND e.at BETWEEN person.first_at - 2 * span AND person.last_at + 2 * span
        AND e.kind = 'click' AND e.campaign_id = person.campaign_id OFFSET 0
    ) e
    WHERE person.kind = 'click' AND person.links + person.near_links >= judge.links
    GROUP BY person.campaign_id, person.recipient_id HAVING bool_or(e.is_human) AND count(DISTINCT e.link_id) >= judge.links
  ),
  found AS MATERIALIZED (
    SELECT part, place, at FROM clicks CROSS JOIN LATERAL unnest(parts, places, times, humans, shard.in_burst(times, link_ids, span, judge.links)) AS c (part, place, at, is_human, in_burst)
    WHERE is_human AND in_burst
  ),
  changed AS (
    UPDATE shard.event e SET verdict = 'burst', signals = coalesce(e.signals, '{}') || '{burst}', rules = rules_version
    WHERE e.ctid = ANY (ARRAY(SELECT place FROM found)) AND (e.tableoid, e.ctid) IN (SELECT part, place FROM found)
      AND e.at BETWEEN (SELECT min(at) FROM found) AND (SELECT max(at) FROM found)
    RETURNING e.at, e.recipient_id, e.link_id, e.campaign_id, e.kind
  ),
  said AS (
    INSERT INTO shard.mark (at, recipient_id, link_id, campaign_id, kind, verdict, hits)
    SELECT at, recipient_id, link_id, campaign_id, kind, v.verdict, v.hits FROM changed CROSS JOIN (VALUES ('human'::shard.verdict, -1), ('burst', 1)) AS v (verdict, hits)
  )
  SELECT count(*) INTO number_taken FROM taken;
  RETURN number_taken;
END $$;
REVOKE EXECUTE ON FUNCTION shard.judge FROM PUBLIC;

-- Judges the clicks and opens of a campaign again, as far as what is kept of them allows: networks and bursts anew, the other signs as they
-- were found (the user agent was never kept). `signals` are all signs of a machine in their order. What changes is taken back and said anew
-- by marks. Gives how many hits went from which verdict to which; with `dry_run` changes nothing.
CREATE FUNCTION shard.reclassify(campaign bigint, rules_version integer, machine_signals text[], scanner_networks text[], span interval, links integer, dry_run boolean)
RETURNS TABLE (kind text, was text, becomes text, hits bigint, older_rules bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET work_mem = '32MB' SET enable_nestloop = off AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('clickledger.judge'));
  RETURN QUERY
  WITH hit AS MATERIALIZED (
    SELECT e.tableoid AS part, e.ctid AS place, e.at, e.recipient_id, e.link_id, e.kind, e.verdict, e.rules, coalesce(e.signals, '{}') AS signals, e.net
    FROM shard.event e WHERE e.campaign_id = campaign
  ),
  clicks AS (
    SELECT array_agg(part ORDER BY at, place) AS parts, array_agg(place ORDER BY at, place) AS places, array_agg(at ORDER BY at, place) AS times,
           array_agg(link_id ORDER BY at, place) AS link_ids
    FROM hit WHERE hit.kind = 'click' AND recipient_id <> 0 GROUP BY recipient_id HAVING count(DISTINCT link_id) >= links
  ),
  burst AS (
    SELECT part, place FROM clicks CROSS JOIN LATERAL unnest(parts, places, shard.in_burst(times, link_ids, span, links)) AS c (part, place, in_burst) WHERE in_burst
  ),
  alone AS (
    SELECT hit.*, ARRAY(SELECT sign FROM unnest(machine_signals || '{proxied}') WITH ORDINALITY AS known (sign, n)
                        WHERE sign <> 'burst' AND CASE sign WHEN 'scanner-net' THEN net = ANY (scanner_networks) ELSE sign = ANY (hit.signals) END ORDER BY n) AS now_alone
    FROM hit
  ),
  again AS (
    SELECT alone.*, CASE WHEN found.part IS NOT NULL AND NOT now_alone && machine_signals THEN now_alone || '{burst}' ELSE now_alone END AS now_signals
    FROM alone LEFT JOIN burst found USING (part, place)
  ),
  judged AS MATERIALIZED (
    SELECT again.*, coalesce((SELECT sign FROM unnest(machine_signals) WITH ORDINALITY AS known (sign, n) WHERE sign = ANY (now_signals) ORDER BY n LIMIT 1), 'human')::shard.verdict AS now_verdict
    FROM again
  ),
  kept AS (
    UPDATE shard.event e SET verdict = j.now_verdict, signals = nullif(j.now_signals, '{}'), rules = rules_version
    FROM judged j WHERE NOT dry_run AND e.tableoid = j.part AND e.ctid = j.place AND (e.rules <> rules_version OR j.now_signals <> j.signals)
  ),
  said AS (
    INSERT INTO shard.mark (at, recipient_id, link_id, campaign_id, kind, verdict, hits)
    SELECT j.at, j.recipient_id, j.link_id, campaign, j.kind, v.verdict, v.hits
    FROM judged j CROSS JOIN LATERAL (VALUES (j.verdict, -1), (j.now_verdict, 1)) AS v (verdict, hits)
    WHERE NOT dry_run AND j.now_verdict <> j.verdict
  )
  SELECT j.kind::text, j.verdict::text, j.now_verdict::text, count(*), count(*) FILTER (WHERE j.rules < rules_version)
  FROM judged j GROUP BY j.kind, j.verdict, j.now_verdict ORDER BY 1, 2, 3;
END $$;
REVOKE EXECUTE ON FUNCTION shard.reclassify FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.reclassify TO clickledger_worker;

-- Drops months of events that began more than `keep` months before this one. Their counts stay in the rollups, so the judge must have taken
-- them; dropping a month waits for no reader for long: the caller tries again later. Gives what was dropped.
CREATE FUNCTION shard.drop_months(keep integer) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '200ms' SET timezone = 'UTC' AS $$
DECLARE
  oldest timestamptz := date_trunc('month', now()) - make_interval(months => keep);
  partition text;
BEGIN
  IF keep < 1 THEN RAISE EXCEPTION 'at least one month is kept'; END IF;
  IF NOT pg_try_advisory_xact_lock(hashtext('clickledger.judge')) OR EXISTS (SELECT FROM shard.mark WHERE at < oldest) THEN RETURN; END IF;
  DELETE FROM shard.event_default WHERE at < oldest;
  FOR partition IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'shard.event'::regclass AND c.relname ~ '^event_[0-9]{4}_[0-9]{2}$' AND to_date(c.relname, '"event_"YYYY_MM')::timestamptz < oldest
  LOOP
    EXECUTE format('DROP TABLE shard.%I', partition);
    RETURN NEXT partition;
  END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION shard.drop_months FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.drop_months TO clickledger_worker;

-- Says of people what catalog and shards have to agree on. Who becomes a test recipient is taken out of the quarters by what the events of
-- the months kept say, and put back when the mark is taken away.
CREATE FUNCTION shard.tell(ids bigint[], tests boolean[], tombstones boolean[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  -- The judge must not be half-way through with the same people. It never waits for anybody, so neither do we for long.
  PERFORM pg_advisory_xact_lock(hashtext('clickledger.judge'));
  WITH said AS (SELECT * FROM unnest(ids, tests, tombstones) AS t (recipient_id, is_test, forgotten)),
  turned AS (
    SELECT said.recipient_id, CASE WHEN said.is_test THEN -1 ELSE 1 END AS sign
    FROM said LEFT JOIN shard.recipient known USING (recipient_id) WHERE said.is_test <> coalesce(known.is_test, false)
  ),
  -- Whatever the judge has taken: all events, less the marks that wait.
  taken AS (
    SELECT e.campaign_id, e.link_id, shard.quarter_of(e.at) AS quarter, e.kind, e.verdict, t.sign AS hits
    FROM turned t JOIN shard.event e USING (recipient_id)
    UNION ALL
    SELECT m.campaign_id, m.link_id, shard.quarter_of(m.at), m.kind, m.verdict, -t.sign * m.hits FROM turned t JOIN shard.mark m USING (recipient_id)
  ),
  quarters AS (
    INSERT INTO shard.activity_15m AS known (campaign_id, link_id, quarter, kind, verdict, hits)
    SELECT campaign_id, link_id, quarter, kind, verdict, sum(hits) FROM taken GROUP BY 1, 2, 3, 4, 5 HAVING sum(hits) <> 0
    ON CONFLICT (campaign_id, quarter, link_id, kind, verdict) DO UPDATE SET hits = known.hits + excluded.hits
  ),
  reached AS (
    INSERT INTO shard.reach AS known (campaign_id, link_id, kind, recipients, human_recipients)
    SELECT campaign_id, link_id, kind, sum(sign), coalesce(sum(sign) FILTER (WHERE is_human), 0)
    FROM (SELECT a.campaign_id, coalesce(a.link_id, 0) AS link_id, a.kind, t.sign, bool_or(a.human_hits > 0) AS is_human
          FROM turned t JOIN shard.activity a USING (recipient_id)
          GROUP BY GROUPING SETS ((a.campaign_id, a.kind, recipient_id, t.sign, a.link_id), (a.campaign_id, a.kind, recipient_id, t.sign))) AS each
    GROUP BY campaign_id, link_id, kind
    ON CONFLICT (campaign_id, link_id, kind) DO UPDATE SET
      recipients = known.recipients + excluded.recipients, human_recipients = known.human_recipients + excluded.human_recipients
  )
  INSERT INTO shard.recipient AS known (recipient_id, is_test, forgotten) SELECT * FROM said
  ON CONFLICT (recipient_id) DO UPDATE SET is_test = excluded.is_test, forgotten = known.forgotten OR excluded.forgotten;
END $$;
REVOKE EXECUTE ON FUNCTION shard.tell FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.tell TO clickledger_author;
REVOKE INSERT, UPDATE ON shard.recipient FROM clickledger_author;

GRANT INSERT ON shard.mark TO clickledger_worker;
GRANT EXECUTE ON FUNCTION shard.judge TO clickledger_worker;

-- How many marks wait for the judge, for a worker that may write them and not read them. It stops counting at a million: it is asked for
-- often, and by then it is plain that the judge is behind.
CREATE FUNCTION shard.waiting_marks() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS
$$ SELECT count(*) FROM (SELECT FROM shard.mark LIMIT 1000000) AS waiting $$;
REVOKE EXECUTE ON FUNCTION shard.waiting_marks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.waiting_marks TO clickledger_worker;

CREATE VIEW shard.counted_mark AS
  SELECT * FROM shard.mark WHERE recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test);

CREATE VIEW shard_analytics.activity_15m AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, link_id, quarter, kind::text AS kind, verdict::text AS verdict, sum(hits)::bigint AS hits
  FROM (SELECT campaign_id, link_id, quarter, kind, verdict, hits FROM shard.activity_15m
        UNION ALL SELECT campaign_id, link_id, shard.quarter_of(at), kind, verdict, hits FROM shard.counted_mark) AS both_of_them
  GROUP BY campaign_id, link_id, quarter, kind, verdict HAVING sum(hits) <> 0;

-- One row for each recipient, link and kind. What waits is little: it is looked up for every row of the rollup, instead of grouping both.
CREATE VIEW shard.waiting AS
  SELECT campaign_id, recipient_id, link_id, kind, min(at) AS first_at, max(at) AS last_at,
         coalesce(sum(hits) FILTER (WHERE verdict = 'human'), 0)::bigint AS human_hits,
         coalesce(sum(hits) FILTER (WHERE verdict <> 'human'), 0)::bigint AS machine_hits
  FROM shard.counted_mark WHERE recipient_id <> 0 GROUP BY campaign_id, recipient_id, link_id, kind;

CREATE VIEW shard.activity_with_waiting AS
  SELECT a.campaign_id, a.link_id, a.recipient_id, a.kind, least(a.first_at, w.first_at) AS first_at, greatest(a.last_at, w.last_at) AS last_at,
         a.human_hits + coalesce(w.human_hits, 0) AS human_hits, a.machine_hits + coalesce(w.machine_hits, 0) AS machine_hits
  FROM shard.activity a LEFT JOIN shard.waiting w USING (campaign_id, recipient_id, link_id, kind)
  WHERE recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test)
  UNION ALL
  SELECT w.campaign_id, w.link_id, w.recipient_id, w.kind, w.first_at, w.last_at, w.human_hits, w.machine_hits
  FROM shard.waiting w
  WHERE NOT EXISTS (SELECT FROM shard.activity a WHERE (a.campaign_id, a.kind, a.recipient_id, a.link_id) = (w.campaign_id, w.kind, w.recipient_id, w.link_id));

-- Each kind by itself, as in shard.counted.
CREATE VIEW shard_analytics.activity AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, link_id, recipient_id, 'click' AS kind, first_at, last_at, human_hits, machine_hits
  FROM shard.activity_with_waiting WHERE kind = 'click'
  UNION ALL
  SELECT (SELECT name FROM shard.identity), campaign_id, link_id, recipient_id, 'open', first_at, last_at, human_hits, machine_hits
  FROM shard.activity_with_waiting WHERE kind = 'open';

-- How many people are reached, what waits included as the judge will count it.
CREATE VIEW shard.reach_with_waiting AS
  WITH link AS MATERIALIZED (
    SELECT w.campaign_id, w.kind, w.recipient_id, w.link_id, a.recipient_id IS NULL AS is_new, coalesce(a.human_hits, 0) + w.human_hits > 0 AS is_human,
           coalesce(a.human_hits, 0) > 0 AS was_human
    FROM shard.waiting w LEFT JOIN LATERAL (
      SELECT * FROM shard.activity a WHERE (a.campaign_id, a.kind, a.recipient_id, a.link_id) = (w.campaign_id, w.kind, w.recipient_id, w.link_id) OFFSET 0
    ) a ON true
  ),
  person AS (
    SELECT new.campaign_id, new.kind, 0 AS link_id, known.links = 0 AS is_new, known.human_links + new.more > 0 AS is_human, known.human_links > 0 AS was_human
    FROM (SELECT campaign_id, kind, recipient_id, sum(is_human::int - was_human::int) AS more FROM link GROUP BY campaign_id, kind, recipient_id) new
    CROSS JOIN LATERAL (
      SELECT count(*) AS links, count(*) FILTER (WHERE a.human_hits > 0) AS human_links
      FROM shard.activity a WHERE (a.campaign_id, a.kind, a.recipient_id) = (new.campaign_id, new.kind, new.recipient_id)
    ) known
  )
  SELECT campaign_id, link_id, kind, sum(recipients)::bigint AS recipients, sum(human_recipients)::bigint AS human_recipients
  FROM (SELECT campaign_id, link_id, kind, recipients, human_recipients FROM shard.reach
        UNION ALL SELECT campaign_id, link_id, kind, is_new::int, is_human::int - was_human::int FROM link
        UNION ALL SELECT campaign_id, link_id, kind, is_new::int, is_human::int - was_human::int FROM person) AS all_of_them
  GROUP BY campaign_id, link_id, kind;

-- Hits from the quarters, which have the shared links too.
CREATE VIEW shard_analytics.campaign_totals AS
  SELECT (SELECT name FROM shard.identity) AS shard, h.campaign_id, h.kind, h.hits, h.human_hits, coalesce(p.recipients, 0) AS recipients,
         coalesce(p.human_recipients, 0) AS human_recipients
  FROM (SELECT campaign_id, kind, sum(hits)::bigint AS hits, coalesce(sum(hits) FILTER (WHERE verdict = 'human'), 0)::bigint AS human_hits
        FROM shard_analytics.activity_15m GROUP BY campaign_id, kind) h
  LEFT JOIN (SELECT campaign_id, kind::text AS kind, recipients, human_recipients FROM shard.reach_with_waiting WHERE link_id = 0) p USING (campaign_id, kind);

GRANT SELECT ON shard_analytics.activity_15m, shard_analytics.activity, shard_analytics.campaign_totals TO clickledger_analyst;
