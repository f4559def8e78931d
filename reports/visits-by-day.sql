-- title: Visits by day
-- question: How many visits, visitors and sessions did a site have on each day?
-- parameter: campaign  name or number of the campaign whose clicks led to the visits; default: all visits
\ir shared/site.sql
\ir shared/period.sql
-- chart: stacked-bar x=day y=human_visits,machine_visits
-- reach: yes
-- page: link
--
-- Days are those of the time zone. `visitors` is the number of different browsers and `sessions` the number of their tabs, with a visit that was
-- judged human. Visitor numbers change at midnight UTC, so in other time zones a visitor may count twice. A day without visits has no row.

\if :{?campaign} \else \set campaign '' \endif

SELECT v.at::date AS day, s.host AS site, count(*) AS visits, count(*) FILTER (WHERE v.verdict = 'human') AS human_visits,
       count(*) FILTER (WHERE v.verdict <> 'human') AS machine_visits, count(DISTINCT v.visitor) FILTER (WHERE v.verdict = 'human') AS visitors,
       count(DISTINCT v.session) FILTER (WHERE v.verdict = 'human') AS sessions
FROM (
  SELECT * FROM analytics.visits
  WHERE :of_site AND at >= :begins AND at < :ends AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
) AS v
LEFT JOIN analytics.sites s USING (site_id)
GROUP BY day, s.host
ORDER BY day, s.host;
