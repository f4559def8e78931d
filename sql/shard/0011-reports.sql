-- The views of a shard for reports. They count on the shard, so that a count transfers no events. The schema `analytics` of the catalog adds up
-- the shards.

CREATE VIEW shard_analytics.activity_15m AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, link_id, quarter, kind::text AS kind, verdict::text AS verdict, hits
  FROM shard.activity_now;

CREATE VIEW shard_analytics.hits_by_day AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, (quarter AT TIME ZONE 'UTC')::date AS day, kind, sum(hits)::bigint AS hits,
         coalesce(sum(hits) FILTER (WHERE verdict = 'human'), 0)::bigint AS human_hits
  FROM shard_analytics.activity_15m GROUP BY campaign_id, day, kind;

CREATE VIEW shard_analytics.link_totals AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, link_id, sum(hits)::bigint AS hits, sum(human_hits)::bigint AS human_hits,
         sum(shard.size(few, bits))::bigint AS recipients, sum(shard.size(human_few, human_bits))::bigint AS human_recipients
  FROM shard.people_now WHERE facet = 'link' GROUP BY campaign_id, link_id HAVING sum(hits) <> 0;

-- The recipients with any hit: a recipient who clicked has opened, because nobody can click in a closed letter, even if the mail client shows no
-- images. This is the one definition of an opened letter.
CREATE VIEW shard.opened AS
  SELECT campaign_id, chunk, max(few) FILTER (WHERE kind = 'open') || max(few) FILTER (WHERE kind = 'click') AS few, bit_or(bits)::bit varying AS bits,
         max(human_few) FILTER (WHERE kind = 'open') || max(human_few) FILTER (WHERE kind = 'click') AS human_few, bit_or(human_bits)::bit varying AS human_bits
  FROM shard.people_now WHERE facet = 'all' GROUP BY campaign_id, chunk;

-- Opens are hits of that kind, but their recipients are all who opened.
CREATE VIEW shard_analytics.campaign_totals AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, kind::text AS kind, sum(hits)::bigint AS hits, sum(human_hits)::bigint AS human_hits,
         sum(recipients)::bigint AS recipients, sum(human_recipients)::bigint AS human_recipients
  FROM (SELECT campaign_id, kind, hits, human_hits, CASE kind WHEN 'click' THEN shard.size(few, bits) ELSE 0 END AS recipients,
               CASE kind WHEN 'click' THEN shard.size(human_few, human_bits) ELSE 0 END AS human_recipients
        FROM shard.people_now WHERE facet = 'all'
        UNION ALL
        SELECT campaign_id, 'open', 0, 0, shard.size(few, bits), shard.size(human_few, human_bits) FROM shard.opened) AS both_of_them
  GROUP BY campaign_id, kind HAVING sum(hits) <> 0 OR sum(recipients) <> 0;

-- The recipients with a hit that is human or unsure, by kind of hit.
CREATE VIEW shard.likely AS
  SELECT campaign_id, kind, chunk, max(few) FILTER (WHERE is_unsure) || max(few) FILTER (WHERE NOT is_unsure) AS few, bit_or(bits)::bit varying AS bits
  FROM (SELECT campaign_id, kind, chunk, false AS is_unsure, human_few AS few, human_bits AS bits FROM shard.people_now WHERE facet = 'all'
        UNION ALL SELECT campaign_id, kind, chunk, true, few, bits FROM shard.people_now WHERE facet = 'verdict' AND value = 'unsure') AS each
  GROUP BY campaign_id, kind, chunk;

CREATE VIEW shard_analytics.likely_totals AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, kind::text AS kind, sum(recipients)::bigint AS recipients
  FROM (SELECT campaign_id, kind, shard.size(few, bits) AS recipients FROM shard.likely WHERE kind = 'click'
        UNION ALL
        SELECT campaign_id, 'open', shard.size(max(few) FILTER (WHERE kind = 'open') || max(few) FILTER (WHERE kind = 'click'), bit_or(bits)::bit varying)
        FROM shard.likely GROUP BY campaign_id, chunk) AS both_of_them
  GROUP BY campaign_id, kind;

