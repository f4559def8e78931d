-- title: Inactive since
-- question: Which people got letters since a day or a time, and have neither opened nor clicked since then?
-- parameter: since:from  the first day or time, e.g. 2030-05-01 or '90 days ago'
\ir shared/clock.sql
-- parameter: letters:number  only people for whom at least so many letters were prepared since then; default: 1
-- parameter: limit  maximum number of people; default: all
-- chart: none
-- reach: yes
-- page: link
--
-- Opens and clicks judged human count, also those of earlier letters. The column letters has the number of tracked letters that were prepared
-- for the person since then. Test recipients, and people who are forgotten, who opted out of tracking or who unsubscribed, are not in the
-- list. The report has no rows if since is not given.

\if :{?since} \else \set since '' \endif
\if :{?letters} \else \set letters '' \endif
\if :{?limit} \else \set limit '' \endif
\ir shared/segment.sql
\set begins '(SELECT nullif(:''since'', '''')::timestamptz)'

WITH mailed AS MATERIALIZED (
  SELECT recipient_id, count(*) AS letters, max(prepared_at) AS last_letter_at
  FROM analytics.mailings
  WHERE is_tracked AND prepared_at >= :begins
  GROUP BY recipient_id
  HAVING count(*) >= coalesce(nullif(:'letters', '')::bigint, 1)
),
-- Everybody in the sets of a campaign whose hits all came later was active. Single hits are read only for the people of campaigns whose hits came
-- before and after.
campaign AS MATERIALIZED (
  SELECT campaign_id, min(day)::timestamp AT TIME ZONE 'UTC' >= :begins AS is_later
  FROM analytics.hits_by_day
  GROUP BY campaign_id
  HAVING (max(day) + 1)::timestamp AT TIME ZONE 'UTC' > :begins
),
active AS MATERIALIZED (
  SELECT DISTINCT recipient_id
  FROM analytics.people
  WHERE link_id IS NULL AND campaign_id = ANY (ARRAY(SELECT campaign_id FROM campaign WHERE is_later))
),
perhaps_active AS MATERIALIZED (
  SELECT DISTINCT recipient_id
  FROM mailed
  JOIN analytics.people p USING (recipient_id)
  WHERE p.link_id IS NULL AND p.campaign_id = ANY (ARRAY(SELECT campaign_id FROM campaign WHERE NOT is_later))
    AND NOT EXISTS (SELECT FROM active a WHERE a.recipient_id = p.recipient_id)
),
recently_active AS MATERIALIZED (
  SELECT DISTINCT recipient_id
  FROM analytics.people_hits
  WHERE last_at >= :begins AND recipient_id = ANY (ARRAY(SELECT recipient_id FROM perhaps_active))
)
SELECT recipient_id, r.email, r.external_id, m.letters, m.last_letter_at
FROM mailed m
JOIN analytics.recipients r USING (recipient_id)
WHERE :reachable AND NOT EXISTS (SELECT FROM active a WHERE a.recipient_id = m.recipient_id)
  AND NOT EXISTS (SELECT FROM recently_active a WHERE a.recipient_id = m.recipient_id)
ORDER BY recipient_id
LIMIT nullif(:'limit', '')::bigint;
