-- title: Referrers of visits
-- question: From which other sites did visits come?
-- parameter: campaign  name or number of the campaign whose clicks led to the visits; default: all visits
\ir shared/site.sql
\ir shared/period.sql
-- parameter: limit  the most rows to show; default: all
-- chart: stacked-bar x=referrer y=human_visits,machine_visits
-- reach: yes
-- page: link
--
-- Only the first visit of a tab can come from another site. A visit by a link in a letter usually has no referrer.

\if :{?campaign} \else \set campaign '' \endif
\if :{?limit} \else \set limit '' \endif

SELECT coalesce(referrer, 'none named') AS referrer, count(*) AS visits, count(*) FILTER (WHERE verdict = 'human') AS human_visits,
       count(*) FILTER (WHERE verdict <> 'human') AS machine_visits, count(DISTINCT session) FILTER (WHERE verdict = 'human') AS sessions
FROM analytics.visits
WHERE :of_site AND at >= :begins AND at < :ends AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
GROUP BY visits.referrer
ORDER BY human_visits DESC, visits DESC, visits.referrer
LIMIT nullif(:'limit', '')::bigint;
