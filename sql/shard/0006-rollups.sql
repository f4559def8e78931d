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

-- Which links each recipient clicked, test recipients too.
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

-- What each recipient did in a campaign altogether, test recipients too. A campaign has one pixel, so this is all there is to say of opens.
CREATE TABLE shard.engagement (
  campaign_id         bigint NOT NULL,
  recipient_id        bigint NOT NULL,
  human_clicks        bigint NOT NULL,
  machine_clicks      bigint NOT NULL,
  -- How many different links were clicked, and how many of them by the recipient and not only by machines.
  clicked_links       bigint NOT NULL,
  human_clicked_links bigint NOT NULL,
  last_click_at       timestamptz,
  human_opens         bigint NOT NULL,
  machine_opens       bigint NOT NULL,
  first_open_at       timestamptz,
  last_open_at        timestamptz,
  PRIMARY KEY (campaign_id, recipient_id)
) WITH (fillfactor = 80);

-- How many people that makes: who clicked a link and, as link 0, who clicked or opened anything in the campaign. Without test recipients.
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

-- Whether so many more human hits make a person of what was only machines (1), or the other way round (-1).
CREATE FUNCTION shard.turned_human(known bigint, more bigint) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (known + more > 0)::int - (known > 0)::int;

-- Takes up to `most` marks and gives how many; null while another judge is at work. A click is part of a burst when its recipient clicked
-- `links` different links of the campaign within `span`. What turns out to be in a burst is said by new marks, for the next time. All of it is
-- one statement, which sees the same tables everywhere, as they were before it. The planner cannot know how much waits, nor that a small table
-- has grown since it looked: nested loops are for what is looked up one by one (LATERAL) and nowhere else, and looking up is done by an index.
-- A row that was found is changed at its place: nobody else writes these tables while the judge's lock is held.
CREATE FUNCTION shard.judge(most integer, rules_version integer, span interval, links integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET work_mem = '32MB' SET enable_nestloop = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
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
  -- What that adds to the links that each recipient clicked, beside what was known of them. So few hits fit integers, whose sums are cheaper.
  link AS MATERIALIZED (
    SELECT added.*, known.place, coalesce(known.human_hits, 0) AS known_human_hits
    FROM (
      SELECT campaign_id, recipient_id, link_id, coalesce(sum(hits) FILTER (WHERE verdict = 'human'), 0)::integer AS human_hits,
             coalesce(sum(hits) FILTER (WHERE verdict <> 'human'), 0)::integer AS machine_hits, min(at) AS first_at, max(at) AS last_at
      FROM taken WHERE kind = 'click' AND recipient_id <> 0 GROUP BY campaign_id, recipient_id, link_id ORDER BY campaign_id, recipient_id, link_id
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
  -- The same for what each recipient did altogether.
  person AS MATERIALIZED (
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
        FROM taken WHERE kind = 'open' AND recipient_id <> 0
      ) each GROUP BY campaign_id, recipient_id ORDER BY campaign_id, recipient_id
    ) added LEFT JOIN LATERAL (
      SELECT e.ctid AS place, e.* FROM shard.engagement e WHERE (e.campaign_id, e.recipient_id) = (added.campaign_id, added.recipient_id) OFFSET 0
    ) known ON true
  ),
  new_people AS (
    INSERT INTO shard.engagement (campaign_id, recipient_id, human_clicks, machine_clicks, clicked_links, human_clicked_links, last_click_at, human_opens, machine_opens, first_open_at, last_open_at)
    SELECT campaign_id, recipient_id, human_clicks, machine_clicks, clicked_links, human_clicked_links, last_click_at, human_opens, machine_opens, first_open_at, last_open_at
    FROM person WHERE place IS NULL
  ),
  known_people AS (
    UPDATE shard.engagement e SET
      human_clicks = e.human_clicks + person.human_clicks, machine_clicks = e.machine_clicks + person.machine_clicks,
      clicked_links = e.clicked_links + person.clicked_links, human_clicked_links = e.human_clicked_links + person.human_clicked_links,
      last_click_at = greatest(e.last_click_at, person.last_click_at),
      human_opens = e.human_opens + person.human_opens, machine_opens = e.machine_opens + person.machine_opens,
      first_open_at = least(e.first_open_at, person.first_open_at), last_open_at = greatest(e.last_open_at, person.last_open_at)
    FROM person WHERE e.ctid = ANY (ARRAY(SELECT place FROM person)) AND e.ctid = person.place
  ),
  reached AS (
    INSERT INTO shard.reach AS known (campaign_id, link_id, kind, recipients, human_recipients)
    SELECT campaign_id, link_id, kind, count(*) FILTER (WHERE is_new), sum(turned)
    FROM (
      SELECT campaign_id, 'click'::shard.kind AS kind, recipient_id, link_id, place IS NULL AS is_new, shard.turned_human(known_human_hits, human_hits) AS turned FROM link
      UNION ALL
      SELECT campaign_id, 'click', recipient_id, 0, known_last_click_at IS NULL AND last_click_at IS NOT NULL, shard.turned_human(known_human_clicks, human_clicks) FROM person
      UNION ALL
      SELECT campaign_id, 'open', recipient_id, 0, known_last_open_at IS NULL AND last_open_at IS NOT NULL, shard.turned_human(known_human_opens, human_opens) FROM person
    ) each
    WHERE (is_new OR turned <> 0) AND recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test)
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
      WHERE e.recipient_id = person.recipient_id AND e.at BETWEEN person.first_click_at - 2 * span AND person.last_click_at + 2 * span
        AND e.kind = 'click' AND e.campaign_id = person.campaign_id OFFSET 0
    ) e
    WHERE person.known_clicked_links + person.clicked_links >= judge.links
      AND (person.links_now >= judge.links OR person.known_last_click_at >= person.first_click_at - 2 * span)
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
    FROM (
      SELECT c.campaign_id, c.link_id, 'click'::shard.kind AS kind, t.sign, c.human_hits > 0 AS is_human FROM turned t JOIN shard.clicked_link c USING (recipient_id)
      UNION ALL
      SELECT e.campaign_id, 0, 'click', t.sign, e.human_clicks > 0 FROM turned t JOIN shard.engagement e USING (recipient_id) WHERE e.last_click_at IS NOT NULL
      UNION ALL
      SELECT e.campaign_id, 0, 'open', t.sign, e.human_opens > 0 FROM turned t JOIN shard.engagement e USING (recipient_id) WHERE e.last_open_at IS NOT NULL
    ) AS each
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

