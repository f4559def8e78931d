-- Hits whose verdict changes. The judge looks again at clicks whose signs depend on other clicks; `clickledger reclassify` applies other
-- rules to a whole campaign. Test recipients are handled likewise: their hits are taken out of the counts and sets, or put back.

-- The hits that one transaction takes out of the counts and sets (sign -1) or puts in (sign 1). shard.apply_changes deletes them.
CREATE TABLE shard.hit_change (
  sign         smallint NOT NULL,
  at           timestamptz NOT NULL,
  recipient_id bigint NOT NULL,
  link_id      bigint NOT NULL,
  campaign_id  bigint NOT NULL,
  kind         shard.kind NOT NULL,
  verdict      shard.verdict NOT NULL,
  country      text,
  net          text,
  referrer     text,
  agent_id     bigint NOT NULL
);

-- The facts about each changed hit.
CREATE VIEW shard.changed_fact AS
  SELECT h.sign, h.campaign_id, h.recipient_id, f.facet, f.value, f.link AS link_id, h.kind, h.recipient_id / 15000 AS chunk, h.verdict = 'human' AS is_human
  FROM shard.hit_change h LEFT JOIN shard.user_agent a ON a.id = h.agent_id
  CROSS JOIN LATERAL shard.facts(h.at, h.link_id, h.kind, h.verdict, h.country, h.net, h.referrer, a.client, a.system, a.device) f;

