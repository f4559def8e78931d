-- Hits whose verdict changes. The judge looks again at clicks whose verdict depends on other clicks; `clickledger reclassify` applies other
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
    FROM shard.any_delta_hit h WHERE h.campaign_id IN (SELECT campaign_id FROM person)
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

-- The rules of verdicts; core/rules.ts has them. The caller passes them, so that they need no migration.
CREATE TYPE shard.rules AS (
  version          integer,
  -- A burst is clicks on at least `many_links` different links within `span`, a short burst those on at least `few_links`.
  span             interval,
  few_links        integer,
  many_links       integer,
  -- An echo is a click up to this time after a click on the same link by another user agent.
  echo_span        interval,
  -- All signs, those of machines first, and the weight of each.
  signals          text[],
  weights          double precision[],
  -- From this sum of weights, a machine made the hit.
  machine_from     double precision,
  -- From this sum, the hit is unsure.
  unsure_from      double precision,
  -- Labels of networks.
  scanner_networks text[],
  hosting_networks text[]
);

-- Returns the verdict of a hit with these signs. The function verdictOf in core/rules.ts computes the same.
CREATE FUNCTION shard.verdict_of(signs text[], rules shard.rules) RETURNS shard.verdict LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT CASE WHEN coalesce(sum(weight), 0) < rules.unsure_from THEN 'human' WHEN sum(weight) < rules.machine_from THEN 'unsure' ELSE (array_agg(sign ORDER BY n))[1] END::shard.verdict
        FROM unnest(rules.signals, rules.weights) WITH ORDINALITY AS known (sign, weight, n) WHERE sign = ANY (signs));

-- The signs in the order of the rules, each once.
CREATE FUNCTION shard.in_order(signs text[], rules shard.rules) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY(SELECT sign FROM unnest(rules.signals) WITH ORDINALITY AS known (sign, n) WHERE sign = ANY (signs) ORDER BY n);

-- The signs that do not depend on other clicks.
CREATE FUNCTION shard.own_signs(signs text[]) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN array_remove(array_remove(array_remove(signs, 'burst'), 'short-burst'), 'echo');

-- Whether a click with this verdict may get another one by other clicks of the recipient.
CREATE FUNCTION shard.may_change(verdict shard.verdict) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN verdict::text IN ('human', 'unsure', 'short-burst', 'echo');

-- Replaces each link id by a number from 1 up to the number of different links. The numbers are indexes of arrays.
CREATE FUNCTION shard.link_numbers(link_ids bigint[]) RETURNS integer[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT array_agg(n ORDER BY i) FROM (SELECT i, dense_rank() OVER (ORDER BY link) AS n FROM unnest(link_ids) WITH ORDINALITY AS t (link, i)) AS numbered);

