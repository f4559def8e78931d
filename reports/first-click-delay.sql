-- title: Time to the first click
-- question: How long after a campaign was sent did recipients click for the first time?
-- parameter: campaign  number of the campaign; default: all campaigns
-- chart: bar x=delay y=human_recipients
-- reach: yes
--
-- The report counts the first click of each recipient in each campaign that was judged human. It leaves out campaigns without a recorded
-- time of sending (clickledger campaign sent). A range includes its start and excludes its end.

\if :{?campaign} \else \set campaign '' \endif

WITH first AS (
  -- n is the number of the range below: 0 is before the first limit, 10 begins at the last limit.
  SELECT width_bucket(f.first_human_at - c.sent_at, ARRAY['0', '1 minute', '5 minutes', '15 minutes', '1 hour', '3 hours', '6 hours',
                                                          '24 hours', '48 hours', '168 hours']::interval[]) AS n,
         count(*) AS human_recipients
  FROM (SELECT * FROM analytics.first_human WHERE kind = 'click' AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)) f
  JOIN analytics.campaigns c USING (campaign_id)
  WHERE c.sent_at IS NOT NULL
  GROUP BY 1
),
tally AS (
  SELECT n, delay, coalesce(human_recipients, 0) AS human_recipients
  FROM (VALUES (0, 'before sending'), (1, 'up to 1 min'), (2, '1 to 5 min'), (3, '5 to 15 min'), (4, '15 to 60 min'), (5, '1 to 3 h'),
               (6, '3 to 6 h'), (7, '6 to 24 h'), (8, '1 to 2 days'), (9, '2 to 7 days'), (10, 'over 7 days')) AS delay_range (n, delay)
  LEFT JOIN first USING (n)
)
SELECT delay, human_recipients,
       round(100.0 * human_recipients / nullif(sum(human_recipients) OVER (), 0), 2)::float8 AS percent,
       round(100.0 * sum(human_recipients) OVER (ORDER BY n) / nullif(sum(human_recipients) OVER (), 0), 2)::float8 AS percent_until_then
FROM tally
ORDER BY n;