-- Moves the counts and sets with the changed hits. The caller has changed the events and the test recipients before, and holds the lock of the
-- judge. A recipient who loses a hit is taken out of the sets of this hit, and put in again where another event belongs to the same set. Events whose
-- hit is still in a delta do not count for this.
CREATE FUNCTION shard.apply_changes() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET work_mem = '32MB' SET jit = off AS $$
BEGIN
  INSERT INTO shard.activity_15m AS known (campaign_id, link_id, quarter, kind, verdict, hits)
  SELECT campaign_id, link_id, shard.quarter_of(at), kind, verdict, sum(sign) FROM shard.hit_change GROUP BY 1, 2, 3, 4, 5 HAVING sum(sign) <> 0
  ON CONFLICT (campaign_id, quarter, link_id, kind, verdict) DO UPDATE SET hits = known.hits + excluded.hits;

  -- Hits are added first, because a hit may be added and taken out again.
  PERFORM shard.add_hit_counts(array_agg(campaign_id), array_agg(chunk), array_agg(numbers::text))
  FROM (SELECT campaign_id, recipient_id / 250 AS chunk, array_agg(shard.counter_of(recipient_id, kind, verdict = 'human')) AS numbers
        FROM shard.hit_change WHERE sign = 1 AND recipient_id <> 0 GROUP BY 1, 2) AS added;
  UPDATE shard.hit_count c SET few = NULL, counters = shard.add_to_counters(shard.add_to_counters(c.counters, c.few, 1), gone.numbers, -1)
  FROM (SELECT campaign_id, recipient_id / 250 AS chunk, array_agg(shard.counter_of(recipient_id, kind, verdict = 'human')) AS numbers
        FROM shard.hit_change WHERE sign = -1 AND recipient_id <> 0 GROUP BY 1, 2) AS gone
  WHERE (c.campaign_id, c.chunk) = (gone.campaign_id, gone.chunk);

  UPDATE shard.people p SET
    few = shard.without_few(p.few, gone.people), bits = shard.set_bits(p.bits, gone.people, 0),
    human_few = shard.without_few(p.human_few, gone.people), human_bits = shard.set_bits(p.human_bits, gone.people, 0)
  FROM (SELECT campaign_id, facet, value, link_id, kind, chunk, array_agg(DISTINCT (recipient_id % 15000)::integer) AS people
        FROM shard.changed_fact WHERE sign = -1 AND recipient_id <> 0 AND campaign_id NOT IN (SELECT campaign_id FROM shard.thinned_campaign)
        GROUP BY campaign_id, facet, value, link_id, kind, chunk) AS gone
  WHERE (p.campaign_id, p.facet, p.value, p.link_id, p.kind, p.chunk) = (gone.campaign_id, gone.facet, gone.value, gone.link_id, gone.kind, gone.chunk);

  WITH changed AS MATERIALIZED (SELECT * FROM shard.changed_fact),
  difference AS (
    SELECT campaign_id, facet, value, link_id, kind, chunk, sum(sign) AS hits, coalesce(sum(sign) FILTER (WHERE is_human), 0) AS human_hits
    FROM changed GROUP BY campaign_id, facet, value, link_id, kind, chunk
  ),
  person AS MATERIALIZED (SELECT DISTINCT campaign_id, recipient_id FROM shard.hit_change WHERE sign = -1 AND recipient_id <> 0),
  waiting AS (
    SELECT h.campaign_id, h.recipient_id, h.link_id, h.at, h.kind, h.verdict, h.agent_id, coalesce(h.country, '') AS country, coalesce(h.net, '') AS net,
           coalesce(h.referrer, '') AS referrer
    FROM shard.any_delta_hit h WHERE (h.campaign_id, h.recipient_id) IN (SELECT campaign_id, recipient_id FROM person)
  ),
  -- The remaining facts of everyone who was taken out.
  remaining AS MATERIALIZED (
    SELECT e.campaign_id, f.facet, f.value, f.link AS link_id, e.kind, e.recipient_id, e.verdict = 'human' AS is_human
    FROM person JOIN shard.event e ON e.recipient_id = person.recipient_id AND e.campaign_id = person.campaign_id
    LEFT JOIN shard.user_agent a ON a.id = e.agent_id
    CROSS JOIN LATERAL shard.facts(e.at, e.link_id, e.kind, e.verdict, e.country, e.net, e.referrer, a.client, a.system, a.device) f
    WHERE e.recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test)
      AND (e.campaign_id, e.recipient_id, e.link_id, e.at, e.kind, e.verdict, e.agent_id, coalesce(e.country, ''), coalesce(e.net, ''), coalesce(e.referrer, ''))
          NOT IN (SELECT campaign_id, recipient_id, link_id, at, kind, verdict, agent_id, country, net, referrer FROM waiting)
  ),
  added AS (
    SELECT campaign_id, facet, value, link_id, kind, recipient_id, is_human FROM remaining
    WHERE (campaign_id, facet, value, link_id, kind, recipient_id) IN (SELECT campaign_id, facet, value, link_id, kind, recipient_id FROM changed)
    UNION ALL
    SELECT campaign_id, facet, value, link_id, kind, recipient_id, is_human FROM changed
    WHERE recipient_id <> 0 AND (campaign_id, recipient_id) NOT IN (SELECT campaign_id, recipient_id FROM person)
  ),
  people AS (
    SELECT campaign_id, facet, value, link_id, kind, recipient_id / 15000 AS chunk, array_agg(DISTINCT (recipient_id % 15000)::integer) AS people,
           coalesce(array_agg(DISTINCT (recipient_id % 15000)::integer) FILTER (WHERE is_human), '{}') AS humans
    FROM added GROUP BY campaign_id, facet, value, link_id, kind, chunk
  )
  INSERT INTO shard.people AS p (campaign_id, facet, value, link_id, kind, chunk, hits, human_hits, few, bits, human_few, human_bits)
  SELECT campaign_id, facet, value, link_id, kind, chunk, hits, human_hits,
         shard.union_few('{}', NULL, coalesce(people, '{}'), NULL), shard.union_bits('{}', NULL, coalesce(people, '{}'), NULL),
         shard.union_few('{}', NULL, coalesce(humans, '{}'), NULL), shard.union_bits('{}', NULL, coalesce(humans, '{}'), NULL)
  FROM difference LEFT JOIN people USING (campaign_id, facet, value, link_id, kind, chunk)
  ON CONFLICT (campaign_id, facet, value, link_id, kind, chunk) DO UPDATE SET
    hits = p.hits + excluded.hits, human_hits = p.human_hits + excluded.human_hits,
    few = shard.union_few(p.few, p.bits, excluded.few, excluded.bits), bits = shard.union_bits(p.few, p.bits, excluded.few, excluded.bits),
    human_few = shard.union_few(p.human_few, p.human_bits, excluded.human_few, excluded.human_bits),
    human_bits = shard.union_bits(p.human_few, p.human_bits, excluded.human_few, excluded.human_bits);

  DELETE FROM shard.hit_change;
END $$;
REVOKE EXECUTE ON FUNCTION shard.apply_changes FROM PUBLIC;

