-- title: Bounces
-- question: On which pages did sessions begin, and how many of these sessions had one visit and no goal?
-- parameter: campaign  name or number of the campaign whose clicks led to the visits; default: all visits
\ir shared/site.sql
\ir shared/period.sql
-- parameter: limit  maximum number of pages; default: all
-- chart: bar x=page y=bounce_percent
-- reach: yes
-- page: link
--
-- A session is a tab of a browser. A session bounced if it has one visit and no goal. Only sessions whose visits were all judged human count.

\if :{?campaign} \else \set campaign '' \endif
\if :{?limit} \else \set limit '' \endif

WITH visit AS MATERIALIZED (
  SELECT session, at, gen, off, page, verdict
  FROM analytics.visits
  WHERE session IS NOT NULL AND :of_site AND at >= :begins AND at < :ends AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
),
session AS (
  SELECT session, (array_agg(page ORDER BY at, gen, off))[1] AS page, count(*) AS visits FROM visit GROUP BY session HAVING bool_and(verdict = 'human')
),
goal AS MATERIALIZED (
  SELECT DISTINCT session FROM analytics.goals WHERE session IS NOT NULL AND :of_site AND at >= :begins AND at < :ends
)
SELECT coalesce(s.page, 'none named') AS page, count(*) AS sessions, count(*) FILTER (WHERE bounced) AS bounced,
       round(100.0 * count(*) FILTER (WHERE bounced) / count(*), 2)::float8 AS bounce_percent
FROM (SELECT session.*, visits = 1 AND session NOT IN (SELECT session FROM goal) AS bounced FROM session) AS s
GROUP BY s.page
ORDER BY sessions DESC, s.page
LIMIT nullif(:'limit', '')::bigint;
