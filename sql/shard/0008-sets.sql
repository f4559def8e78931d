-- Counts and sets of recipients, so that reports do not read events. A commit appends its hits to shard.delta. The judge merges deltas into the
-- tables shard.people and shard.activity_15m; many hits at once cost much less than each hit by itself. The views shard.people_now and
-- shard.activity_now are these tables with the deltas, so at any time they equal a recount of the events.

-- Versions before this one had other tables for the same purpose. The end of this file takes over what they have.
DROP VIEW IF EXISTS shard_analytics.activity_15m, shard_analytics.hits_by_day, shard_analytics.clicked_links, shard_analytics.engagement, shard_analytics.first_hits,
  shard_analytics.openers, shard_analytics.campaign_totals, shard_analytics.link_totals, shard_analytics.visitors, shard_analytics.passed_on, shard_analytics.first_human,
  shard_analytics.facets, shard_analytics.human_clicks, shard_analytics.machine_traffic CASCADE;
DROP FUNCTION IF EXISTS shard.judge, shard.reclassify, shard.drop_months, shard.tell, shard.waiting_marks, shard.in_burst, shard.turned_human, shard.opening_hits CASCADE;
DROP FUNCTION IF EXISTS shard.quarter_of CASCADE;
ALTER TABLE IF EXISTS shard.mark RENAME TO old_mark;
ALTER TABLE IF EXISTS shard.activity_15m RENAME TO old_activity;

-- Hits by quarter of an hour, without those of test recipients.
CREATE TABLE shard.activity_15m (
  campaign_id bigint NOT NULL,
  link_id     bigint NOT NULL,
  quarter     timestamptz NOT NULL,
  kind        shard.kind NOT NULL,
  verdict     shard.verdict NOT NULL,
  hits        bigint NOT NULL,
  PRIMARY KEY (campaign_id, quarter, link_id, kind, verdict)
) WITH (fillfactor = 90);

-- The properties by which hits and recipients are counted; shard.facts has their values.
CREATE TYPE shard.facet AS ENUM ('all', 'link', 'quarter', 'country', 'referrer', 'network', 'client', 'system', 'device', 'verdict', 'machine');

-- Two sets of recipients for each value of a facet: those with a hit, and those with a hit judged human. A row has the recipients of one chunk:
-- 15,000 successive ids. A small set is a list of the positions in the chunk, which may have a position several times. A set whose list
-- would be longer than 450 becomes one bit for each position. So no row is longer than half a page, and an update stays within its page.
-- Test recipients are in no set. Hits of shared links have no recipient, so they are only counted, in chunk 0.
CREATE TABLE shard.people (
  campaign_id bigint NOT NULL,
  facet       shard.facet NOT NULL,
  -- Empty if it is unknown.
  value       text COLLATE "C" NOT NULL,
  -- 0 for facets of the whole campaign.
  link_id     bigint NOT NULL,
  kind        shard.kind NOT NULL,
  chunk       bigint NOT NULL,
  hits        bigint NOT NULL,
  human_hits  bigint NOT NULL,
  few         integer[],
  bits        bit varying,
  human_few   integer[],
  human_bits  bit varying,
  PRIMARY KEY (campaign_id, facet, value, link_id, kind, chunk)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_threshold = -1);
-- Neither compressed nor moved to a table of their own: both cost more than the room they save.
ALTER TABLE shard.people ALTER few SET STORAGE PLAIN, ALTER bits SET STORAGE PLAIN, ALTER human_few SET STORAGE PLAIN, ALTER human_bits SET STORAGE PLAIN;

-- Hits by recipient, which rank the recipients of a campaign. A row has 250 successive ids, and each id has four counters: clicks judged human,
-- other clicks, opens judged human, and other opens. The counters of the id at position p have the numbers 4 * p to 4 * p + 3. As
-- long as a row has at most 250 hits, `few` lists the counter number of each hit. Later, `counters` has all 1,000 counters in the order of
-- their numbers. So a row is never longer than half a page. Hits of test recipients and of shared links are not counted.
CREATE TABLE shard.hit_count (
  campaign_id bigint NOT NULL,
  chunk       bigint NOT NULL,
  few         integer[],
  counters    integer[],
  PRIMARY KEY (campaign_id, chunk)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_threshold = -1);