-- The recipients who opened a letter, in one row for each chunk. One row for each recipient would take ten times as long to transfer.
CREATE VIEW shard_analytics.openers AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, is_human, recipient_ids
  FROM (SELECT campaign_id, chunk, ARRAY(SELECT * FROM shard.members(chunk, human_few, human_bits)) AS humans, ARRAY(SELECT * FROM shard.members(chunk, few, bits)) AS everyone
        FROM shard.opened) AS each
  CROSS JOIN LATERAL (VALUES (true, humans), (false, ARRAY(SELECT unnest(everyone) EXCEPT SELECT unnest(humans)))) AS by_verdict (is_human, recipient_ids)
  WHERE recipient_ids <> '{}';

-- If a query selects a facet, Postgres reads only the parts of this facet. The facet verdict has two parts, because the verdict human has no rows of
-- its own: it has the hits and recipients of facet 'all' that are human.
CREATE VIEW shard_analytics.facets AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, kind::text AS kind, facet, value, sum(hits)::bigint AS hits, sum(human_hits)::bigint AS human_hits,
         sum(recipients)::bigint AS recipients, sum(human_recipients)::bigint AS human_recipients
  FROM (SELECT campaign_id, kind, p.name AS facet, nullif(value, '') AS value, hits, human_hits, shard.size(few, bits) AS recipients, shard.size(human_few, human_bits) AS human_recipients
        FROM (SELECT 'country' AS name, * FROM shard.people_now WHERE facet = 'country'
              UNION ALL SELECT 'referrer', * FROM shard.people_now WHERE facet = 'referrer'
              UNION ALL SELECT 'network', * FROM shard.people_now WHERE facet = 'network'
              UNION ALL SELECT 'client', * FROM shard.people_now WHERE facet = 'client'
              UNION ALL SELECT 'system', * FROM shard.people_now WHERE facet = 'system'
              UNION ALL SELECT 'device', * FROM shard.people_now WHERE facet = 'device'
              UNION ALL SELECT 'verdict', * FROM shard.people_now WHERE facet = 'verdict') AS p
        UNION ALL
        SELECT campaign_id, kind, 'verdict', 'human', human_hits, human_hits, shard.size(human_few, human_bits), shard.size(human_few, human_bits)
        FROM shard.people_now WHERE facet = 'all') AS each
  GROUP BY campaign_id, kind, facet, value HAVING sum(hits) <> 0;

CREATE VIEW shard_analytics.machine_traffic AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, kind::text AS kind, split_part(value, ' ', 1) AS verdict,
         nullif(substr(value, strpos(value, ' ') + 1), '') AS network, sum(hits)::bigint AS hits, sum(shard.size(few, bits))::bigint AS recipients
  FROM shard.people_now WHERE facet = 'machine' GROUP BY campaign_id, kind, value HAVING sum(hits) <> 0;

-- The hits of each recipient on each link, including those of dropped months. Opens have link 0. It reads all events of a recipient. All sums are of integers, because Postgres
-- computes a sum of bigints as numeric, which is much slower.
CREATE VIEW shard.recipient_hits AS
  SELECT recipient_id, campaign_id, link_id, kind, sum(human_hits)::integer AS human_hits, sum(machine_hits)::integer AS machine_hits, min(first_at) AS first_at, max(last_at) AS last_at
  FROM (
    SELECT recipient_id, campaign_id, CASE kind WHEN 'click' THEN link_id ELSE 0 END AS link_id, kind, (verdict = 'human')::integer AS human_hits,
           (verdict <> 'human')::integer AS machine_hits, at AS first_at, at AS last_at
    FROM shard.event WHERE recipient_id <> 0
    UNION ALL
    SELECT recipient_id, campaign_id, link_id, kind, human_hits, machine_hits, first_at, last_at FROM shard.past_hits
  ) AS each
  WHERE recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test)
  GROUP BY recipient_id, campaign_id, link_id, kind;

