-- title: Pages
-- question: Which pages of a site were visited, and how often?
-- parameter: campaign  name or number of the campaign whose clicks led to the visits; default: all visits
\ir shared/site.sql
\ir shared/period.sql
-- parameter: limit  the most pages to show; default: all
-- chart: stacked-bar x=page y=human_visits,machine_visits
-- reach: yes
-- page: link
--
-- `sessions` is the number of tabs of browsers with a visit of the page that was judged human. A page is a host and a path, without what follows
-- the question mark.

\if :{?campaign} \else \set campaign '' \endif
\if :{?limit} \else \set limit '' \endif

SELECT coalesce(page, 'none named') AS page, count(*) AS visits, count(*) FILTER (WHERE verdict = 'human') AS human_visits,
       count(*) FILTER (WHERE verdict <> 'human') AS machine_visits, count(DISTINCT session) FILTER (WHERE verdict = 'human') AS sessions
FROM analytics.visits
WHERE :of_site AND at >= :begins AND at < :ends AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
GROUP BY visits.page
ORDER BY human_visits DESC, visits DESC, visits.page
LIMIT nullif(:'limit', '')::bigint;
