-- The query of the reports pages and visit-referrers. These reports set the variable `column`, which is the name of the column.
-- parameter: campaign  name or number of the campaign whose clicks led to the visits; default: all visits
\ir site.sql
\ir period.sql
-- parameter: limit  maximum number of rows; default: all

\if :{?campaign} \else \set campaign '' \endif
\if :{?limit} \else \set limit '' \endif

SELECT coalesce(:"column", 'none named') AS :"column", count(*) AS visits, count(*) FILTER (WHERE verdict = 'human') AS human_visits,
       count(*) FILTER (WHERE verdict <> 'human') AS machine_visits, count(DISTINCT session) FILTER (WHERE verdict = 'human') AS sessions
FROM analytics.visits
WHERE :of_site AND at >= :begins AND at < :ends AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
GROUP BY visits.:"column"
ORDER BY human_visits DESC, visits DESC, visits.:"column"
LIMIT nullif(:'limit', '')::bigint;