-- A step of the judge is one transaction. It calls shard.next_deltas and shard.clicks_to_judge. event-worker/found-signals.ts finds the signs that follow from
-- other clicks. Then shard.add_judged_hits and shard.change_hits change the events, event-worker/merge.ts merges the deltas, and shard.apply_changes
-- moves the counts and sets of hits that were merged before. `clickledger reclassify` does the same with shard.deltas_of and shard.campaign_hits.

-- The hits whose signs or rules change. The same transaction empties the table.
CREATE TABLE shard.judged_hit (
  part         oid NOT NULL,
  place        tid NOT NULL,
  at           timestamptz NOT NULL,
  campaign_id  bigint NOT NULL,
  recipient_id bigint NOT NULL,
  link_id      bigint NOT NULL,
  was          shard.verdict NOT NULL,
  becomes      shard.verdict NOT NULL,
  signals      text[] NOT NULL
);

-- Chooses the oldest deltas, until they have `most` hits. Returns their ids and the number of their hits, which are null if another judge is running.
-- `is_more_left` is true if there are more deltas.
CREATE FUNCTION shard.next_deltas(most integer, OUT deltas bigint[], OUT hits bigint, OUT is_more_left boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtext('clickledger.judge')) THEN RETURN; END IF;
  SELECT coalesce(array_agg(id), '{}'), coalesce(sum(n), 0) INTO deltas, hits FROM (
    SELECT id, n, sum(n) OVER (ORDER BY id) - n AS hits_before FROM (SELECT o.id, o.hits AS n FROM shard.delta o ORDER BY o.id LIMIT 10000) AS oldest
  ) AS each WHERE hits_before < most;
  is_more_left := EXISTS (SELECT FROM shard.delta WHERE id > deltas[cardinality(deltas)]);
END $$;
REVOKE EXECUTE ON FUNCTION shard.next_deltas FROM PUBLIC;

-- The ids of the deltas of a campaign. Waits for the lock of the judge.
CREATE FUNCTION shard.deltas_of(campaign bigint) RETURNS bigint[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('clickledger.judge'));
  RETURN (SELECT coalesce(array_agg(id), '{}') FROM shard.delta WHERE campaign_id = campaign);
END $$;
REVOKE EXECUTE ON FUNCTION shard.deltas_of FROM PUBLIC;

-- What a user agent has besides its version. A browser may update itself between two clicks, and some versions are stored as '(other)', so browsers
-- are compared without their version. `agent` is null if the user agent is not stored.
CREATE FUNCTION shard.browser_of(agent shard.user_agent, id bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(agent.client || ' ' || agent.system || ' ' || agent.device, id::text);

-- Whether the script sent a visit for a click: with its link, recipient and visitor, at most `within` after it, and not judged as a machine's. An
-- unsure visit is enough, because it comes from the same address as the click, and the network of this address is already a sign of the click.
CREATE FUNCTION shard.is_visited(recipient bigint, link bigint, click_visitor bigint, click_at timestamptz, within interval) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM shard.site_event v
    WHERE v.recipient_id = recipient AND v.recipient_id <> 0 AND v.at BETWEEN click_at AND click_at + within AND v.kind = 'visit' AND v.link_id = link
      AND v.visitor = click_visitor AND v.session IS NOT NULL AND v.verdict IN ('human', 'unsure'));
END $$;
REVOKE EXECUTE ON FUNCTION shard.is_visited FROM PUBLIC;

