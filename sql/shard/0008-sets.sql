-- Counts and sets of recipients, so that reports do not read events. The transaction that commits events adds them here, too. So at any time
-- they equal a recount of the events.

-- Versions before this one kept other tables for the same purpose.
DROP VIEW IF EXISTS shard_analytics.activity_15m, shard_analytics.hits_by_day, shard_analytics.clicked_links, shard_analytics.engagement, shard_analytics.first_hits,
  shard_analytics.openers, shard_analytics.campaign_totals, shard_analytics.link_totals, shard_analytics.visitors, shard_analytics.passed_on, shard_analytics.first_human,
  shard_analytics.facets, shard_analytics.human_clicks, shard_analytics.machine_traffic CASCADE;
DROP FUNCTION IF EXISTS shard.judge, shard.reclassify, shard.drop_months, shard.tell, shard.waiting_marks, shard.in_burst, shard.turned_human, shard.opening_hits CASCADE;
DROP TABLE IF EXISTS shard.mark, shard.clicked_link, shard.engagement, shard.reach CASCADE;
DROP TABLE IF EXISTS shard.activity_15m CASCADE;
DROP FUNCTION IF EXISTS shard.quarter_of CASCADE;

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
  chunk       integer NOT NULL,
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

-- The number of recipients in a set.
CREATE FUNCTION shard.size(few integer[], bits bit varying) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN bits IS NULL THEN (SELECT count(DISTINCT position) FROM unnest(few) AS position) ELSE bit_count(bits) END;

-- The recipients of a set.
CREATE FUNCTION shard.members(chunk integer, few integer[], bits bit varying) RETURNS SETOF bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 500 AS $$
  SELECT DISTINCT chunk * 15000::bigint + position FROM unnest(few) AS position
  UNION ALL
  SELECT chunk * 15000::bigint + position FROM generate_series(0, length(bits) - 1) AS position WHERE get_bit(bits, position) = 1
$$;

-- Adds hits and recipients to shard.people. The arrays have one element for each row, in the order of the primary key: all transactions lock
-- rows in this order, so they cannot deadlock. A set is the text of a list, such as {3,14}, or of bits in hexadecimal, such as x0F.
CREATE FUNCTION shard.add_people(campaign_ids bigint[], facets shard.facet[], vals text[], link_ids bigint[], kinds shard.kind[], chunks integer[],
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

-- Adds hits to shard.activity_15m. The arrays are in the order of its primary key. A quarter is its start in epoch seconds.
CREATE FUNCTION shard.add_activity(campaign_ids bigint[], quarters bigint[], link_ids bigint[], kinds shard.kind[], verdicts shard.verdict[], hits bigint[])
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  INSERT INTO shard.activity_15m AS known (campaign_id, quarter, link_id, kind, verdict, hits)
  SELECT campaign_id, to_timestamp(quarter), link_id, kind, verdict, added.hits
  FROM unnest(campaign_ids, quarters, link_ids, kinds, verdicts, hits) AS added (campaign_id, quarter, link_id, kind, verdict, hits)
  ON CONFLICT (campaign_id, quarter, link_id, kind, verdict) DO UPDATE SET hits = known.hits + excluded.hits
$$;
REVOKE EXECUTE ON FUNCTION shard.add_activity FROM PUBLIC;

-- The facets of one hit and their values. event-worker/sets.ts has the same for the hits of a batch.
CREATE FUNCTION shard.facts(at timestamptz, link_id bigint, kind shard.kind, verdict shard.verdict, country text, net text, referrer text, client text, system text, device text)
RETURNS TABLE (facet shard.facet, value text, link bigint) LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT f.facet::shard.facet, coalesce(f.value, ''), f.link
  FROM (VALUES
    ('all', '', 0), ('country', country, 0), ('referrer', referrer, 0), ('network', net, 0), ('client', client, 0), ('system', system, 0), ('device', device, 0),
    ('link', '', link_id), ('quarter', extract(epoch FROM shard.quarter_of(at))::bigint::text, link_id),
    ('verdict', verdict::text, 0), ('machine', verdict || ' ' || coalesce(net, ''), 0)
  ) AS f (facet, value, link)
  WHERE CASE f.facet WHEN 'link' THEN kind = 'click' WHEN 'quarter' THEN kind = 'click' WHEN 'verdict' THEN verdict <> 'human' WHEN 'machine' THEN verdict <> 'human' ELSE true END
$$;

-- Clicks of recipients whose verdict may change, because of other clicks. A commit adds one row for all its clicks, and the judge removes it.
CREATE TABLE shard.undecided (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  clicks        integer NOT NULL,
  campaign_ids  bigint[] NOT NULL,
  recipient_ids bigint[] NOT NULL,
  -- Epoch milliseconds.
  times         bigint[] NOT NULL
);
ALTER TABLE shard.undecided ALTER campaign_ids SET STORAGE EXTERNAL, ALTER recipient_ids SET STORAGE EXTERNAL, ALTER times SET STORAGE EXTERNAL;

-- Begins to add hits in this transaction, and returns the test recipients, whose hits must not be added. Many transactions may add hits at the
-- same time. Whoever changes verdicts or test recipients waits for all of them, and they wait for it; see shard.change_alone.
CREATE FUNCTION shard.begin_adding() RETURNS bigint[] LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(hashtext('clickledger.sets'));
  -- This statement sees what was committed before the lock was granted.
  RETURN ARRAY(SELECT recipient_id FROM shard.recipient WHERE is_test);
END $$;
REVOKE EXECUTE ON FUNCTION shard.begin_adding FROM PUBLIC;

CREATE FUNCTION shard.change_alone() RETURNS void LANGUAGE sql SET search_path = pg_catalog AS $$ SELECT pg_advisory_xact_lock(hashtext('clickledger.sets')) $$;
REVOKE EXECUTE ON FUNCTION shard.change_alone FROM PUBLIC;

GRANT INSERT ON shard.undecided TO clickledger_worker;
GRANT EXECUTE ON FUNCTION shard.begin_adding, shard.add_people, shard.add_activity TO clickledger_worker;
