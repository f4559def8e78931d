-- title: Time to the first click
-- question: How long after a campaign was sent did recipients click for the first time?
-- parameter: campaign  name or number of the campaign; default: all campaigns
-- chart: bar x=delay y=human_recipients
-- reach: yes
-- page: link
--
-- For each recipient and campaign, the report counts the first click that was judged human. The column since says from which time the delay
-- is counted. The value sent is the time of sending that the author recorded (clickledger campaign sent). If the author recorded none, the
-- value is first hit, the time of the first hit of the campaign. The first hit often comes from a scanner, soon after sending. Shares are
-- of all rows with the same value of since. A range of delays includes its start and excludes its end.

\if :{?campaign} \else \set campaign '' \endif

WITH campaign AS MATERIALIZED (
  SELECT campaign_id, sent_at, CASE WHEN sent_at IS NULL THEN 'first hit' ELSE 'sent' END AS since
  FROM analytics.campaigns
  WHERE :'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint
),
start AS (
  SELECT c.campaign_id, c.since, coalesce(c.sent_at, h.first_at) AS at
  FROM campaign c
  LEFT JOIN (
    SELECT * FROM analytics.first_hits
    WHERE (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
      AND campaign_id = ANY (ARRAY(SELECT campaign_id FROM campaign WHERE sent_at IS NULL))
  ) h USING (campaign_id)
),
first AS (
  -- The column n has the number of a range of the CTE tally: 0 ends at the first limit, and 10 begins at the last limit.
  SELECT s.since, width_bucket(f.first_human_at - s.at, ARRAY['0', '1 minute', '5 minutes', '15 minutes', '1 hour', '3 hours', '6 hours',
                                                              '24 hours', '48 hours', '168 hours']::interval[]) AS n,
         count(*) AS human_recipients
  FROM (SELECT * FROM analytics.first_human WHERE kind = 'click' AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)) f
  JOIN start s USING (campaign_id)
  GROUP BY 1, 2
),
tally AS (
  SELECT n, delay, since, coalesce(human_recipients, 0) AS human_recipients
  FROM (SELECT DISTINCT since FROM campaign) AS each
  CROSS JOIN (VALUES (0, 'before sending'), (1, 'up to 1 min'), (2, '1 to 5 min'), (3, '5 to 15 min'), (4, '15 to 60 min'), (5, '1 to 3 h'),
                     (6, '3 to 6 h'), (7, '6 to 24 h'), (8, '1 to 2 days'), (9, '2 to 7 days'), (10, 'over 7 days')) AS delay_range (n, delay)
  LEFT JOIN first USING (since, n)
  -- The range 0 has rows only for the value sent, because no click comes before the first hit.
  WHERE n > 0 OR since = 'sent'
)
SELECT delay, since, human_recipients,
       round(100.0 * human_recipients / nullif(sum(human_recipients) OVER (PARTITION BY since), 0), 2)::float8 AS percent,
       round(100.0 * sum(human_recipients) OVER (PARTITION BY since ORDER BY n) / nullif(sum(human_recipients) OVER (PARTITION BY since), 0), 2)::float8
         AS percent_until_then
FROM tally
ORDER BY since DESC, n;
