-- title: Goals by link
-- question: Which links led to goals, how often, and of what value?
-- parameter: campaign  name or number of the campaign; default: all campaigns
-- parameter: goal  name of the goal; default: all goals
\ir shared/site.sql
\ir shared/period.sql
-- chart: bar x=url y=human_goals
-- reach: yes
-- page: link
--
-- A goal counts for the link of the last click of its recipient before it, by a person, within 30 days (setting GOAL_DAYS). human_clickers is
-- the number of recipients with a click on the link that was judged human. human_recipients is the number of those of them with a goal that was
-- judged human, and goal_percent is their share. Goals of shared links have no recipient.

\if :{?campaign} \else \set campaign '' \endif
\if :{?goal} \else \set goal '' \endif

WITH goal AS MATERIALIZED (
  SELECT link_id, name, currency, count(*) AS goals, count(*) FILTER (WHERE verdict = 'human') AS human_goals,
         count(DISTINCT recipient_id) FILTER (WHERE verdict = 'human' AND click_verdict = 'human') AS human_recipients, sum(value) FILTER (WHERE verdict = 'human') AS human_value
  FROM analytics.goals
  WHERE link_id IS NOT NULL AND :of_site AND (:'goal' = '' OR name = :'goal') AND at >= :begins AND at < :ends
    AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
  GROUP BY link_id, name, currency
)
SELECT l.campaign_id, l.link_id, l.position, l.label, l.target AS url, g.name AS goal, g.goals, g.human_goals, g.human_recipients,
       coalesce(t.human_recipients, 0) AS human_clickers,
       round(100.0 * g.human_recipients / nullif(t.human_recipients, 0), 2)::float8 AS goal_percent, g.human_value, g.currency
FROM goal g
JOIN analytics.links l USING (link_id)
LEFT JOIN (SELECT link_id, human_recipients FROM analytics.link_totals WHERE link_id = ANY (ARRAY(SELECT link_id FROM goal))) t USING (link_id)
ORDER BY l.campaign_id DESC, g.human_goals DESC, l.position, l.link_id, g.name, g.currency;
