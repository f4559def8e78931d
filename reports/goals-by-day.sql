-- title: Goals by day
-- question: How many goals were reached on each day, and of what value?
-- parameter: campaign  name or number of the campaign; default: all campaigns, and goals without a campaign
-- parameter: goal  name of the goal; default: all goals
\ir shared/site.sql
\ir shared/period.sql
-- chart: stacked-bar x=day y=human_goals,machine_goals
-- reach: yes
-- page: link
--
-- Days are those of the time zone. A day without goals has no row. There is a row for each currency.

\if :{?campaign} \else \set campaign '' \endif
\if :{?goal} \else \set goal '' \endif

SELECT at::date AS day, name AS goal, count(*) AS goals, count(*) FILTER (WHERE verdict = 'human') AS human_goals,
       count(*) FILTER (WHERE verdict <> 'human') AS machine_goals, sum(value) FILTER (WHERE verdict = 'human') AS human_value, currency
FROM analytics.goals
WHERE :of_site AND (:'goal' = '' OR name = :'goal') AND at >= :begins AND at < :ends
  AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
GROUP BY day, name, currency
ORDER BY day, name, currency;
