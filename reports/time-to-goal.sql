-- title: Time from the click to the goal
-- question: How long after their click did recipients reach a goal?
-- parameter: campaign  name or number of the campaign; default: all campaigns
-- parameter: goal  name of the goal; default: all goals
\ir shared/site.sql
\ir shared/period.sql
-- chart: bar x=delay y=human_goals
-- reach: yes
-- page: link
--
-- Only goals that were judged human and count for a click are counted, from the last click of the recipient before the goal. A range of delays
-- includes its start and excludes its end.

\if :{?campaign} \else \set campaign '' \endif
\if :{?goal} \else \set goal '' \endif

WITH counted AS (
  -- The column n has the number of a range of delays, from 0.
  SELECT width_bucket(at - click_at, ARRAY['1 minute', '5 minutes', '15 minutes', '1 hour', '6 hours', '24 hours', '168 hours']::interval[]) AS n,
         count(*) AS human_goals
  FROM analytics.goals
  WHERE verdict = 'human' AND link_id IS NOT NULL AND click_at IS NOT NULL AND :of_site AND (:'goal' = '' OR name = :'goal') AND at >= :begins AND at < :ends
    AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
  GROUP BY n
)
SELECT delay, coalesce(human_goals, 0) AS human_goals,
       round(100.0 * coalesce(human_goals, 0) / nullif(sum(human_goals) OVER (), 0), 2)::float8 AS percent,
       round(100.0 * sum(human_goals) OVER (ORDER BY n) / nullif(sum(human_goals) OVER (), 0), 2)::float8 AS percent_until_then
FROM (VALUES (0, 'up to 1 min'), (1, '1 to 5 min'), (2, '5 to 15 min'), (3, '15 to 60 min'), (4, '1 to 6 h'), (5, '6 to 24 h'), (6, '1 to 7 days'),
             (7, 'over 7 days')) AS delay_range (n, delay)
LEFT JOIN counted USING (n)
ORDER BY n;
