-- title: Newly engaged
-- question: Which people opened or clicked for the first time in a period?
\ir shared/period.sql
-- parameter: limit  maximum number of people; default: all
-- chart: none
-- reach: yes
-- page: link
--
-- The first open or click judged human, of all campaigns, is in the period; the column first_hit_at has its time. Of hits whose single hits
-- were dropped (KEEP_EVENTS_MONTHS), the time may be that of an earlier hit by a machine. Test recipients, and people who are forgotten, who
-- opted out of tracking or who unsubscribed, are not in the list.

\if :{?limit} \else \set limit '' \endif
\ir shared/segment.sql

-- Nobody in the sets of a campaign whose hits all came before the period is new. Single hits are read only for the other people with a hit in a
-- campaign that had hits in the period.
WITH campaign AS MATERIALIZED (
  SELECT campaign_id, (max(day) + 1)::timestamp AT TIME ZONE 'UTC' <= :begins AS is_earlier
  FROM analytics.hits_by_day
  GROUP BY campaign_id
  HAVING min(day)::timestamp AT TIME ZONE 'UTC' < :ends
),
known AS MATERIALIZED (
  SELECT DISTINCT recipient_id
  FROM analytics.people
  WHERE link_id IS NULL AND campaign_id = ANY (ARRAY(SELECT campaign_id FROM campaign WHERE is_earlier))
),
perhaps_new AS MATERIALIZED (
  SELECT DISTINCT recipient_id
  FROM analytics.people p
  WHERE link_id IS NULL AND campaign_id = ANY (ARRAY(SELECT campaign_id FROM campaign WHERE NOT is_earlier))
    AND NOT EXISTS (SELECT FROM known k WHERE k.recipient_id = p.recipient_id)
),
first_hit AS MATERIALIZED (
  SELECT recipient_id, first_at AS first_hit_at
  FROM analytics.people_first
  WHERE recipient_id = ANY (ARRAY(SELECT recipient_id FROM perhaps_new))
)
SELECT recipient_id, r.email, r.external_id, f.first_hit_at
FROM first_hit f
JOIN analytics.recipients r USING (recipient_id)
WHERE f.first_hit_at >= :begins AND f.first_hit_at < :ends AND :reachable
ORDER BY recipient_id
LIMIT nullif(:'limit', '')::bigint;