-- What waits is little: it is added up by itself and looked up for every row of the rollup, instead of grouping both.
CREATE VIEW shard.waiting_click AS
  SELECT campaign_id, recipient_id, link_id, coalesce(sum(hits) FILTER (WHERE verdict = 'human'), 0) AS human_hits,
         coalesce(sum(hits) FILTER (WHERE verdict <> 'human'), 0) AS machine_hits, min(at) AS first_at, max(at) AS last_at
  FROM shard.counted_mark WHERE kind = 'click' AND recipient_id <> 0 GROUP BY campaign_id, recipient_id, link_id;

-- The same beside what is known of each recipient's links, as in the judge.
CREATE VIEW shard.waiting_link AS
  SELECT added.*, known.recipient_id IS NULL AS is_new, coalesce(known.human_hits, 0) AS known_human_hits
  FROM shard.waiting_click added LEFT JOIN LATERAL (
    SELECT * FROM shard.clicked_link c WHERE (c.campaign_id, c.recipient_id, c.link_id) = (added.campaign_id, added.recipient_id, added.link_id) OFFSET 0
  ) known ON true;

-- The same for what each recipient did altogether.
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
  SELECT (SELECT name FROM shard.identity) AS shard, * FROM shard.engagement_with_waiting;

-- Who opened a letter, up to a thousand people in a row: a row each would take ten times as long on its way.
CREATE VIEW shard_analytics.openers AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, human_opens > 0 AS is_human, array_agg(recipient_id) AS recipient_ids
  FROM shard.engagement_with_waiting WHERE human_opens + machine_opens > 0 GROUP BY campaign_id, human_opens > 0, recipient_id / 1000;

-- How many people are reached, what waits included.
CREATE VIEW shard.reach_with_waiting AS
  SELECT campaign_id, link_id, kind, sum(recipients)::bigint AS recipients, sum(human_recipients)::bigint AS human_recipients
  FROM (SELECT campaign_id, link_id, kind, recipients, human_recipients FROM shard.reach
        UNION ALL
        SELECT campaign_id, link_id, 'click', is_new::int, shard.turned_human(known_human_hits, human_hits) FROM shard.waiting_link
        UNION ALL
        SELECT campaign_id, 0, by_kind.kind, by_kind.is_new::int, by_kind.turned
        FROM shard.waiting_person CROSS JOIN LATERAL (VALUES
          ('click'::shard.kind, known_last_click_at IS NULL AND last_click_at IS NOT NULL, shard.turned_human(known_human_clicks, human_clicks)),
          ('open', known_last_open_at IS NULL AND last_open_at IS NOT NULL, shard.turned_human(known_human_opens, human_opens))
        ) AS by_kind (kind, is_new, turned)
       ) AS all_of_them
  GROUP BY campaign_id, link_id, kind;

-- Hits from the quarters, which have the shared links too.
CREATE VIEW shard_analytics.campaign_totals AS
  SELECT (SELECT name FROM shard.identity) AS shard, h.campaign_id, h.kind, h.hits, h.human_hits, coalesce(p.recipients, 0) AS recipients,
         coalesce(p.human_recipients, 0) AS human_recipients
  FROM (SELECT campaign_id, kind, sum(hits)::bigint AS hits, coalesce(sum(hits) FILTER (WHERE verdict = 'human'), 0)::bigint AS human_hits
        FROM shard_analytics.activity_15m GROUP BY campaign_id, kind) h
  LEFT JOIN (SELECT campaign_id, kind::text AS kind, recipients, human_recipients FROM shard.reach_with_waiting WHERE link_id = 0) p USING (campaign_id, kind);

GRANT SELECT ON shard_analytics.activity_15m, shard_analytics.clicked_links, shard_analytics.engagement, shard_analytics.openers, shard_analytics.campaign_totals TO clickledger_analyst;