CREATE VIEW shard_analytics.activity AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, link_id, recipient_id, kind::text AS kind, first_at, last_at, human_hits::bigint AS human_hits,
         machine_hits::bigint AS machine_hits
  FROM shard.recipient_hits;

-- Counts for each position in how many sets it is. Element i of the result has one bit for each position: bit i - 1 of its count. So one
-- operation on bits adds a set to the counts of all positions of a chunk.
CREATE FUNCTION shard.add_set(slices bit varying[], set_bits bit varying) RETURNS bit varying[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  carry bit varying := set_bits;
  sum_bits bit varying;
BEGIN
  FOR i IN 1 .. cardinality(slices) LOOP
    IF bit_count(carry) = 0 THEN RETURN slices; END IF;
    sum_bits := slices[i] # carry;
    carry := slices[i] & carry;
    slices[i] := sum_bits;
  END LOOP;
  RETURN slices || carry;
END $$;
CREATE AGGREGATE shard.count_sets (bit varying) (SFUNC = shard.add_set, STYPE = bit varying[], INITCOND = '{}', PARALLEL = SAFE);

-- The count of a position in the result of shard.count_sets.
CREATE FUNCTION shard.sets_with(slices bit varying[], place integer) RETURNS bigint LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  sum bigint := 0;
BEGIN
  FOR i IN 1 .. cardinality(slices) LOOP sum := sum + (get_bit(slices[i], place)::bigint << (i - 1)); END LOOP;
  RETURN sum;
END $$;

-- The recipients of a row of shard.hit_count_now who have hits. `slices` counts for each recipient of the larger chunk the links with a click
-- judged human; see shard.count_sets.
CREATE FUNCTION shard.counted_recipients(chunk bigint, counters integer[], slices bit varying[])
RETURNS TABLE (recipient_id bigint, human_clicks bigint, machine_clicks bigint, human_clicked_links bigint, human_opens bigint, machine_opens bigint)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE ROWS 250 SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  RETURN QUERY
    SELECT chunk * 250 + p, counters[4 * p + 1]::bigint, counters[4 * p + 2]::bigint,
           CASE WHEN counters[4 * p + 1] > 1 THEN shard.sets_with(slices, (chunk % 60)::integer * 250 + p) ELSE counters[4 * p + 1] END,
           counters[4 * p + 3]::bigint, counters[4 * p + 4]::bigint
    FROM generate_series(0, 249) AS p WHERE counters[4 * p + 1] + counters[4 * p + 2] + counters[4 * p + 3] + counters[4 * p + 4] > 0;
END $$;
REVOKE EXECUTE ON FUNCTION shard.counted_recipients FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.counted_recipients TO clickledger_analyst;

-- Clicks and opens by recipient and campaign. The times are those of single hits. They take longest, so they are only read if a query needs them.
CREATE VIEW shard_analytics.engagement AS
  SELECT (SELECT name FROM shard.identity) AS shard, c.campaign_id, r.recipient_id, r.human_clicks, r.machine_clicks, r.human_clicked_links, times.last_click_at,
         r.human_opens, r.machine_opens, times.first_open_at, times.last_open_at, true AS opened, r.human_clicks + r.human_opens > 0 AS human_opened
  FROM shard.hit_count_now AS c
  LEFT JOIN (
    SELECT campaign_id, chunk, shard.count_sets(shard.set_bits(coalesce(human_bits, repeat('0', 15000)::bit varying), human_few, 1)) AS slices
    FROM shard.people_now WHERE facet = 'link' GROUP BY campaign_id, chunk
  ) AS links ON links.campaign_id = c.campaign_id AND links.chunk = c.chunk / 60
  CROSS JOIN LATERAL shard.counted_recipients(c.chunk, c.counters, links.slices) AS r
  LEFT JOIN LATERAL (
    SELECT max(last_at) FILTER (WHERE kind = 'click') AS last_click_at, min(first_at) FILTER (WHERE kind = 'open') AS first_open_at,
           max(last_at) FILTER (WHERE kind = 'open') AS last_open_at
    FROM shard.recipient_hits h WHERE h.campaign_id = c.campaign_id AND h.recipient_id = r.recipient_id
  ) AS times ON true
  WHERE r.recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test);