-- The clicks of recipients who have a click in these deltas, or are in the arrays of shard.take_visits, by recipient and time. The signs of a click depend on the clicks within `reach` of it. So a
-- new click can change the clicks within `reach`, and those depend on the clicks within 2 * `reach`. `complete` is true if the result has all clicks on which
-- the signs of this click depend. A recipient is in the result only if a sign can follow from other clicks. Then one of the clicks has a verdict in
-- `open_verdicts`, and at least one of the following holds: there are `fewest` clicks within `reach`; two successive clicks on one link are by different user agents;
-- a click has a `telling` sign; a click with any sign is visited. For a click without other signs, a visit changes nothing.
--
-- The planner's statistics may be out of date, so the settings force index lookups, and allow nested loops only for LATERAL lookups.
CREATE FUNCTION shard.clicks_to_judge(deltas bigint[], campaigns bigint[], recipients bigint[], first_times double precision[], last_times double precision[], reach interval, fewest integer, open_verdicts text[], telling text[], visited_within interval)
RETURNS TABLE (part oid, place text, campaign_id bigint, recipient_id bigint, at double precision, link_id bigint, browser text, visitor text, verdict text, signals text[], visited boolean,
               complete boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET work_mem = '32MB' SET enable_nestloop = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  -- Without this test, a system without sites would look for a visit of each click.
  are_visits boolean := EXISTS (SELECT FROM shard.site_event LIMIT 1);
BEGIN
  RETURN QUERY
  WITH person AS (
    SELECT d.campaign_id, recipient_id, to_timestamp(min(t)::double precision / 1000) AS first_at, to_timestamp(max(t)::double precision / 1000) AS last_at
    FROM shard.delta d CROSS JOIN LATERAL (
      SELECT * FROM unnest(d.times, d.recipient_ids, d.profiles) AS hit (t, recipient_id, place) JOIN unnest(d.kinds) WITH ORDINALITY AS profile (kind, place) USING (place)
    ) AS hit
    WHERE d.id = ANY (deltas) AND hit.kind = 'click' AND recipient_id <> 0 GROUP BY d.campaign_id, recipient_id
    UNION ALL
    SELECT v.campaign_id, v.recipient_id, to_timestamp(v.first_ms / 1000), to_timestamp(v.last_ms / 1000)
    FROM unnest(campaigns, recipients, first_times, last_times) AS v (campaign_id, recipient_id, first_ms, last_ms)
  ),
  -- A recipient may have both.
  reader AS (SELECT campaign_id, recipient_id, min(first_at) AS first_at, max(last_at) AS last_at FROM person GROUP BY campaign_id, recipient_id),
  -- One sort of all clicks is much faster than one for each recipient.
  click AS (
    SELECT reader.campaign_id, reader.recipient_id, reader.first_at, reader.last_at, e.*, count(*) OVER of_reader AS n, bool_or(e.is_signed) OVER of_reader AS any_signed,
           e.at - lag(e.at, fewest - 1) OVER (of_reader ORDER BY e.at) <= reach AS is_close
    FROM reader CROSS JOIN LATERAL (
      SELECT e.tableoid AS part, e.ctid AS place, e.at, e.link_id, e.verdict::text AS verdict, e.signals, e.agent_id, e.visitor,
             are_visits AND e.signals IS NOT NULL AND shard.is_visited(e.recipient_id, e.link_id, e.visitor, e.at, visited_within) AS is_signed
      FROM shard.event e
      WHERE e.recipient_id = reader.recipient_id AND e.at BETWEEN reader.first_at - 2 * reach AND reader.last_at + 2 * reach
        AND e.kind = 'click' AND e.campaign_id = reader.campaign_id OFFSET 0
    ) e
    WINDOW of_reader AS (PARTITION BY reader.campaign_id, reader.recipient_id)
  ),
  one_of_several AS MATERIALIZED (
    SELECT click.*, agent_id <> lag(agent_id) OVER same_link AND at - lag(at) OVER same_link <= reach AS is_by_another
    FROM click WHERE n >= 2 OR any_signed WINDOW same_link AS (PARTITION BY campaign_id, recipient_id, link_id ORDER BY at)
  ),
  wanted AS (
    SELECT campaign_id, recipient_id FROM one_of_several GROUP BY campaign_id, recipient_id
    HAVING bool_or(verdict = ANY (open_verdicts) OR is_signed) AND bool_or(is_close OR is_by_another OR signals && telling OR is_signed)
  )
  SELECT part, place::text, campaign_id, recipient_id, extract(epoch FROM at)::double precision * 1000, link_id, shard.browser_of(a, agent_id), visitor::text, verdict, signals,
         are_visits AND shard.is_visited(recipient_id, link_id, visitor, at, visited_within),
         at BETWEEN first_at - reach AND last_at + reach
  FROM one_of_several JOIN wanted USING (campaign_id, recipient_id) LEFT JOIN shard.user_agent a ON a.id = agent_id
  ORDER BY campaign_id, recipient_id, at, link_id;
END $$;
REVOKE EXECUTE ON FUNCTION shard.clicks_to_judge FROM PUBLIC;

-- All hits of a campaign, by recipient and time.
CREATE FUNCTION shard.campaign_hits(campaign bigint, visited_within interval)
RETURNS TABLE (part oid, place text, campaign_id bigint, recipient_id bigint, at double precision, link_id bigint, browser text, visitor text, verdict text, signals text[],
               visited boolean, kind text, net text, rules integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog SET work_mem = '32MB' AS
$$ SELECT e.tableoid, e.ctid::text, e.campaign_id, e.recipient_id, extract(epoch FROM e.at)::double precision * 1000, e.link_id, shard.browser_of(a, e.agent_id), e.visitor::text, e.verdict::text,
          e.signals, e.kind = 'click' AND shard.is_visited(e.recipient_id, e.link_id, e.visitor, e.at, visited_within), e.kind::text, e.net, e.rules
   FROM shard.event e LEFT JOIN shard.user_agent a ON a.id = e.agent_id WHERE e.campaign_id = campaign ORDER BY e.recipient_id, e.kind, e.at, e.link_id $$;
REVOKE EXECUTE ON FUNCTION shard.campaign_hits FROM PUBLIC;

-- `hits` is a JSON list of objects with the columns of shard.judged_hit; `at` is in epoch milliseconds.
CREATE FUNCTION shard.add_judged_hits(hits jsonb) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS
$$ INSERT INTO shard.judged_hit (part, place, at, campaign_id, recipient_id, link_id, was, becomes, signals)
   SELECT part, place, to_timestamp(at / 1000), campaign_id, recipient_id, link_id, was, becomes, signals
   FROM jsonb_to_recordset(hits) AS hit (part oid, place tid, at double precision, campaign_id bigint, recipient_id bigint, link_id bigint, was shard.verdict, becomes shard.verdict, signals text[]) $$;
REVOKE EXECUTE ON FUNCTION shard.add_judged_hits FROM PUBLIC;

-- Changes the events of shard.judged_hit. The caller merges the deltas `deltas` in the same transaction. A hit that waits in another delta keeps its verdict until the
-- step of that delta, so the verdict of a hit never changes while it waits. The result has the hits of `deltas` that get another verdict: the ids of the deltas,
-- the places in them, and the verdicts. The caller merges these hits with these verdicts. If `has_changes` is true, some of the hits were merged by an earlier step.
-- Then the caller must call shard.apply_changes after the merge.
CREATE FUNCTION shard.change_hits(deltas bigint[], rules_version integer, OUT changed_deltas bigint[], OUT changed_places integer[], OUT changed_verdicts text[], OUT has_changes boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET work_mem = '32MB' SET enable_nestloop = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  first_judged timestamptz;
  last_judged  timestamptz;
BEGIN
  changed_deltas := '{}';
  changed_places := '{}';
  changed_verdicts := '{}';
  has_changes := false;
  SELECT min(at), max(at) INTO first_judged, last_judged FROM shard.judged_hit;
  IF first_judged IS NULL THEN RETURN; END IF;
  -- If many hits wait, most of their deltas have no hits of these times, so they are not read.
  DELETE FROM shard.judged_hit WHERE (campaign_id, recipient_id, link_id, at) IN (
    SELECT d.campaign_id, recipient_id, link_id, to_timestamp(t::double precision / 1000)
    FROM shard.delta d CROSS JOIN LATERAL unnest(d.times, d.recipient_ids, d.link_ids) AS hit (t, recipient_id, link_id)
    WHERE d.campaign_id IN (SELECT campaign_id FROM shard.judged_hit) AND d.id <> ALL (deltas)
      AND coalesce(to_timestamp(d.last_time::double precision / 1000) >= first_judged AND to_timestamp(d.first_time::double precision / 1000) <= last_judged, true)
  );
  WITH changed AS (
    UPDATE shard.event e SET verdict = j.becomes, signals = nullif(j.signals, '{}'), rules = rules_version
    FROM shard.judged_hit j
    WHERE e.ctid = ANY (ARRAY(SELECT place FROM shard.judged_hit)) AND e.at BETWEEN first_judged AND last_judged
      AND e.tableoid = j.part AND e.ctid = j.place
    RETURNING j.was, j.becomes, e.gen, e.off, e.at, e.recipient_id, e.link_id, e.campaign_id, e.kind, e.agent_id, coalesce(e.country, '') AS country, coalesce(e.net, '') AS net, coalesce(e.referrer, '') AS referrer
  ),
  -- A later change has never an earlier time, also if the clock goes back, e.g. because a standby with another clock has become the primary.
  noted AS (
    INSERT INTO shard.verdict_change (changed_at, gen, off, was, becomes)
    SELECT greatest(clock_timestamp(), (SELECT n.changed_at + interval '1 microsecond' FROM shard.verdict_change n ORDER BY n.id DESC LIMIT 1)), gen, off, was, becomes
    FROM changed WHERE was <> becomes
  ),
  -- Equal hits are counted, because it makes no difference which of them is in a delta.
  hit AS (
    SELECT was, becomes, at, recipient_id, link_id, campaign_id, kind, agent_id, country, net, referrer, count(*) AS n FROM changed WHERE was <> becomes
    GROUP BY was, becomes, at, recipient_id, link_id, campaign_id, kind, agent_id, country, net, referrer
  ),
  in_delta AS MATERIALIZED (
    -- Few hits of a delta change, so the others are left out before their profiles are looked up (shard.hits_of).
    SELECT few.id, few.place, few.campaign_id, profile.verdict AS was, few.at, few.recipient_id, few.link_id, profile.kind, profile.agent_id,
           coalesce(profile.country, '') AS country, coalesce(profile.net, '') AS net, coalesce(profile.referrer, '') AS referrer
    FROM (SELECT d.id, h.n AS place, d.campaign_id, to_timestamp(h.t::double precision / 1000) AS at, h.recipient_id, h.link_id, h.profile
          FROM shard.delta d CROSS JOIN LATERAL unnest(d.times, d.recipient_ids, d.link_ids, d.profiles) WITH ORDINALITY AS h (t, recipient_id, link_id, profile, n)
          WHERE d.id = ANY (deltas) AND (d.campaign_id, h.recipient_id) IN (SELECT campaign_id, recipient_id FROM hit)) AS few
    JOIN (SELECT d.id, p.* FROM shard.delta d
          CROSS JOIN LATERAL unnest(d.kinds::shard.kind[], d.verdicts::shard.verdict[], d.countries, d.nets, d.referrers, d.agent_ids::bigint[]) WITH ORDINALITY
            AS p (kind, verdict, country, net, referrer, agent_id, profile)
          WHERE d.id = ANY (deltas)) AS profile USING (id, profile)
  ),
  unmerged AS MATERIALIZED (SELECT in_delta.*, hit.becomes FROM in_delta JOIN hit USING (was, at, recipient_id, link_id, campaign_id, kind, agent_id, country, net, referrer)),
  merged AS (
    INSERT INTO shard.hit_change (sign, at, recipient_id, link_id, campaign_id, kind, verdict, country, net, referrer, agent_id)
    SELECT v.sign, at, recipient_id, link_id, campaign_id, kind, v.verdict, country, net, referrer, agent_id
    FROM hit LEFT JOIN (SELECT was, at, recipient_id, link_id, campaign_id, kind, agent_id, country, net, referrer, count(*) AS n FROM unmerged GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10) AS waited
      USING (was, at, recipient_id, link_id, campaign_id, kind, agent_id, country, net, referrer)
    CROSS JOIN generate_series(1, hit.n - coalesce(waited.n, 0)) CROSS JOIN LATERAL (VALUES (-1, was), (1, becomes)) AS v (sign, verdict)
    WHERE recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test)
  )
  SELECT coalesce(array_agg(id), '{}'), coalesce(array_agg(place), '{}'), coalesce(array_agg(becomes::text), '{}') INTO changed_deltas, changed_places, changed_verdicts FROM unmerged;
  DELETE FROM shard.judged_hit;
  has_changes := EXISTS (SELECT FROM shard.hit_change);
END $$;
REVOKE EXECUTE ON FUNCTION shard.change_hits FROM PUBLIC;

-- Returns the number of hits that wait for the judge.
CREATE FUNCTION shard.unjudged_hits() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS
$$ SELECT coalesce(sum(hits), 0)::bigint FROM shard.delta $$;
REVOKE EXECUTE ON FUNCTION shard.unjudged_hits FROM PUBLIC;

GRANT EXECUTE ON FUNCTION shard.next_deltas, shard.deltas_of, shard.clicks_to_judge, shard.campaign_hits, shard.add_judged_hits, shard.change_hits, shard.apply_changes, shard.unjudged_hits
TO clickledger_worker;