ALTER TABLE shard.hit_count ALTER few SET STORAGE PLAIN, ALTER counters SET STORAGE PLAIN;

-- Campaigns that have lost events with the months that were dropped. A recipient may be in a set because of a dropped event.
CREATE TABLE shard.thinned_campaign (campaign_id bigint PRIMARY KEY);

-- What each recipient did in the months that were dropped. The link of an open is 0, because a campaign has only one pixel.
CREATE TABLE shard.past_hits (
  recipient_id bigint NOT NULL,
  campaign_id  bigint NOT NULL,
  link_id      bigint NOT NULL,
  kind         shard.kind NOT NULL,
  human_hits   integer NOT NULL,
  machine_hits integer NOT NULL,
  first_at     timestamptz NOT NULL,
  last_at      timestamptz NOT NULL,
  PRIMARY KEY (recipient_id, campaign_id, link_id, kind)
);

CREATE FUNCTION shard.quarter_of(at timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN date_bin('15 minutes', at, '2000-01-01 00:00+00');

-- Returns the bits with those at `positions` set to `value`.
CREATE FUNCTION shard.set_bits(bits bit varying, positions integer[], value integer) RETURNS bit varying
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  place integer;
BEGIN
  IF bits IS NULL OR positions IS NULL OR positions = '{}' THEN RETURN bits; END IF;
  FOREACH place IN ARRAY positions LOOP bits := set_bit(bits, place, value); END LOOP;
  RETURN bits;
END $$;

-- Returns the list without those positions.
CREATE FUNCTION shard.without_few(few integer[], positions integer[]) RETURNS integer[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN few IS NOT NULL THEN ARRAY(SELECT position FROM unnest(few) AS position WHERE position <> ALL (positions)) END;

-- The union of two sets of the same chunk, either of which may be missing. union_few is its list, or null if it has bits; union_bits is the other
-- way round.
CREATE FUNCTION shard.union_few(few integer[], bits bit varying, more_few integer[], more_bits bit varying) RETURNS integer[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN bits IS NULL AND more_bits IS NULL AND coalesce(cardinality(few), 0) + coalesce(cardinality(more_few), 0) <= 450
            THEN coalesce(few || more_few, '{}') END;

CREATE FUNCTION shard.union_bits(few integer[], bits bit varying, more_few integer[], more_bits bit varying) RETURNS bit varying
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
  WHEN bits IS NOT NULL AND more_bits IS NOT NULL THEN bits | more_bits
  WHEN bits IS NOT NULL THEN shard.set_bits(bits, more_few, 1)
  WHEN more_bits IS NOT NULL THEN shard.set_bits(more_bits, few, 1)
  WHEN coalesce(cardinality(few), 0) + coalesce(cardinality(more_few), 0) > 450 THEN shard.set_bits(repeat('0', 15000)::bit varying, few || more_few, 1)
END;

-- The number of recipients in a set. A set that a view returns may have both a list and bits.
CREATE FUNCTION shard.size(few integer[], bits bit varying) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(bit_count(bits), 0) + (SELECT count(DISTINCT position) FROM unnest(few) AS position WHERE bits IS NULL OR get_bit(bits, position) = 0);

-- The recipients of such a set. OFFSET 0 keeps Postgres from computing the arguments again for every position.
CREATE FUNCTION shard.members(chunk bigint, few integer[], bits bit varying) RETURNS SETOF bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 500
BEGIN ATOMIC
  SELECT s.chunk * 15000::bigint + position
  FROM (SELECT chunk, few, bits OFFSET 0) AS s CROSS JOIN LATERAL (
    SELECT DISTINCT position FROM unnest(s.few) AS position WHERE s.bits IS NULL OR get_bit(s.bits, position) = 0
    UNION ALL
    SELECT position FROM generate_series(0, length(s.bits) - 1) AS position WHERE get_bit(s.bits, position) = 1
  ) AS member;
END;

-- Adds hits and recipients to shard.people. The arrays have one element for each row. A set is the text of a list, such as {3,14}, or of bits in hexadecimal, such as x0F.
CREATE FUNCTION shard.add_people(campaign_ids bigint[], facets shard.facet[], vals text[], link_ids bigint[], kinds shard.kind[], chunks bigint[],
                                 hits bigint[], human_hits bigint[], people text[], humans text[])
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  INSERT INTO shard.people AS p (campaign_id, facet, value, link_id, kind, chunk, hits, human_hits, few, bits, human_few, human_bits)
  SELECT campaign_id, facet, value, link_id, kind, chunk, hits, human_hits,
         CASE WHEN people LIKE '{%' THEN people::integer[] END, CASE WHEN people LIKE 'x%' THEN people::bit varying END,
         CASE WHEN humans LIKE '{%' THEN humans::integer[] END, CASE WHEN humans LIKE 'x%' THEN humans::bit varying END
  FROM unnest(campaign_ids, facets, vals, link_ids, kinds, chunks, hits, human_hits, people, humans)
    AS added (campaign_id, facet, value, link_id, kind, chunk, hits, human_hits, people, humans)
  ON CONFLICT (campaign_id, facet, value, link_id, kind, chunk) DO UPDATE SET
    hits = p.hits + excluded.hits, human_hits = p.human_hits + excluded.human_hits,
    few = shard.union_few(p.few, p.bits, excluded.few, excluded.bits), bits = shard.union_bits(p.few, p.bits, excluded.few, excluded.bits),
    human_few = shard.union_few(p.human_few, p.human_bits, excluded.human_few, excluded.human_bits),
    human_bits = shard.union_bits(p.human_few, p.human_bits, excluded.human_few, excluded.human_bits)
$$;
REVOKE EXECUTE ON FUNCTION shard.add_people FROM PUBLIC;

-- Adds hits to shard.activity_15m. A quarter is its start in epoch seconds.
CREATE FUNCTION shard.add_activity(campaign_ids bigint[], quarters bigint[], link_ids bigint[], kinds shard.kind[], verdicts shard.verdict[], hits bigint[])
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  INSERT INTO shard.activity_15m AS known (campaign_id, quarter, link_id, kind, verdict, hits)
  SELECT campaign_id, to_timestamp(quarter), link_id, kind, verdict, added.hits
  FROM unnest(campaign_ids, quarters, link_ids, kinds, verdicts, hits) AS added (campaign_id, quarter, link_id, kind, verdict, hits)
  ON CONFLICT (campaign_id, quarter, link_id, kind, verdict) DO UPDATE SET hits = known.hits + excluded.hits
$$;
REVOKE EXECUTE ON FUNCTION shard.add_activity FROM PUBLIC;

-- The counter of a hit in its row of shard.hit_count. event-worker/sets.ts has the same for the hits of a batch.
CREATE FUNCTION shard.counter_of(recipient_id bigint, kind shard.kind, is_human boolean) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 4 * (recipient_id % 250)::integer + CASE kind WHEN 'open' THEN 2 ELSE 0 END + CASE WHEN is_human THEN 0 ELSE 1 END;

-- Returns the counters with `step` added to each counter in `numbers`, once for each time that its number is there.
CREATE FUNCTION shard.add_to_counters(counters integer[], numbers integer[], step integer) RETURNS integer[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  number integer;
BEGIN
  IF counters IS NULL THEN counters := array_fill(0, ARRAY[1000]); END IF;
  FOREACH number IN ARRAY coalesce(numbers, '{}') LOOP counters[number + 1] := counters[number + 1] + step; END LOOP;
  RETURN counters;
END $$;

-- A row of shard.hit_count with more hits. more_few is its list, or null if it has counters; more_counters is the other way round.
CREATE FUNCTION shard.more_few(few integer[], counters integer[], numbers integer[]) RETURNS integer[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN counters IS NULL AND coalesce(cardinality(few), 0) + coalesce(cardinality(numbers), 0) <= 250 THEN coalesce(few || numbers, '{}') END;

CREATE FUNCTION shard.more_counters(few integer[], counters integer[], numbers integer[]) RETURNS integer[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN counters IS NOT NULL OR coalesce(cardinality(few), 0) + coalesce(cardinality(numbers), 0) > 250
            THEN shard.add_to_counters(counters, few || numbers, 1) END;

-- Adds hits to shard.hit_count. The arrays have one element for each row; `added` is the text of a list of counter numbers, such as {3,14}. The
-- caller must hold the lock of the judge.
CREATE FUNCTION shard.add_hit_counts(campaign_ids bigint[], chunks bigint[], added text[])
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  WITH input AS MATERIALIZED (
    SELECT campaign_id, chunk, numbers::integer[] AS numbers FROM unnest(campaign_ids, chunks, added) AS input (campaign_id, chunk, numbers)
  ),
  updated AS (
    UPDATE shard.hit_count c SET few = shard.more_few(c.few, c.counters, input.numbers), counters = shard.more_counters(c.few, c.counters, input.numbers)
    FROM input WHERE (c.campaign_id, c.chunk) = (input.campaign_id, input.chunk) RETURNING c.campaign_id, c.chunk
  )
  INSERT INTO shard.hit_count (campaign_id, chunk, few, counters)
  SELECT campaign_id, chunk, shard.more_few(NULL, NULL, numbers), shard.more_counters(NULL, NULL, numbers)
  FROM input WHERE (campaign_id, chunk) NOT IN (SELECT campaign_id, chunk FROM updated)
$$;
REVOKE EXECUTE ON FUNCTION shard.add_hit_counts FROM PUBLIC;

-- The facets of one hit and their values. event-worker/sets.ts has the same for the hits of a batch.
CREATE FUNCTION shard.facts(at timestamptz, link_id bigint, kind shard.kind, verdict shard.verdict, country text, net text, referrer text, client text, system text, device text)
RETURNS TABLE (facet shard.facet, value text, link bigint) LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT f.facet, coalesce(f.value, ''), f.link
  FROM (VALUES
    ('all'::shard.facet, '', 0), ('country', country, 0), ('referrer', referrer, 0), ('network', net, 0), ('client', client, 0), ('system', system, 0), ('device', device, 0),
    ('link', '', link_id), ('quarter', extract(epoch FROM shard.quarter_of(at))::bigint::text, link_id),
    ('verdict', verdict::text, 0), ('machine', verdict || ' ' || coalesce(net, ''), 0)
  ) AS f (facet, value, link)
  WHERE CASE WHEN f.facet IN ('link', 'quarter') THEN kind = 'click' WHEN f.facet IN ('verdict', 'machine') THEN verdict <> 'human' ELSE true END;
END;

-- The hits of one commit in one campaign that wait for the judge, by column. The elements at one place of the first four arrays are one hit. What
-- many hits have in common is a profile: the elements at one place of the other arrays.
CREATE TABLE shard.delta (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  campaign_id   bigint NOT NULL,
  hits          integer NOT NULL,
  -- Epoch milliseconds.
  times         bigint[] NOT NULL,
  recipient_ids bigint[] NOT NULL,
  link_ids      bigint[] NOT NULL,
  profiles      integer[] NOT NULL,
  kinds         text[] NOT NULL,
  verdicts      text[] NOT NULL,
  countries     text[] NOT NULL,
  nets          text[] NOT NULL,
  referrers     text[] NOT NULL,
  agent_ids     text[] NOT NULL,
  -- The first and the last of the times. Null if unknown.
  first_time    bigint,
  last_time     bigint
);
CREATE INDEX delta_by_campaign ON shard.delta (campaign_id);
-- Compression would take longer than writing.
ALTER TABLE shard.delta ALTER times SET STORAGE EXTERNAL, ALTER recipient_ids SET STORAGE EXTERNAL, ALTER link_ids SET STORAGE EXTERNAL, ALTER profiles SET STORAGE EXTERNAL;

-- The hits of a delta; `n` is their place in its arrays. A join finds the profile of a hit, because an index into a long array reads the whole
-- array. The planner does not know how long the arrays are, so it must not choose a nested loop.
CREATE FUNCTION shard.hits_of(delta shard.delta)
RETURNS TABLE (n bigint, at timestamptz, recipient_id bigint, link_id bigint, kind shard.kind, verdict shard.verdict, country text, net text, referrer text, agent_id bigint)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 5000 SET enable_nestloop = off
BEGIN ATOMIC
  SELECT hit.n, to_timestamp(t::double precision / 1000), hit.recipient_id, hit.link_id, profile.kind, profile.verdict, profile.country, profile.net, profile.referrer, profile.agent_id
  FROM unnest(delta.times, delta.recipient_ids, delta.link_ids, delta.profiles) WITH ORDINALITY AS hit (t, recipient_id, link_id, place, n)
  JOIN unnest(delta.kinds::shard.kind[], delta.verdicts::shard.verdict[], delta.countries, delta.nets, delta.referrers, delta.agent_ids::bigint[]) WITH ORDINALITY AS profile (kind, verdict, country, net, referrer, agent_id, place)
    USING (place);
END;

CREATE VIEW shard.any_delta_hit AS
  SELECT d.campaign_id, hit.* FROM shard.delta d CROSS JOIN LATERAL shard.hits_of(d) AS hit;

-- The hits of deltas without those of test recipients.
CREATE VIEW shard.delta_hit AS
  SELECT * FROM shard.any_delta_hit WHERE recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test);

CREATE VIEW shard.activity_now AS
  SELECT campaign_id, link_id, quarter, kind, verdict, sum(hits)::bigint AS hits
  FROM (SELECT campaign_id, link_id, quarter, kind, verdict, hits FROM shard.activity_15m
        UNION ALL SELECT campaign_id, link_id, shard.quarter_of(at), kind, verdict, 1 FROM shard.delta_hit) AS both_of_them
  GROUP BY campaign_id, link_id, quarter, kind, verdict HAVING sum(hits) <> 0;

-- The hits of deltas by facet and recipient. Hits with the same profile have the same values of all facets, except link and quarter. So the first
-- part computes these values once for each profile. If a query selects the facet link or quarter, Postgres reads only the part of this facet
-- and the first part.
CREATE VIEW shard.delta_fact AS
  SELECT campaign_id, f.facet, f.value, 0::bigint AS link_id, kind, unnest(recipient_ids) AS recipient_id, verdict = 'human' AS is_human
  FROM (SELECT campaign_id, kind, verdict, country, net, referrer, agent_id, array_agg(recipient_id) AS recipient_ids
        FROM shard.delta_hit GROUP BY campaign_id, kind, verdict, country, net, referrer, agent_id) AS profile
  LEFT JOIN shard.user_agent a ON a.id = profile.agent_id
  CROSS JOIN LATERAL shard.facts(NULL, NULL, kind, verdict, country, net, referrer, a.client, a.system, a.device) f
  WHERE f.facet NOT IN ('link', 'quarter')
  UNION ALL
  SELECT campaign_id, 'link', '', link_id, kind, recipient_id, verdict = 'human' FROM shard.delta_hit WHERE kind = 'click'
  UNION ALL
  SELECT campaign_id, 'quarter', extract(epoch FROM shard.quarter_of(at))::bigint::text, link_id, kind, recipient_id, verdict = 'human' FROM shard.delta_hit WHERE kind = 'click';

-- A set has the recipients of its list, which includes those of deltas, and of its bits.
CREATE VIEW shard.people_now AS
  SELECT campaign_id, facet, value, link_id, kind, chunk, coalesce(p.hits, 0) + coalesce(d.hits, 0) AS hits, coalesce(p.human_hits, 0) + coalesce(d.human_hits, 0) AS human_hits,
         p.few || d.few AS few, p.bits, p.human_few || d.human_few AS human_few, p.human_bits
  FROM shard.people p FULL JOIN (
    SELECT campaign_id, facet, value, link_id, kind, recipient_id / 15000 AS chunk, count(*) AS hits, count(*) FILTER (WHERE is_human) AS human_hits,
           array_agg((recipient_id % 15000)::integer) FILTER (WHERE recipient_id <> 0) AS few,
           array_agg((recipient_id % 15000)::integer) FILTER (WHERE recipient_id <> 0 AND is_human) AS human_few
    FROM shard.delta_fact GROUP BY 1, 2, 3, 4, 5, 6
  ) d USING (campaign_id, facet, value, link_id, kind, chunk);

CREATE VIEW shard.hit_count_now AS
  SELECT campaign_id, chunk, CASE WHEN c.few IS NULL AND d.numbers IS NULL THEN c.counters ELSE shard.add_to_counters(c.counters, c.few || d.numbers, 1) END AS counters
  FROM shard.hit_count c FULL JOIN (
    SELECT campaign_id, recipient_id / 250 AS chunk, array_agg(shard.counter_of(recipient_id, kind, verdict = 'human')) AS numbers
    FROM shard.delta_hit WHERE recipient_id <> 0 GROUP BY 1, 2
  ) d USING (campaign_id, chunk);

-- Deletes deltas and returns their columns. The columns of single hits are returned as JSON arrays, which the caller parses fastest. The caller
-- must hold the lock of the judge. In the same transaction, the caller must add all hits except those of test recipients to the counts and sets.
CREATE FUNCTION shard.take_deltas(ids bigint[])
RETURNS TABLE (id bigint, campaign_id bigint, times text, recipient_ids text, link_ids text, profiles text, kinds text[], verdicts text[], countries text[], nets text[], referrers text[], agent_ids text[])
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  DELETE FROM shard.delta WHERE id = ANY (ids)
  RETURNING id, campaign_id, to_json(times)::text, to_json(recipient_ids)::text, to_json(link_ids)::text, to_json(profiles)::text, kinds, verdicts, countries, nets, referrers, agent_ids
$$;
REVOKE EXECUTE ON FUNCTION shard.take_deltas FROM PUBLIC;

-- Returns the test recipients, whose hits are not counted.
CREATE FUNCTION shard.test_recipients() RETURNS SETOF bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS
$$ SELECT recipient_id FROM shard.recipient WHERE is_test $$;
REVOKE EXECUTE ON FUNCTION shard.test_recipients FROM PUBLIC;

GRANT INSERT ON shard.delta TO clickledger_worker;
GRANT EXECUTE ON FUNCTION shard.take_deltas, shard.test_recipients, shard.add_people, shard.add_hit_counts, shard.add_activity TO clickledger_worker;

-- Takes over the counts of an earlier version. All events become deltas, and the judge counts them again, in steps. Events of dropped months no
-- longer exist. Their number is the difference between the hits in the old tables and the events.
DO $$
DECLARE
  part regclass;
  block bigint;
  STEP CONSTANT bigint := 400;
BEGIN
  IF to_regclass('shard.old_activity') IS NULL THEN RETURN; END IF;
  INSERT INTO shard.activity_15m (campaign_id, link_id, quarter, kind, verdict, hits)
  SELECT campaign_id, link_id, quarter, kind, verdict, sum(hits) FROM (
    SELECT campaign_id, link_id, quarter, kind, verdict, hits FROM shard.old_activity
    UNION ALL
    SELECT campaign_id, link_id, shard.quarter_of(at), kind, verdict, hits FROM shard.old_mark WHERE recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test)
    UNION ALL
    SELECT campaign_id, link_id, shard.quarter_of(at), kind::shard.kind, verdict, -1 FROM shard.counted
  ) AS each GROUP BY campaign_id, link_id, quarter, kind, verdict HAVING sum(hits) > 0;
  INSERT INTO shard.thinned_campaign SELECT DISTINCT campaign_id FROM shard.activity_15m;

  INSERT INTO shard.past_hits (recipient_id, campaign_id, link_id, kind, human_hits, machine_hits, first_at, last_at)
  SELECT recipient_id, campaign_id, link_id, kind, sum(human_hits), sum(machine_hits), min(first_at), max(last_at)
  FROM (
    SELECT recipient_id, campaign_id, link_id, 'click'::shard.kind AS kind, human_hits, machine_hits, first_at, last_at FROM shard.clicked_link
    UNION ALL
    SELECT recipient_id, campaign_id, 0, 'open', human_opens, machine_opens, first_open_at, last_open_at FROM shard.engagement WHERE human_opens + machine_opens > 0
    UNION ALL
    SELECT recipient_id, campaign_id, CASE kind WHEN 'click' THEN link_id ELSE 0 END, kind, CASE verdict WHEN 'human' THEN hits ELSE 0 END, CASE verdict WHEN 'human' THEN 0 ELSE hits END, NULL, NULL
    FROM shard.old_mark WHERE recipient_id <> 0
    UNION ALL
    SELECT recipient_id, campaign_id, CASE kind WHEN 'click' THEN link_id ELSE 0 END, kind, -(verdict = 'human')::int, -(verdict <> 'human')::int, NULL, NULL
    FROM shard.event WHERE recipient_id <> 0
  ) AS each
  WHERE campaign_id IN (SELECT campaign_id FROM shard.thinned_campaign)
  GROUP BY recipient_id, campaign_id, link_id, kind HAVING sum(human_hits + machine_hits) > 0;

  INSERT INTO shard.hit_count (campaign_id, chunk, counters)
  SELECT campaign_id, chunk, array_agg(coalesce(hits, 0) ORDER BY number)
  FROM (SELECT DISTINCT campaign_id, recipient_id / 250 AS chunk FROM shard.past_hits) AS chunks CROSS JOIN generate_series(0, 999) AS number LEFT JOIN (
    SELECT campaign_id, recipient_id / 250 AS chunk, shard.counter_of(recipient_id, kind, is_human) AS number, sum(hits)::integer AS hits
    FROM shard.past_hits CROSS JOIN LATERAL (VALUES (true, human_hits), (false, machine_hits)) AS by_verdict (is_human, hits) GROUP BY 1, 2, 3
  ) AS known USING (campaign_id, chunk, number) GROUP BY campaign_id, chunk;

  INSERT INTO shard.people (campaign_id, facet, value, link_id, kind, chunk, hits, human_hits, few, human_few)
  SELECT campaign_id, f.facet, '', f.link_id, kind, 0, sum(hits), coalesce(sum(hits) FILTER (WHERE verdict = 'human'), 0), '{}', '{}'
  FROM shard.activity_15m a CROSS JOIN LATERAL (VALUES ('all'::shard.facet, 0), ('link', a.link_id)) AS f (facet, link_id)
  WHERE f.facet = 'all' OR kind = 'click' GROUP BY campaign_id, f.facet, f.link_id, kind;
  INSERT INTO shard.people AS p (campaign_id, facet, value, link_id, kind, chunk, hits, human_hits, few, bits, human_few, human_bits)
  SELECT campaign_id, facet, '', link_id, kind, chunk, 0, 0, shard.union_few('{}', NULL, people, NULL), shard.union_bits('{}', NULL, people, NULL),
         shard.union_few('{}', NULL, humans, NULL), shard.union_bits('{}', NULL, humans, NULL)
  FROM (
    SELECT campaign_id, facet, link_id, kind, recipient_id / 15000 AS chunk, array_agg((recipient_id % 15000)::integer) AS people,
           coalesce(array_agg((recipient_id % 15000)::integer) FILTER (WHERE is_human), '{}') AS humans
    FROM (
      SELECT campaign_id, 'all'::shard.facet AS facet, 0 AS link_id, 'click'::shard.kind AS kind, recipient_id, human_clicks > 0 AS is_human
      FROM shard.engagement WHERE human_clicks + machine_clicks > 0
      UNION ALL SELECT campaign_id, 'all', 0, 'open', recipient_id, human_opens > 0 FROM shard.engagement WHERE human_opens + machine_opens > 0
      UNION ALL SELECT campaign_id, 'link', link_id, 'click', recipient_id, human_hits > 0 FROM shard.clicked_link
    ) AS each
    WHERE campaign_id IN (SELECT campaign_id FROM shard.thinned_campaign) AND recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test)
    GROUP BY campaign_id, facet, link_id, kind, chunk
  ) AS known
  ON CONFLICT (campaign_id, facet, value, link_id, kind, chunk) DO UPDATE SET
    few = excluded.few, bits = excluded.bits, human_few = excluded.human_few, human_bits = excluded.human_bits;

  FOR part IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'shard.event'::regclass LOOP
    FOR block IN SELECT generate_series(0, pg_relation_size(part) / current_setting('block_size')::bigint, STEP) LOOP
      EXECUTE format(
        $sql$INSERT INTO shard.delta (campaign_id, hits, times, recipient_ids, link_ids, profiles, kinds, verdicts, countries, nets, referrers, agent_ids)
        SELECT campaign_id, count(*), array_agg((extract(epoch FROM at) * 1000)::bigint), array_agg(recipient_id), array_agg(link_id), array_agg(n),
               array_agg(kind::text), array_agg(verdict::text), array_agg(country), array_agg(net), array_agg(referrer), array_agg(agent_id::text)
        FROM (SELECT *, row_number() OVER (PARTITION BY campaign_id) AS n FROM %s WHERE ctid >= %L AND ctid < %L) AS each GROUP BY campaign_id$sql$, part, format('(%s,0)', block), format('(%s,0)', block + STEP));
    END LOOP;
  END LOOP;
  DROP TABLE shard.old_mark, shard.old_activity, shard.clicked_link, shard.engagement, shard.reach;
END $$;