-- The time of the first hit of a recipient in each campaign. It looks into one quarter of an hour after the other, until it finds such a hit.
CREATE VIEW shard_analytics.first_hits AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, first_at
  FROM (SELECT DISTINCT campaign_id FROM shard.people_now WHERE facet = 'all') AS campaign CROSS JOIN LATERAL (
    SELECT first_at
    FROM (SELECT DISTINCT quarter FROM shard.activity_now WHERE activity_now.campaign_id = campaign.campaign_id ORDER BY quarter OFFSET 0) AS active CROSS JOIN LATERAL (
      SELECT least(
        (SELECT min(at) FROM shard.counted
         WHERE counted.campaign_id = campaign.campaign_id AND recipient_id <> 0 AND at >= active.quarter AND at < active.quarter + interval '15 minutes'),
        (SELECT min(first_at) FROM shard.past_hits
         WHERE past_hits.campaign_id = campaign.campaign_id AND first_at >= active.quarter AND first_at < active.quarter + interval '15 minutes'
           AND recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test))) AS first_at
    ) AS earliest
    WHERE first_at IS NOT NULL LIMIT 1
  ) AS first;

-- The following views read single events, so they have nothing of dropped months.

-- The visitors of shared links. Their hits have no recipient, and a visitor can be recognised only within one day.
CREATE VIEW shard_analytics.visitors AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, link_id, (at AT TIME ZONE 'UTC')::date AS day, kind,
         count(DISTINCT visitor) AS visitors, count(DISTINCT visitor) FILTER (WHERE verdict = 'human') AS human_visitors
  FROM shard.counted WHERE recipient_id = 0 GROUP BY campaign_id, link_id, day, kind;

-- The links of a recipient that more than one visitor clicked on one day: the letter was forwarded, or the reader has several devices. The
-- query sorts all clicks. So the grouping begins with the column with the most values, and days are computed with date_bin, which is cheap.
CREATE VIEW shard_analytics.passed_on AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, link_id, recipient_id, (midnight AT TIME ZONE 'UTC')::date AS day, visitors
  FROM (SELECT recipient_id, link_id, date_bin('1 day', at, '2000-01-01 00:00+00') AS midnight, campaign_id, count(DISTINCT visitor) AS visitors
        FROM shard.counted WHERE recipient_id <> 0 AND kind = 'click' AND verdict = 'human' GROUP BY recipient_id, link_id, midnight, campaign_id) AS each
  WHERE visitors > 1;

CREATE VIEW shard_analytics.first_human AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, recipient_id, kind, min(at) AS first_human_at
  FROM shard.counted WHERE recipient_id <> 0 AND verdict = 'human' GROUP BY campaign_id, recipient_id, kind;

-- The clicks by recipient and quarter of an hour. A report that counts recipients by hour in a time zone needs the recipients, not only
-- their number.
CREATE VIEW shard_analytics.human_clicks AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, link_id, recipient_id, shard.quarter_of(at) AS quarter, count(*) AS hits
  FROM shard.counted WHERE kind = 'click' AND verdict = 'human' AND recipient_id <> 0 GROUP BY campaign_id, link_id, recipient_id, quarter;

GRANT SELECT ON shard_analytics.likely_totals, shard_analytics.activity_15m, shard_analytics.hits_by_day, shard_analytics.link_totals, shard_analytics.campaign_totals, shard_analytics.openers, shard_analytics.facets,
  shard_analytics.machine_traffic, shard_analytics.activity, shard_analytics.engagement, shard_analytics.first_hits, shard_analytics.visitors, shard_analytics.passed_on,
  shard_analytics.first_human, shard_analytics.human_clicks TO clickledger_analyst;
