-- The views of a shard for lists of people, e.g. of those who clicked. Hits that are not human or unsure are never in them.

-- The recipients with a hit, in one row for each chunk of a set. `link_id` is null in the sets of the whole campaign. A set with `is_unsure` has the
-- recipients with an unsure hit. There is none for single links.
CREATE VIEW shard_analytics.people AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, link_id, kind::text AS kind, is_unsure, recipient_ids
  FROM (SELECT campaign_id, NULL::bigint AS link_id, kind, false AS is_unsure, ARRAY(SELECT * FROM shard.members(chunk, human_few, human_bits)) AS recipient_ids
        FROM shard.people_now WHERE facet = 'all'
        UNION ALL
        SELECT campaign_id, link_id, kind, false, ARRAY(SELECT * FROM shard.members(chunk, human_few, human_bits)) FROM shard.people_now WHERE facet = 'link'
        UNION ALL
        SELECT campaign_id, NULL, kind, true, ARRAY(SELECT * FROM shard.members(chunk, few, bits)) FROM shard.people_now WHERE facet = 'verdict' AND value = 'unsure') AS each
  WHERE recipient_ids <> '{}';

-- Single hits of recipients. Of a dropped month, a row has all hits of a recipient on one link, and which of their times belong to a human hit is
-- not known any more. Of a single hit, both times are the same.
CREATE VIEW shard_analytics.people_hits AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, recipient_id, is_unsure, first_at, last_at
  FROM (SELECT campaign_id, recipient_id, verdict = 'unsure' AS is_unsure, at AS first_at, at AS last_at
        FROM shard.event WHERE recipient_id <> 0 AND verdict IN ('human', 'unsure')
        UNION ALL
        SELECT campaign_id, recipient_id, false, first_at, last_at FROM shard.past_hits WHERE human_hits > 0) AS each
  WHERE recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test);

-- The time of the first hit of each recipient. A filter by recipients is applied to the hits, before they are grouped.
CREATE VIEW shard_analytics.people_first AS
  SELECT shard, recipient_id, is_unsure, min(first_at) AS first_at FROM shard_analytics.people_hits GROUP BY shard, recipient_id, is_unsure;

GRANT SELECT ON shard_analytics.people, shard_analytics.people_hits, shard_analytics.people_first TO clickledger_analyst;
