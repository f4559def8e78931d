-- Rollups: counts that are updated continuously, so that reports do not read events.
--
-- The transaction that commits events appends one mark for each event. The judge (one at a time) removes marks and adds them to the
-- rollups. It also checks the clicks of the same recipients around them for bursts. If it changes a verdict, it appends two marks, which
-- subtract the old verdict and add the new one. So at any time rollups + marks are the sum over all events, and this sum is what the views
-- show.

-- It has no key and no index, so that an append waits for nothing.
CREATE TABLE shard.mark (
  at           timestamptz NOT NULL,
  recipient_id bigint NOT NULL,
  link_id      bigint NOT NULL,
  campaign_id  bigint NOT NULL,
  kind         shard.kind NOT NULL,
  verdict      shard.verdict NOT NULL,
  -- 1 adds the hit; -1 subtracts it when its verdict changes.
  hits         smallint NOT NULL DEFAULT 1
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100000, autovacuum_vacuum_insert_threshold = -1);

-- Hits by quarter of an hour, without those of test recipients.
CREATE TABLE shard.activity_15m (
  campaign_id bigint NOT NULL,
  link_id     bigint NOT NULL,
  quarter     timestamptz NOT NULL,
  kind        shard.kind NOT NULL,
  verdict     shard.verdict NOT NULL,
  hits        bigint NOT NULL,
  PRIMARY KEY (campaign_id, quarter, link_id, kind, verdict)
);

-- Clicks by recipient and link, including test recipients.
CREATE TABLE shard.clicked_link (
  campaign_id  bigint NOT NULL,
  recipient_id bigint NOT NULL,
  link_id      bigint NOT NULL,
  human_hits   bigint NOT NULL,
  machine_hits bigint NOT NULL,
  first_at     timestamptz NOT NULL,
  last_at      timestamptz NOT NULL,
  PRIMARY KEY (campaign_id, recipient_id, link_id)
) WITH (fillfactor = 80);

-- Clicks and opens by recipient and campaign, including test recipients. A campaign has one pixel, so opens need no table by link.
CREATE TABLE shard.engagement (
  campaign_id         bigint NOT NULL,
  recipient_id        bigint NOT NULL,
  human_clicks        bigint NOT NULL,
  machine_clicks      bigint NOT NULL,
  -- The number of different links with a click, and of those with a click judged human.
  clicked_links       bigint NOT NULL,
  human_clicked_links bigint NOT NULL,
  last_click_at       timestamptz,
  human_opens         bigint NOT NULL,
  machine_opens       bigint NOT NULL,
  first_open_at       timestamptz,
  last_open_at        timestamptz,
  PRIMARY KEY (campaign_id, recipient_id)
) WITH (fillfactor = 80);

-- The number of recipients who clicked each link, without test recipients. Link 0 has the number who clicked anything in the campaign, and
-- the number who opened the letter, as shard.opening_hits defines it.
CREATE TABLE shard.reach (
  campaign_id      bigint NOT NULL,
  link_id          bigint NOT NULL,
  kind             shard.kind NOT NULL,
  recipients       bigint NOT NULL,
  human_recipients bigint NOT NULL,
  PRIMARY KEY (campaign_id, link_id, kind)
);

-- Marks for the events that are older than the rollups.
INSERT INTO shard.mark (at, recipient_id, link_id, campaign_id, kind, verdict) SELECT at, recipient_id, link_id, campaign_id, kind, verdict FROM shard.event;

