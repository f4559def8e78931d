-- Counts that are kept up, so that reports need not read events.
--
-- The transaction that commits events appends marks, one an event. One judge at a time takes marks away, adds them to the rollups, and looks
-- at the clicks of each recipient around them again: what turns out to be part of a burst is moved in the rollups by the difference. So
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
  PRIMARY KEY (campaign_id, kind, recipient_id, link_id)
) WITH (fillfactor = 80);

-- What each recipient did in each campaign: how many people there are is asked more often than anything else.
CREATE TABLE shard.reach (
  campaign_id  bigint NOT NULL,
  recipient_id bigint NOT NULL,
  kind         shard.kind NOT NULL,
  human_hits   bigint NOT NULL,
  PRIMARY KEY (campaign_id, kind, recipient_id)
) WITH (fillfactor = 80);

-- How many people that makes, link by link. Without test recipients.
CREATE TABLE shard.link_reach (
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

-- Takes up to `most` marks and gives how many; null while another judge is at work. A click is part of a burst when its recipient clicked
-- `links` different links within `span`. All of it is one statement, which sees the same events everywhere.
CREATE FUNCTION shard.judge(most integer, rules_version integer, span interval, links integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  number_taken bigint;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtext('clickledger.judge')) THEN RETURN NULL; END IF;
  WITH taken AS MATERIALIZED (
    DELETE FROM shard.mark WHERE ctid = ANY (ARRAY(SELECT ctid FROM shard.mark LIMIT most)) RETURNING *
  ),
  -- Whose clicks may be bursts now, and around when. A burst reaches `span` from its first click, so a new click can change what is
  -- within `span` of it, and that depends on what is within twice as much.
  touched AS (
    SELECT recipient_id, min(at) AS first_at, max(at) AS last_at FROM taken WHERE kind = 'click' AND recipient_id <> 0 GROUP BY recipient_id
  ),
  click AS MATERIALIZED (
    SELECT e.tableoid AS part, e.ctid AS place, e.at, e.recipient_id, e.link_id, e.verdict = 'human' AS is_human
    FROM touched t JOIN shard.event e ON e.recipient_id = t.recipient_id AND e.at BETWEEN t.first_at - 2 * span AND t.last_at + 2 * span
    WHERE e.kind = 'click'
  ),
  burst AS (
    SELECT DISTINCT begin.recipient_id, begin.at
    FROM click begin JOIN click other ON other.recipient_id = begin.recipient_id AND other.at BETWEEN begin.at AND begin.at + span
    GROUP BY begin.part, begin.place, begin.recipient_id, begin.at HAVING count(DISTINCT other.link_id) >= links
  ),
  changed AS (
    UPDATE shard.event e SET verdict = 'burst', signals = coalesce(e.signals, '{}') || '{burst}', rules = rules_version
    FROM (SELECT DISTINCT c.part, c.place FROM click c JOIN burst b ON b.recipient_id = c.recipient_id AND c.at BETWEEN b.at AND b.at + span WHERE c.is_human) found
    WHERE e.tableoid = found.part AND e.ctid = found.place
    RETURNING e.at, e.recipient_id, e.link_id, e.campaign_id, e.kind
  ),
  delta AS MATERIALIZED (
    SELECT at, recipient_id, link_id, campaign_id, kind, verdict, hits FROM taken
    UNION ALL SELECT at, recipient_id, link_id, campaign_id, kind, 'human', -1 FROM changed
    UNION ALL SELECT at, recipient_id, link_id, campaign_id, kind, 'burst', 1 FROM changed
  ),
  quarters AS (
    INSERT INTO shard.activity_15m AS known (campaign_id, link_id, quarter, kind, verdict, hits)
    SELECT campaign_id, link_id, shard.quarter_of(at), kind, verdict, sum(hits) FROM delta
    WHERE NOT EXISTS (SELECT FROM shard.recipient r WHERE r.is_test AND r.recipient_id = delta.recipient_id)
    GROUP BY campaign_id, link_id, shard.quarter_of(at), kind, verdict HAVING sum(hits) <> 0
    ON CONFLICT (campaign_id, quarter, link_id, kind, verdict) DO UPDATE SET hits = known.hits + excluded.hits
  ),
  gathered AS MATERIALIZED (
    SELECT campaign_id, recipient_id, link_id, kind, coalesce(sum(hits) FILTER (WHERE verdict = 'human'), 0) AS human_hits,
           coalesce(sum(hits) FILTER (WHERE verdict <> 'human'), 0) AS machine_hits, min(at) AS first_at, max(at) AS last_at
    FROM delta WHERE recipient_id <> 0 GROUP BY campaign_id, recipient_id, link_id, kind
  ),
  reached AS (
    INSERT INTO shard.reach AS known (campaign_id, recipient_id, kind, human_hits)
    SELECT campaign_id, recipient_id, kind, sum(human_hits) FROM gathered GROUP BY campaign_id, recipient_id, kind
    ON CONFLICT (campaign_id, kind, recipient_id) DO UPDATE SET human_hits = known.human_hits + excluded.human_hits
  ),
  -- Everything in one statement sees the tables as they were before it: here is who was not there yet, or not yet as a person.
  link_reached AS (
    INSERT INTO shard.link_reach AS known (campaign_id, link_id, kind, recipients, human_recipients)
    SELECT g.campaign_id, g.link_id, g.kind, count(*) FILTER (WHERE a.recipient_id IS NULL),
           sum((coalesce(a.human_hits, 0) + g.human_hits > 0)::int - (coalesce(a.human_hits, 0) > 0)::int)
    FROM gathered g LEFT JOIN shard.activity a ON (a.campaign_id, a.kind, a.recipient_id, a.link_id) = (g.campaign_id, g.kind, g.recipient_id, g.link_id)
    WHERE NOT EXISTS (SELECT FROM shard.recipient r WHERE r.is_test AND r.recipient_id = g.recipient_id)
    GROUP BY g.campaign_id, g.link_id, g.kind
    ON CONFLICT (campaign_id, link_id, kind) DO UPDATE SET
      recipients = known.recipients + excluded.recipients, human_recipients = known.human_recipients + excluded.human_recipients
  ),
  done AS (
    INSERT INTO shard.activity AS known (campaign_id, recipient_id, link_id, kind, human_hits, machine_hits, first_at, last_at)
    SELECT campaign_id, recipient_id, link_id, kind, human_hits, machine_hits, first_at, last_at FROM gathered
    ON CONFLICT (campaign_id, kind, recipient_id, link_id) DO UPDATE SET
      human_hits = known.human_hits + excluded.human_hits, machine_hits = known.machine_hits + excluded.machine_hits,
      first_at = least(known.first_at, excluded.first_at), last_at = greatest(known.last_at, excluded.last_at)
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
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('clickledger.judge'));
  RETURN QUERY
  WITH hit AS MATERIALIZED (
    SELECT e.tableoid AS part, e.ctid AS place, e.at, e.recipient_id, e.link_id, e.kind, e.verdict, e.rules, coalesce(e.signals, '{}') AS signals, e.net
    FROM shard.event e WHERE e.campaign_id = campaign
  ),
  -- A burst may have clicks on links of other campaigns in it.
  click AS MATERIALIZED (
    SELECT e.tableoid AS part, e.ctid AS place, e.at, e.recipient_id, e.link_id
    FROM (SELECT DISTINCT recipient_id FROM hit WHERE hit.kind = 'click' AND recipient_id <> 0) person JOIN shard.event e USING (recipient_id)
    WHERE e.kind = 'click'
  ),
  burst AS (
    SELECT DISTINCT begin.recipient_id, begin.at
    FROM click begin JOIN click other ON other.recipient_id = begin.recipient_id AND other.at BETWEEN begin.at AND begin.at + span
    GROUP BY begin.part, begin.place, begin.recipient_id, begin.at HAVING count(DISTINCT other.link_id) >= links
  ),
  in_burst AS (
    SELECT DISTINCT c.part, c.place FROM click c JOIN burst b ON b.recipient_id = c.recipient_id AND c.at BETWEEN b.at AND b.at + span
  ),
  alone AS (
    SELECT hit.*, ARRAY(SELECT sign FROM unnest(machine_signals || '{proxied}') WITH ORDINALITY AS known (sign, n)
                        WHERE sign <> 'burst' AND CASE sign WHEN 'scanner-net' THEN net = ANY (scanner_networks) ELSE sign = ANY (hit.signals) END ORDER BY n) AS now_alone
    FROM hit
  ),
  again AS (
    SELECT alone.*, CASE WHEN found.part IS NOT NULL AND NOT now_alone && machine_signals THEN now_alone || '{burst}' ELSE now_alone END AS now_signals
    FROM alone LEFT JOIN in_burst found USING (part, place)
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
  links AS (
    INSERT INTO shard.link_reach AS known (campaign_id, link_id, kind, recipients, human_recipients)
    SELECT a.campaign_id, a.link_id, a.kind, sum(t.sign), coalesce(sum(t.sign) FILTER (WHERE a.human_hits > 0), 0)
    FROM turned t JOIN shard.activity a USING (recipient_id) GROUP BY a.campaign_id, a.link_id, a.kind
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

CREATE VIEW shard.counted_mark AS
  SELECT * FROM shard.mark WHERE NOT EXISTS (SELECT FROM shard.recipient r WHERE r.is_test AND r.recipient_id = mark.recipient_id);

CREATE OR REPLACE VIEW shard_analytics.activity_15m AS
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

CREATE OR REPLACE VIEW shard_analytics.activity AS
  SELECT (SELECT name FROM shard.identity) AS shard, a.campaign_id, a.link_id, a.recipient_id, a.kind::text AS kind,
         least(a.first_at, w.first_at) AS first_at, greatest(a.last_at, w.last_at) AS last_at,
         a.human_hits + coalesce(w.human_hits, 0) AS human_hits, a.machine_hits + coalesce(w.machine_hits, 0) AS machine_hits
  FROM shard.activity a LEFT JOIN shard.waiting w USING (campaign_id, recipient_id, link_id, kind)
  WHERE NOT EXISTS (SELECT FROM shard.recipient r WHERE r.is_test AND r.recipient_id = a.recipient_id)
  UNION ALL
  SELECT (SELECT name FROM shard.identity), w.campaign_id, w.link_id, w.recipient_id, w.kind::text, w.first_at, w.last_at, w.human_hits, w.machine_hits
  FROM shard.waiting w
  WHERE NOT EXISTS (SELECT FROM shard.activity a WHERE (a.campaign_id, a.kind, a.recipient_id, a.link_id) = (w.campaign_id, w.kind, w.recipient_id, w.link_id));

-- The same for a campaign as a whole.
CREATE VIEW shard.reached AS
  WITH waiting AS (
    SELECT campaign_id, recipient_id, kind, sum(human_hits)::bigint AS human_hits FROM shard.waiting GROUP BY campaign_id, recipient_id, kind
  )
  SELECT r.campaign_id, r.kind, r.recipient_id, r.human_hits + coalesce(w.human_hits, 0) AS human_hits
  FROM shard.reach r LEFT JOIN waiting w USING (campaign_id, recipient_id, kind)
  WHERE NOT EXISTS (SELECT FROM shard.recipient t WHERE t.is_test AND t.recipient_id = r.recipient_id)
  UNION ALL
  SELECT w.campaign_id, w.kind, w.recipient_id, w.human_hits FROM waiting w
  WHERE NOT EXISTS (SELECT FROM shard.reach r WHERE (r.campaign_id, r.kind, r.recipient_id) = (w.campaign_id, w.kind, w.recipient_id));

-- Hits from the quarters, which have the shared links too.
CREATE OR REPLACE VIEW shard_analytics.campaign_totals AS
  SELECT (SELECT name FROM shard.identity) AS shard, h.campaign_id, h.kind, h.hits, h.human_hits, coalesce(p.recipients, 0) AS recipients,
         coalesce(p.human_recipients, 0) AS human_recipients
  FROM (SELECT campaign_id, kind, sum(hits)::bigint AS hits, coalesce(sum(hits) FILTER (WHERE verdict = 'human'), 0)::bigint AS human_hits
        FROM shard_analytics.activity_15m GROUP BY campaign_id, kind) h
  LEFT JOIN (SELECT campaign_id, kind::text AS kind, count(*) AS recipients, count(*) FILTER (WHERE human_hits > 0) AS human_recipients
             FROM shard.reached GROUP BY campaign_id, kind) p USING (campaign_id, kind);