-- The clicks are those of one recipient, in the order of their times. An element of the result is true if its click belongs to a burst: within `span`,
-- the recipient clicked at least `links` different links.
CREATE FUNCTION shard.in_burst(times timestamptz[], link_ids bigint[], span interval, links integer) RETURNS boolean[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog AS $$
DECLARE
  link_numbers CONSTANT integer[] := shard.link_numbers(link_ids);
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

-- For each click of one recipient, in the order of their times, whether it is an echo: a click on the same link, up to `span` before, has another user agent
-- and no signs of a machine of its own (`clean`). For each link, it is enough to know the last such click, and the last one by another user
-- agent than that.
CREATE FUNCTION shard.echoes(times timestamptz[], link_ids bigint[], agent_ids bigint[], clean boolean[], span interval) RETURNS boolean[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog AS $$
DECLARE
  link_numbers CONSTANT integer[] := shard.link_numbers(link_ids);
  last integer[] := array_fill(NULL::integer, ARRAY[cardinality(link_ids)]);
  last_of_another integer[] := array_fill(NULL::integer, ARRAY[cardinality(link_ids)]);
  are_echoes boolean[] := array_fill(false, ARRAY[cardinality(link_ids)]);
  seen integer := 0;
  link integer;
  earlier integer;
BEGIN
  FOR i IN 1 .. cardinality(times) LOOP
    -- Clicks at the same time are no echoes of each other.
    WHILE times[seen + 1] < times[i] LOOP
      seen := seen + 1;
      link := link_numbers[seen];
      IF clean[seen] THEN
        IF agent_ids[last[link]] <> agent_ids[seen] THEN last_of_another[link] := last[link]; END IF;
        last[link] := seen;
      END IF;
    END LOOP;
    link := link_numbers[i];
    earlier := CASE WHEN agent_ids[last[link]] = agent_ids[i] THEN last_of_another[link] ELSE last[link] END;
    are_echoes[i] := coalesce(times[earlier] >= times[i] - span, false);
  END LOOP;
  RETURN are_echoes;
END $$;

-- The signs that follow from the other clicks of the recipient. A burst is strong enough alone, so it needs no other of these signs.
CREATE FUNCTION shard.found_signs(in_short_burst boolean, in_burst boolean, is_echo boolean) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN in_burst THEN '{burst}' ELSE CASE WHEN in_short_burst THEN '{short-burst}'::text[] ELSE '{}' END || CASE WHEN is_echo THEN '{echo}'::text[] ELSE '{}' END END;

-- The clicks to which a step of the judge adds signs, with their old and new verdict. The same transaction empties the table.
CREATE TABLE shard.changed_click (
  part    oid NOT NULL,
  place   tid NOT NULL,
  at      timestamptz NOT NULL,
  was     shard.verdict NOT NULL,
  becomes shard.verdict NOT NULL,
  signals text[] NOT NULL
);

-- The first part of a step of the judge. It chooses the oldest deltas, until they have `most` hits, and looks for bursts and echoes among the
-- clicks of their recipients. The caller then merges the chosen deltas in the same transaction. The result has the ids of these deltas and the number of their
-- hits, which are null if another judge is running. It also has the places of the hits that get another verdict, and these verdicts, with
-- which the caller merges them. If `has_changes` is true, some of the clicks were merged by an earlier step. Then the caller must call
-- shard.apply_changes after the merge.
--
-- A click whose hit is in a delta that was not chosen keeps its verdict until the step of that delta. So the verdict of a hit never changes while
-- it waits. The planner's statistics may be out of date, so the settings force index lookups, and allow nested loops only for LATERAL lookups.
CREATE FUNCTION shard.judge(rules shard.rules, most integer,
                            OUT deltas bigint[], OUT hits bigint, OUT changed_deltas bigint[], OUT changed_places integer[], OUT changed_verdicts text[], OUT has_changes boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET work_mem = '32MB' SET enable_nestloop = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  span CONSTANT interval := rules.span;
  links CONSTANT integer := rules.few_links;
  reach CONSTANT interval := greatest(2 * rules.span, rules.echo_span);
BEGIN
  changed_deltas := '{}';
  changed_places := '{}';
  changed_verdicts := '{}';
  has_changes := false;
  IF NOT pg_try_advisory_xact_lock(hashtext('clickledger.judge')) THEN RETURN; END IF;
  SELECT coalesce(array_agg(id), '{}'), coalesce(sum(n), 0) INTO deltas, hits FROM (
    SELECT id, n, sum(n) OVER (ORDER BY id) - n AS hits_before FROM (SELECT o.id, o.hits AS n FROM shard.delta o ORDER BY o.id LIMIT 10000) AS oldest
  ) AS each WHERE hits_before < most;

  INSERT INTO shard.changed_click (part, place, at, was, becomes, signals)
  WITH person AS (
    SELECT d.campaign_id, recipient_id, to_timestamp(min(t)::double precision / 1000) AS first_at, to_timestamp(max(t)::double precision / 1000) AS last_at
    FROM shard.delta d CROSS JOIN LATERAL (
      SELECT * FROM unnest(d.times, d.recipient_ids, d.profiles) AS hit (t, recipient_id, place) JOIN unnest(d.kinds) WITH ORDINALITY AS profile (kind, place) USING (place)
    ) AS hit
    WHERE d.id = ANY (deltas) AND hit.kind = 'click' AND recipient_id <> 0 GROUP BY d.campaign_id, recipient_id
  ),
  -- A burst extends up to `span` from its first click. So a click can change the clicks within `span` of it, and those depend on the clicks
  -- within 2 * `span`. An echo depends on the clicks before it, within `echo_span`. A recipient is left out if there is neither a burst nor
  -- a pair of successive clicks on one link by different user agents.
  clicks_of_person AS (
    SELECT person.campaign_id, person.recipient_id, array_agg(e.part ORDER BY e.at, e.place) AS parts, array_agg(e.place ORDER BY e.at, e.place) AS places,
           array_agg(e.at ORDER BY e.at, e.place) AS times, array_agg(e.link_id ORDER BY e.at, e.place) AS link_ids, array_agg(e.verdict ORDER BY e.at, e.place) AS verdicts,
           array_agg(coalesce(e.signals, '{}')::text ORDER BY e.at, e.place) AS signs, array_agg(e.agent_id ORDER BY e.at, e.place) AS agent_ids
    FROM person CROSS JOIN LATERAL (
      SELECT e.tableoid AS part, e.ctid AS place, e.at, e.link_id, e.verdict, e.signals, e.agent_id, count(*) OVER () AS n,
             e.at - lag(e.at, links - 1) OVER (ORDER BY e.at) <= span AS is_fast, e.agent_id <> lag(e.agent_id) OVER (PARTITION BY e.link_id ORDER BY e.at) AS is_by_another
      FROM shard.event e
      WHERE e.recipient_id = person.recipient_id AND e.at BETWEEN person.first_at - reach AND person.last_at + reach
        AND e.kind = 'click' AND e.campaign_id = person.campaign_id OFFSET 0
    ) e
    WHERE e.n >= 2
    GROUP BY person.campaign_id, person.recipient_id
    HAVING bool_or(shard.may_change(e.verdict)) AND (bool_or(e.is_fast) AND count(DISTINCT e.link_id) >= links OR bool_or(e.is_by_another))
  ),
  found AS MATERIALIZED (
    SELECT campaign_id, recipient_id, part, place, at, link_id, verdict AS was, shard.verdict_of(new_signs, rules) AS becomes, new_signs
    FROM clicks_of_person
    -- Many clicks have the same signs, so the verdict is computed once for each different text.
    CROSS JOIN LATERAL (SELECT array_agg(different.clean ORDER BY n) AS clean
                        FROM unnest(signs) WITH ORDINALITY AS t (each, n) JOIN (SELECT each, shard.verdict_of(shard.own_signs(each::text[]), rules) = 'human' AS clean
                                                                                FROM (SELECT DISTINCT each FROM unnest(signs) AS each) AS once) AS different USING (each)) AS own
    CROSS JOIN LATERAL unnest(parts, places, times, link_ids, verdicts, signs, shard.in_burst(times, link_ids, span, links), shard.in_burst(times, link_ids, span, rules.many_links),
                              shard.echoes(times, link_ids, agent_ids, clean, rules.echo_span))
      AS c (part, place, at, link_id, verdict, signs_text, in_short_burst, in_burst, is_echo)
    CROSS JOIN LATERAL (SELECT signs_text::text[] AS known_signs, shard.found_signs(in_short_burst, in_burst, is_echo) AS found_signs) AS f
    CROSS JOIN LATERAL (SELECT shard.in_order(CASE WHEN in_burst THEN shard.own_signs(known_signs) ELSE known_signs END || found_signs, rules) AS new_signs) AS n
    WHERE shard.may_change(verdict) AND NOT known_signs @> found_signs
  ),
  waiting AS (
    SELECT d.campaign_id, recipient_id, link_id, to_timestamp(t::double precision / 1000) AS at
    FROM shard.delta d CROSS JOIN LATERAL unnest(d.times, d.recipient_ids, d.link_ids) AS hit (t, recipient_id, link_id)
    WHERE d.campaign_id = ANY (ARRAY(SELECT campaign_id FROM found)) AND d.id <> ALL (deltas)
  )
  SELECT part, place, at, was, becomes, new_signs FROM found WHERE (campaign_id, recipient_id, link_id, at) NOT IN (SELECT campaign_id, recipient_id, link_id, at FROM waiting);
  IF NOT FOUND THEN RETURN; END IF;

  WITH changed AS (
    UPDATE shard.event e SET verdict = b.becomes, signals = b.signals, rules = (judge.rules).version
    FROM shard.changed_click b
    WHERE e.ctid = ANY (ARRAY(SELECT place FROM shard.changed_click)) AND e.at BETWEEN (SELECT min(at) FROM shard.changed_click) AND (SELECT max(at) FROM shard.changed_click)
      AND e.tableoid = b.part AND e.ctid = b.place
    RETURNING b.was, b.becomes, e.at, e.recipient_id, e.link_id, e.campaign_id, e.agent_id, coalesce(e.country, '') AS country, coalesce(e.net, '') AS net, coalesce(e.referrer, '') AS referrer
  ),
  -- Equal clicks are counted, because it makes no difference which of them is in a delta.
  click AS (SELECT changed.*, count(*) AS n FROM changed GROUP BY was, becomes, at, recipient_id, link_id, campaign_id, agent_id, country, net, referrer),
  in_delta AS MATERIALIZED (
    SELECT d.id, hit.n AS place, d.campaign_id, verdict AS was, at, recipient_id, link_id, agent_id, coalesce(country, '') AS country, coalesce(net, '') AS net, coalesce(referrer, '') AS referrer
    FROM shard.delta d CROSS JOIN LATERAL shard.hits_of(d) AS hit
    WHERE d.id = ANY (deltas) AND d.campaign_id = ANY (ARRAY(SELECT campaign_id FROM changed)) AND kind = 'click' AND shard.may_change(verdict)
  ),
  unmerged AS MATERIALIZED (SELECT in_delta.*, click.becomes FROM in_delta JOIN click USING (was, at, recipient_id, link_id, campaign_id, agent_id, country, net, referrer)),
  merged AS (
    INSERT INTO shard.hit_change (sign, at, recipient_id, link_id, campaign_id, kind, verdict, country, net, referrer, agent_id)
    SELECT v.sign, at, recipient_id, link_id, campaign_id, 'click', v.verdict, country, net, referrer, agent_id
    FROM click LEFT JOIN (SELECT was, at, recipient_id, link_id, campaign_id, agent_id, country, net, referrer, count(*) AS n FROM unmerged GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9) AS waited
      USING (was, at, recipient_id, link_id, campaign_id, agent_id, country, net, referrer)
    CROSS JOIN generate_series(1, click.n - coalesce(waited.n, 0)) CROSS JOIN LATERAL (VALUES (-1, was), (1, becomes)) AS v (sign, verdict)
    WHERE recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test)
  )
  SELECT coalesce(array_agg(id), '{}'), coalesce(array_agg(place), '{}'), coalesce(array_agg(becomes::text), '{}') INTO changed_deltas, changed_places, changed_verdicts FROM unmerged;
  DELETE FROM shard.changed_click;
  has_changes := EXISTS (SELECT FROM shard.hit_change);
END $$;
REVOKE EXECUTE ON FUNCTION shard.judge FROM PUBLIC;

-- Judges all clicks and opens of a campaign again. Networks, bursts and echoes are computed anew. The other signs stay as stored, because the user
-- agent is not kept. Returns the number of hits by old and new verdict. With `dry_run` it changes nothing.
CREATE FUNCTION shard.reclassify(rules shard.rules, campaign bigint, dry_run boolean)
RETURNS TABLE (kind text, was text, becomes text, hits bigint, older_rules bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET work_mem = '32MB' SET enable_nestloop = off AS $$
DECLARE
  rules_version CONSTANT integer := rules.version;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('clickledger.judge'));
  RETURN QUERY
  WITH hit AS MATERIALIZED (
    SELECT e.tableoid AS part, e.ctid AS place, e.at, e.recipient_id, e.link_id, e.kind, e.verdict, e.rules, coalesce(e.signals, '{}') AS signals, e.net, e.country, e.referrer, e.agent_id
    FROM shard.event e WHERE e.campaign_id = campaign
  ),
  own AS MATERIALIZED (
    SELECT hit.*, ARRAY(SELECT sign FROM unnest((reclassify.rules).signals) WITH ORDINALITY AS known (sign, n)
                        WHERE CASE sign WHEN 'scanner-net' THEN net = ANY ((reclassify.rules).scanner_networks) WHEN 'hosting-net' THEN net = ANY ((reclassify.rules).hosting_networks)
                                        ELSE sign = ANY (shard.own_signs(hit.signals)) END ORDER BY n) AS own_signs
    FROM hit
  ),
  clicks AS (
    SELECT array_agg(part ORDER BY at, place) AS parts, array_agg(place ORDER BY at, place) AS places, array_agg(at ORDER BY at, place) AS times,
           array_agg(link_id ORDER BY at, place) AS link_ids, array_agg(agent_id ORDER BY at, place) AS agent_ids,
           array_agg(shard.verdict_of(own_signs, reclassify.rules) = 'human' ORDER BY at, place) AS clean
    FROM own WHERE own.kind = 'click' AND recipient_id <> 0 GROUP BY recipient_id HAVING count(*) >= 2
  ),
  found AS (
    SELECT part, place, shard.found_signs(in_short_burst, in_burst, is_echo) AS found_signs
    FROM clicks CROSS JOIN LATERAL unnest(parts, places, shard.in_burst(times, link_ids, (reclassify.rules).span, (reclassify.rules).few_links),
                                          shard.in_burst(times, link_ids, (reclassify.rules).span, (reclassify.rules).many_links),
                                          shard.echoes(times, link_ids, agent_ids, clean, (reclassify.rules).echo_span)) AS c (part, place, in_short_burst, in_burst, is_echo)
    WHERE in_short_burst OR is_echo
  ),
  with_found AS (
    SELECT own.*, CASE WHEN found_signs IS NOT NULL AND shard.verdict_of(own_signs, reclassify.rules) IN ('human', 'unsure') THEN shard.in_order(own_signs || found_signs, reclassify.rules)
                       ELSE own_signs END AS new_signals
    FROM own LEFT JOIN found USING (part, place)
  ),
  judged AS MATERIALIZED (SELECT with_found.*, shard.verdict_of(new_signals, reclassify.rules) AS new_verdict FROM with_found),
  -- The statement sees the deltas and the events of the same commits, so no changed hit is in a delta afterwards.
  taken AS (DELETE FROM shard.delta d WHERE NOT dry_run AND d.campaign_id = campaign),
  merged AS (
    INSERT INTO shard.hit_change (sign, at, recipient_id, link_id, campaign_id, kind, verdict, country, net, referrer, agent_id)
    SELECT 1, h.at, h.recipient_id, h.link_id, h.campaign_id, h.kind, h.verdict, h.country, h.net, h.referrer, h.agent_id
    FROM shard.delta_hit h WHERE NOT dry_run AND h.campaign_id = campaign
  ),
  updated AS (
    UPDATE shard.event e SET verdict = j.new_verdict, signals = nullif(j.new_signals, '{}'), rules = rules_version
    FROM judged j WHERE NOT dry_run AND e.tableoid = j.part AND e.ctid = j.place AND (e.rules <> rules_version OR j.new_signals <> j.signals)
  ),
  changes AS (
    INSERT INTO shard.hit_change (sign, at, recipient_id, link_id, campaign_id, kind, verdict, country, net, referrer, agent_id)
    SELECT v.sign, j.at, j.recipient_id, j.link_id, campaign, j.kind, v.verdict, j.country, j.net, j.referrer, j.agent_id
    FROM judged j CROSS JOIN LATERAL (VALUES (j.verdict, -1), (j.new_verdict, 1)) AS v (verdict, sign)
    WHERE NOT dry_run AND j.new_verdict <> j.verdict AND j.recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test)
  )
  SELECT j.kind::text, j.verdict::text, j.new_verdict::text, count(*), count(*) FILTER (WHERE j.rules < rules_version)
  FROM judged j GROUP BY j.kind, j.verdict, j.new_verdict ORDER BY 1, 2, 3;
  PERFORM shard.apply_changes();
END $$;
REVOKE EXECUTE ON FUNCTION shard.reclassify FROM PUBLIC;

-- Returns the number of hits that wait for the judge.
CREATE FUNCTION shard.unjudged_hits() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS
$$ SELECT coalesce(sum(hits), 0)::bigint FROM shard.delta $$;
REVOKE EXECUTE ON FUNCTION shard.unjudged_hits FROM PUBLIC;

GRANT EXECUTE ON FUNCTION shard.judge, shard.apply_changes, shard.reclassify, shard.unjudged_hits TO clickledger_worker;