CREATE FUNCTION shard.quarter_of(at timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN date_bin('15 minutes', at, '2000-01-01 00:00+00');

-- Returns which clicks of one recipient, sorted by time, are part of a burst: clicks on at least `links` different links within `span` of
-- the first of them. It moves a window over the clicks. Each click enters and leaves the window once, so the time is linear in the number
-- of clicks.
CREATE FUNCTION shard.in_burst(times timestamptz[], link_ids bigint[], span interval, links integer) RETURNS boolean[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog AS $$
DECLARE
  link_numbers integer[] := (SELECT array_agg(n ORDER BY i) FROM (SELECT i, dense_rank() OVER (ORDER BY link) AS n FROM unnest(link_ids) WITH ORDINALITY AS t (link, i)) AS numbered);
  clicks_in_window integer[] := array_fill(0, ARRAY[cardinality(link_ids)]);
  in_bursts boolean[] := array_fill(false, ARRAY[cardinality(link_ids)]);
  links_in_window integer := 0;
  newest integer := 0;
  marked_to integer := 0;
BEGIN
  FOR oldest IN 1 .. cardinality(times) LOOP
    WHILE newest < cardinality(times) AND times[newest + 1] <= times[oldest] + span LOOP
      newest := newest + 1;
      IF clicks_in_window[link_numbers[newest]] = 0 THEN links_in_window := links_in_window + 1; END IF;
      clicks_in_window[link_numbers[newest]] := clicks_in_window[link_numbers[newest]] + 1;
    END LOOP;
    IF links_in_window >= links THEN
      FOR i IN greatest(oldest, marked_to + 1) .. newest LOOP in_bursts[i] := true; END LOOP;
      marked_to := newest;
    END IF;
    clicks_in_window[link_numbers[oldest]] := clicks_in_window[link_numbers[oldest]] - 1;
    IF clicks_in_window[link_numbers[oldest]] = 0 THEN links_in_window := links_in_window - 1; END IF;
  END LOOP;
  RETURN in_bursts;
END $$;

-- Returns the change of "has human hits" (0 or 1) when `more`, which may be negative, is added to `known`: 1 if these are the first human hits,
-- -1 if no human hit is left, otherwise 0.
CREATE FUNCTION shard.turned_human(known bigint, more bigint) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (known + more > 0)::int - (known > 0)::int;

-- The one definition of an opened letter, by which all recipients who opened are counted and listed: a recipient with one of these hits has
-- opened. A click counts, because nobody can click in a closed letter; the mail client of a recipient with clicks and no opens shows no
-- images. So no more recipients click than open. The sum is the same for hits judged human and for all hits.
CREATE FUNCTION shard.opening_hits(opens bigint, clicks bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN opens + clicks;

-- The judge. It processes up to `most` marks and returns their number; null if another judge is running. A click is part of a burst if its
-- recipient clicked `links` different links of the campaign within `span`. Changed verdicts become new marks for the next run. The whole
-- run is one statement, so all its parts see the tables as they were before it. The planner's statistics may be out of date: the number of
-- marks and the size of the tables change fast. So the settings force index lookups, and allow nested loops only for LATERAL lookups. Found
-- rows are updated by their ctid, which is safe, because no one else writes these tables while the judge holds its lock.
CREATE FUNCTION shard.judge(most integer, rules_version integer, span interval, links integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET work_mem = '32MB' SET enable_nestloop = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  batch_size bigint;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtext('clickledger.judge')) THEN RETURN NULL; END IF;
  WITH batch AS MATERIALIZED (
    DELETE FROM shard.mark WHERE ctid = ANY (ARRAY(SELECT ctid FROM shard.mark LIMIT most)) RETURNING *
  ),
  quarters AS (
    INSERT INTO shard.activity_15m AS known (campaign_id, link_id, quarter, kind, verdict, hits)
    SELECT campaign_id, link_id, shard.quarter_of(at), kind, verdict, sum(hits)
    FROM batch WHERE recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test)
    GROUP BY campaign_id, link_id, shard.quarter_of(at), kind, verdict HAVING sum(hits) <> 0
    ON CONFLICT (campaign_id, quarter, link_id, kind, verdict) DO UPDATE SET hits = known.hits + excluded.hits
  ),
  -- The clicks of the batch by recipient and link, with the stored row. The sums of a batch fit integers, which are cheaper to add than
  -- bigints.
  link AS MATERIALIZED (
    SELECT added.*, known.place, coalesce(known.human_hits, 0) AS known_human_hits
    FROM (
      SELECT campaign_id, recipient_id, link_id, coalesce(sum(hits) FILTER (WHERE verdict = 'human'), 0)::integer AS human_hits,
             coalesce(sum(hits) FILTER (WHERE verdict <> 'human'), 0)::integer AS machine_hits, min(at) AS first_at, max(at) AS last_at
      FROM batch WHERE kind = 'click' AND recipient_id <> 0 GROUP BY campaign_id, recipient_id, link_id ORDER BY campaign_id, recipient_id, link_id
    ) added LEFT JOIN LATERAL (
      SELECT c.ctid AS place, c.human_hits FROM shard.clicked_link c
      WHERE (c.campaign_id, c.recipient_id, c.link_id) = (added.campaign_id, added.recipient_id, added.link_id) OFFSET 0
    ) known ON true
  ),
  new_links AS (
    INSERT INTO shard.clicked_link (campaign_id, recipient_id, link_id, human_hits, machine_hits, first_at, last_at)
    SELECT campaign_id, recipient_id, link_id, human_hits, machine_hits, first_at, last_at FROM link WHERE place IS NULL
  ),
  known_links AS (
    UPDATE shard.clicked_link c SET human_hits = c.human_hits + link.human_hits, machine_hits = c.machine_hits + link.machine_hits,
                                    first_at = least(c.first_at, link.first_at), last_at = greatest(c.last_at, link.last_at)
    FROM link WHERE c.ctid = ANY (ARRAY(SELECT place FROM link)) AND c.ctid = link.place
  ),
  -- The same by recipient and campaign.
  per_recipient AS MATERIALIZED (
    SELECT added.*, known.place, coalesce(known.human_clicks, 0) AS known_human_clicks, coalesce(known.clicked_links, 0) AS known_clicked_links,
           known.last_click_at AS known_last_click_at, coalesce(known.human_opens, 0) AS known_human_opens, known.last_open_at AS known_last_open_at
    FROM (
      SELECT campaign_id, recipient_id, sum(human_clicks) AS human_clicks, sum(machine_clicks) AS machine_clicks,
             sum(clicked_links) AS clicked_links, sum(human_clicked_links) AS human_clicked_links,
             min(first_click_at) AS first_click_at, max(last_click_at) AS last_click_at, count(last_click_at) AS links_now,
             sum(human_opens) AS human_opens, sum(machine_opens) AS machine_opens, min(open_at) AS first_open_at, max(open_at) AS last_open_at
      FROM (
        SELECT campaign_id, recipient_id, human_hits AS human_clicks, machine_hits AS machine_clicks, (place IS NULL)::int AS clicked_links,
               shard.turned_human(known_human_hits, human_hits) AS human_clicked_links, first_at AS first_click_at, last_at AS last_click_at,
               0 AS human_opens, 0 AS machine_opens, NULL AS open_at
        FROM link
        UNION ALL
        SELECT campaign_id, recipient_id, 0, 0, 0, 0, NULL, NULL, CASE verdict WHEN 'human' THEN hits ELSE 0 END, CASE verdict WHEN 'human' THEN 0 ELSE hits END, at
        FROM batch WHERE kind = 'open' AND recipient_id <> 0
      ) each GROUP BY campaign_id, recipient_id ORDER BY campaign_id, recipient_id
    ) added LEFT JOIN LATERAL (
      SELECT e.ctid AS place, e.* FROM shard.engagement e WHERE (e.campaign_id, e.recipient_id) = (added.campaign_id, added.recipient_id) OFFSET 0
    ) known ON true
  ),
  new_people AS (
    INSERT INTO shard.engagement (campaign_id, recipient_id, human_clicks, machine_clicks, clicked_links, human_clicked_links, last_click_at, human_opens, machine_opens, first_open_at, last_open_at)
    SELECT campaign_id, recipient_id, human_clicks, machine_clicks, clicked_links, human_clicked_links, last_click_at, human_opens, machine_opens, first_open_at, last_open_at
    FROM per_recipient WHERE place IS NULL
  ),
  known_people AS (
    UPDATE shard.engagement e SET
      human_clicks = e.human_clicks + per_recipient.human_clicks, machine_clicks = e.machine_clicks + per_recipient.machine_clicks,
      clicked_links = e.clicked_links + per_recipient.clicked_links, human_clicked_links = e.human_clicked_links + per_recipient.human_clicked_links,
      last_click_at = greatest(e.last_click_at, per_recipient.last_click_at),
      human_opens = e.human_opens + per_recipient.human_opens, machine_opens = e.machine_opens + per_recipient.machine_opens,
      first_open_at = least(e.first_open_at, per_recipient.first_open_at), last_open_at = greatest(e.last_open_at, per_recipient.last_open_at)
    FROM per_recipient WHERE e.ctid = ANY (ARRAY(SELECT place FROM per_recipient)) AND e.ctid = per_recipient.place
  ),
  reached AS (
    INSERT INTO shard.reach AS known (campaign_id, link_id, kind, recipients, human_recipients)
    SELECT campaign_id, link_id, kind, count(*) FILTER (WHERE is_new), sum(turned)
    FROM (
      SELECT campaign_id, 'click'::shard.kind AS kind, recipient_id, link_id, place IS NULL AS is_new, shard.turned_human(known_human_hits, human_hits) AS turned FROM link
      UNION ALL
      SELECT campaign_id, 'click', recipient_id, 0, known_last_click_at IS NULL AND last_click_at IS NOT NULL, shard.turned_human(known_human_clicks, human_clicks) FROM per_recipient
      UNION ALL
      SELECT campaign_id, 'open', recipient_id, 0, place IS NULL,
             shard.turned_human(shard.opening_hits(known_human_opens, known_human_clicks), shard.opening_hits(human_opens, human_clicks)) FROM per_recipient
    ) each
    WHERE (is_new OR turned <> 0) AND recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test)
    GROUP BY campaign_id, link_id, kind
    ON CONFLICT (campaign_id, link_id, kind) DO UPDATE SET
      recipients = known.recipients + excluded.recipients, human_recipients = known.human_recipients + excluded.human_recipients
  ),
  -- The clicks of recipients who may have a burst now. A burst extends up to `span` from its first click. So a new click can change the
  -- verdicts of clicks that are at most `span` away. Each of these verdicts depends on clicks that are at most `span` further away. So all
  -- clicks at most 2 * `span` from the new click are read.
  clicks AS (
    SELECT array_agg(e.part ORDER BY e.at, e.place) AS parts, array_agg(e.place ORDER BY e.at, e.place) AS places, array_agg(e.at ORDER BY e.at, e.place) AS times,
           array_agg(e.link_id ORDER BY e.at, e.place) AS link_ids, array_agg(e.is_human ORDER BY e.at, e.place) AS humans
    FROM per_recipient CROSS JOIN LATERAL (
      SELECT e.tableoid AS part, e.ctid AS place, e.at, e.link_id, e.verdict = 'human' AS is_human FROM shard.event e
      WHERE e.recipient_id = per_recipient.recipient_id AND e.at BETWEEN per_recipient.first_click_at - 2 * span AND per_recipient.last_click_at + 2 * span
        AND e.kind = 'click' AND e.campaign_id = per_recipient.campaign_id OFFSET 0
    ) e
    WHERE per_recipient.known_clicked_links + per_recipient.clicked_links >= judge.links
      AND (per_recipient.links_now >= judge.links OR per_recipient.known_last_click_at >= per_recipient.first_click_at - 2 * span)
    GROUP BY per_recipient.campaign_id, per_recipient.recipient_id HAVING bool_or(e.is_human) AND count(DISTINCT e.link_id) >= judge.links
  ),
  burst_click AS MATERIALIZED (
    SELECT part, place, at FROM clicks CROSS JOIN LATERAL unnest(parts, places, times, humans, shard.in_burst(times, link_ids, span, judge.links)) AS c (part, place, at, is_human, in_burst)
    WHERE is_human AND in_burst
  ),
  changed AS (
    UPDATE shard.event e SET verdict = 'burst', signals = coalesce(e.signals, '{}') || '{burst}', rules = rules_version
    WHERE e.ctid = ANY (ARRAY(SELECT place FROM burst_click)) AND (e.tableoid, e.ctid) IN (SELECT part, place FROM burst_click)
      AND e.at BETWEEN (SELECT min(at) FROM burst_click) AND (SELECT max(at) FROM burst_click)
    RETURNING e.at, e.recipient_id, e.link_id, e.campaign_id, e.kind
  ),
  corrections AS (
    INSERT INTO shard.mark (at, recipient_id, link_id, campaign_id, kind, verdict, hits)
    SELECT at, recipient_id, link_id, campaign_id, kind, v.verdict, v.hits FROM changed CROSS JOIN (VALUES ('human'::shard.verdict, -1), ('burst', 1)) AS v (verdict, hits)
  )
  SELECT count(*) INTO batch_size FROM batch;
  RETURN batch_size;
END $$;
REVOKE EXECUTE ON FUNCTION shard.judge FROM PUBLIC;

-- Judges all clicks and opens of a campaign again. Networks and bursts are computed anew. The other signs stay as stored, because the user
-- agent is not kept. `machine_signals` are all signs of a machine in their order of priority. Changed verdicts become marks. Returns the
-- number of hits by old and new verdict. With `dry_run` it changes nothing.
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
  without_burst AS (
    SELECT hit.*, ARRAY(SELECT sign FROM unnest(machine_signals || '{proxied}') WITH ORDINALITY AS known (sign, n)
                        WHERE sign <> 'burst' AND CASE sign WHEN 'scanner-net' THEN net = ANY (scanner_networks) ELSE sign = ANY (hit.signals) END ORDER BY n) AS other_signals
    FROM hit
  ),
  with_burst AS (
    SELECT without_burst.*, CASE WHEN burst.part IS NOT NULL AND NOT other_signals && machine_signals THEN other_signals || '{burst}' ELSE other_signals END AS new_signals
    FROM without_burst LEFT JOIN burst USING (part, place)
  ),
  judged AS MATERIALIZED (
    SELECT with_burst.*, coalesce((SELECT sign FROM unnest(machine_signals) WITH ORDINALITY AS known (sign, n) WHERE sign = ANY (new_signals) ORDER BY n LIMIT 1), 'human')::shard.verdict AS new_verdict
    FROM with_burst
  ),
  updated AS (
    UPDATE shard.event e SET verdict = j.new_verdict, signals = nullif(j.new_signals, '{}'), rules = rules_version
    FROM judged j WHERE NOT dry_run AND e.tableoid = j.part AND e.ctid = j.place AND (e.rules <> rules_version OR j.new_signals <> j.signals)
  ),
  corrections AS (
    INSERT INTO shard.mark (at, recipient_id, link_id, campaign_id, kind, verdict, hits)
    SELECT j.at, j.recipient_id, j.link_id, campaign, j.kind, v.verdict, v.hits
    FROM judged j CROSS JOIN LATERAL (VALUES (j.verdict, -1), (j.new_verdict, 1)) AS v (verdict, hits)
    WHERE NOT dry_run AND j.new_verdict <> j.verdict
  )
  SELECT j.kind::text, j.verdict::text, j.new_verdict::text, count(*), count(*) FILTER (WHERE j.rules < rules_version)
  FROM judged j GROUP BY j.kind, j.verdict, j.new_verdict ORDER BY 1, 2, 3;
END $$;
REVOKE EXECUTE ON FUNCTION shard.reclassify FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.reclassify TO clickledger_worker;

-- Drops the partitions of months that began more than `keep` months before the current month, and returns their names. Their counts stay in
-- the rollups, so it drops nothing while marks of these months wait for the judge. It waits at most 200 ms for readers; the caller tries
-- again later.
CREATE FUNCTION shard.drop_months(keep integer) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '200ms' SET timezone = 'UTC' AS $$
DECLARE
  oldest timestamptz := date_trunc('month', now()) - make_interval(months => keep);
  partition text;
BEGIN
  IF keep < 1 THEN RAISE EXCEPTION 'keep must be at least 1 month'; END IF;
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

-- Stores which recipients are test recipients or forgotten, as the catalog says. The hits of a new test recipient are subtracted from
-- activity_15m and reach, and added again when the recipient is no longer one. For activity_15m they are computed from the events of the
-- kept months.
CREATE FUNCTION shard.tell(ids bigint[], tests boolean[], tombstones boolean[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  -- The judge must not run at the same time, because it changes the same rows. It never waits for a lock, so this one does not wait long.
  PERFORM pg_advisory_xact_lock(hashtext('clickledger.judge'));
  WITH input AS (SELECT * FROM unnest(ids, tests, tombstones) AS t (recipient_id, is_test, forgotten)),
  turned AS (
    SELECT input.recipient_id, CASE WHEN input.is_test THEN -1 ELSE 1 END AS sign
    FROM input LEFT JOIN shard.recipient known USING (recipient_id) WHERE input.is_test <> coalesce(known.is_test, false)
  ),
  -- The hits that are in the rollups: all events minus the waiting marks.
  rolled_up AS (
    SELECT e.campaign_id, e.link_id, shard.quarter_of(e.at) AS quarter, e.kind, e.verdict, t.sign AS hits
    FROM turned t JOIN shard.event e USING (recipient_id)
    UNION ALL
    SELECT m.campaign_id, m.link_id, shard.quarter_of(m.at), m.kind, m.verdict, -t.sign * m.hits FROM turned t JOIN shard.mark m USING (recipient_id)
  ),
  quarters AS (
    INSERT INTO shard.activity_15m AS known (campaign_id, link_id, quarter, kind, verdict, hits)
    SELECT campaign_id, link_id, quarter, kind, verdict, sum(hits) FROM rolled_up GROUP BY 1, 2, 3, 4, 5 HAVING sum(hits) <> 0
    ON CONFLICT (campaign_id, quarter, link_id, kind, verdict) DO UPDATE SET hits = known.hits + excluded.hits
  ),
  reached AS (
    INSERT INTO shard.reach AS known (campaign_id, link_id, kind, recipients, human_recipients)
    SELECT campaign_id, link_id, kind, sum(sign), coalesce(sum(sign) FILTER (WHERE is_human), 0)
    FROM (
      SELECT c.campaign_id, c.link_id, 'click'::shard.kind AS kind, t.sign, c.human_hits > 0 AS is_human FROM turned t JOIN shard.clicked_link c USING (recipient_id)
      UNION ALL
      SELECT e.campaign_id, 0, 'click', t.sign, e.human_clicks > 0 FROM turned t JOIN shard.engagement e USING (recipient_id) WHERE e.last_click_at IS NOT NULL
      UNION ALL
      SELECT e.campaign_id, 0, 'open', t.sign, shard.opening_hits(e.human_opens, e.human_clicks) > 0 FROM turned t JOIN shard.engagement e USING (recipient_id)
    ) AS each
    GROUP BY campaign_id, link_id, kind
    ON CONFLICT (campaign_id, link_id, kind) DO UPDATE SET
      recipients = known.recipients + excluded.recipients, human_recipients = known.human_recipients + excluded.human_recipients
  )
  INSERT INTO shard.recipient AS known (recipient_id, is_test, forgotten) SELECT * FROM input
  ON CONFLICT (recipient_id) DO UPDATE SET is_test = excluded.is_test, forgotten = known.forgotten OR excluded.forgotten;
END $$;
REVOKE EXECUTE ON FUNCTION shard.tell FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.tell TO clickledger_author;
REVOKE INSERT, UPDATE ON shard.recipient FROM clickledger_author;

GRANT INSERT ON shard.mark TO clickledger_worker;
GRANT EXECUTE ON FUNCTION shard.judge TO clickledger_worker;

-- Returns the number of marks that wait for the judge. A worker may not read the marks, so it needs this function. It stops counting at a
-- million, because it is called often, and then it is clear that the judge has a backlog.
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

CREATE VIEW shard_analytics.hits_by_day AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, (quarter AT TIME ZONE 'UTC')::date AS day, kind, sum(hits)::bigint AS hits,
         coalesce(sum(hits) FILTER (WHERE verdict = 'human'), 0)::bigint AS human_hits
  FROM shard_analytics.activity_15m GROUP BY campaign_id, day, kind;

-- The waiting clicks by recipient and link. Few marks wait, so summing them and joining the sums to the rollup is cheaper than grouping
-- both together.
CREATE VIEW shard.waiting_click AS
  SELECT campaign_id, recipient_id, link_id, coalesce(sum(hits) FILTER (WHERE verdict = 'human'), 0) AS human_hits,
         coalesce(sum(hits) FILTER (WHERE verdict <> 'human'), 0) AS machine_hits, min(at) AS first_at, max(at) AS last_at
  FROM shard.counted_mark WHERE kind = 'click' AND recipient_id <> 0 GROUP BY campaign_id, recipient_id, link_id;

-- The waiting clicks with the stored row of each recipient and link, as in the judge.
CREATE VIEW shard.waiting_link AS
  SELECT added.*, known.recipient_id IS NULL AS is_new, coalesce(known.human_hits, 0) AS known_human_hits
  FROM shard.waiting_click added LEFT JOIN LATERAL (
    SELECT * FROM shard.clicked_link c WHERE (c.campaign_id, c.recipient_id, c.link_id) = (added.campaign_id, added.recipient_id, added.link_id) OFFSET 0
  ) known ON true;

-- The waiting clicks and opens by recipient and campaign, with the stored row of shard.engagement.
CREATE VIEW shard.waiting_person AS
  SELECT added.*, known.recipient_id IS NULL AS is_new, coalesce(known.human_clicks, 0) AS known_human_clicks, known.last_click_at AS known_last_click_at,
         coalesce(known.human_opens, 0) AS known_human_opens, known.last_open_at AS known_last_open_at
  FROM (
    SELECT campaign_id, recipient_id, sum(human_clicks)::bigint AS human_clicks, sum(machine_clicks)::bigint AS machine_clicks, sum(human_clicked_links) AS human_clicked_links,
           max(last_click_at) AS last_click_at, sum(human_opens) AS human_opens, sum(machine_opens) AS machine_opens, min(open_at) AS first_open_at, max(open_at) AS last_open_at
    FROM (
      SELECT campaign_id, recipient_id, human_hits AS human_clicks, machine_hits AS machine_clicks, shard.turned_human(known_human_hits, human_hits) AS human_clicked_links,
             last_at AS last_click_at, 0 AS human_opens, 0 AS machine_opens, NULL AS open_at
      FROM shard.waiting_link
      UNION ALL
      SELECT campaign_id, recipient_id, 0, 0, 0, NULL, CASE verdict WHEN 'human' THEN hits ELSE 0 END, CASE verdict WHEN 'human' THEN 0 ELSE hits END, at
      FROM shard.counted_mark WHERE kind = 'open' AND recipient_id <> 0
    ) each GROUP BY campaign_id, recipient_id
  ) added LEFT JOIN LATERAL (
    SELECT * FROM shard.engagement e WHERE (e.campaign_id, e.recipient_id) = (added.campaign_id, added.recipient_id) OFFSET 0
  ) known ON true;

CREATE VIEW shard_analytics.clicked_links AS
  SELECT (SELECT name FROM shard.identity) AS shard, c.campaign_id, c.link_id, c.recipient_id, least(c.first_at, w.first_at) AS first_at, greatest(c.last_at, w.last_at) AS last_at,
         c.human_hits + coalesce(w.human_hits, 0) AS human_hits, c.machine_hits + coalesce(w.machine_hits, 0) AS machine_hits
  FROM shard.clicked_link c LEFT JOIN shard.waiting_click w USING (campaign_id, recipient_id, link_id)
  WHERE recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test)
  UNION ALL
  SELECT (SELECT name FROM shard.identity), campaign_id, link_id, recipient_id, first_at, last_at, human_hits, machine_hits FROM shard.waiting_link WHERE is_new;

CREATE VIEW shard.engagement_with_waiting AS
  WITH waiting_person AS MATERIALIZED (SELECT * FROM shard.waiting_person)
  SELECT e.campaign_id, e.recipient_id, e.human_clicks + coalesce(w.human_clicks, 0) AS human_clicks, e.machine_clicks + coalesce(w.machine_clicks, 0) AS machine_clicks,
         e.human_clicked_links + coalesce(w.human_clicked_links, 0) AS human_clicked_links, greatest(e.last_click_at, w.last_click_at) AS last_click_at,
         e.human_opens + coalesce(w.human_opens, 0) AS human_opens, e.machine_opens + coalesce(w.machine_opens, 0) AS machine_opens,
         least(e.first_open_at, w.first_open_at) AS first_open_at, greatest(e.last_open_at, w.last_open_at) AS last_open_at
  FROM shard.engagement e LEFT JOIN waiting_person w USING (campaign_id, recipient_id)
  WHERE recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test)
  UNION ALL
  SELECT campaign_id, recipient_id, human_clicks, machine_clicks, human_clicked_links, last_click_at, human_opens, machine_opens, first_open_at, last_open_at
  FROM waiting_person WHERE is_new;

CREATE VIEW shard_analytics.engagement AS
  SELECT (SELECT name FROM shard.identity) AS shard, *, shard.opening_hits(human_opens + machine_opens, human_clicks + machine_clicks) > 0 AS opened,
         shard.opening_hits(human_opens, human_clicks) > 0 AS human_opened
  FROM shard.engagement_with_waiting;

-- The time of the first hit of a recipient in each campaign.
CREATE VIEW shard_analytics.first_hits AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, min(first_at) AS first_at
  FROM (SELECT campaign_id, first_open_at AS first_at FROM shard.engagement_with_waiting
        UNION ALL
        SELECT campaign_id, first_at FROM shard_analytics.clicked_links) AS both_of_them
  GROUP BY campaign_id;

-- The recipients who opened a letter, up to 1,000 in each row. One row for each recipient would take ten times as long to transfer.
CREATE VIEW shard_analytics.openers AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, shard.opening_hits(human_opens, human_clicks) > 0 AS is_human, array_agg(recipient_id) AS recipient_ids
  FROM shard.engagement_with_waiting WHERE shard.opening_hits(human_opens + machine_opens, human_clicks + machine_clicks) > 0
  GROUP BY campaign_id, shard.opening_hits(human_opens, human_clicks) > 0, recipient_id / 1000;

-- shard.reach, including the waiting marks.
CREATE VIEW shard.reach_with_waiting AS
  SELECT campaign_id, link_id, kind, sum(recipients)::bigint AS recipients, sum(human_recipients)::bigint AS human_recipients
  FROM (SELECT campaign_id, link_id, kind, recipients, human_recipients FROM shard.reach
        UNION ALL
        SELECT campaign_id, link_id, 'click', is_new::int, shard.turned_human(known_human_hits, human_hits) FROM shard.waiting_link
        UNION ALL
        SELECT campaign_id, 0, by_kind.kind, by_kind.is_new::int, by_kind.turned
        FROM shard.waiting_person CROSS JOIN LATERAL (VALUES
          ('click'::shard.kind, known_last_click_at IS NULL AND last_click_at IS NOT NULL, shard.turned_human(known_human_clicks, human_clicks)),
          ('open', is_new, shard.turned_human(shard.opening_hits(known_human_opens, known_human_clicks), shard.opening_hits(human_opens, human_clicks)))
        ) AS by_kind (kind, is_new, turned)
       ) AS all_of_them
  GROUP BY campaign_id, link_id, kind;

-- The hits come from activity_15m, because it includes shared links. Recipients can have opened without a hit of this kind.
CREATE VIEW shard_analytics.campaign_totals AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, kind, sum(hits)::bigint AS hits, sum(human_hits)::bigint AS human_hits,
         sum(recipients)::bigint AS recipients, sum(human_recipients)::bigint AS human_recipients
  FROM (SELECT campaign_id, kind, hits, CASE verdict WHEN 'human' THEN hits ELSE 0 END AS human_hits, 0 AS recipients, 0 AS human_recipients
        FROM shard_analytics.activity_15m
        UNION ALL
        SELECT campaign_id, kind::text, 0, 0, recipients, human_recipients FROM shard.reach_with_waiting WHERE link_id = 0) AS both_of_them
  GROUP BY campaign_id, kind HAVING sum(hits) <> 0 OR sum(recipients) <> 0;

GRANT SELECT ON shard_analytics.activity_15m, shard_analytics.hits_by_day, shard_analytics.clicked_links, shard_analytics.engagement, shard_analytics.first_hits, shard_analytics.openers,
  shard_analytics.campaign_totals TO clickledger_analyst;
