-- title: Goals by campaign
-- question: Which goals did each campaign reach, by how many recipients, and of what value?
-- parameter: campaign  name or number of the campaign; default: all campaigns, and goals without a campaign
-- parameter: goal  name of the goal; default: all goals
\ir shared/site.sql
\ir shared/period.sql
-- chart: bar x=campaign y=human_goals
-- reach: yes
-- page: link
--
-- A goal counts for the campaign of the last click of its recipient before it, by a person, within 30 days (setting GOAL_DAYS). A goal without
-- such a click counts for no campaign. `recipients` are different recipients, and `visitors` are different visitors on a day. `human_value` is
-- the sum of the values of human_goals. There is a row for each currency.

\if :{?campaign} \else \set campaign '' \endif
\if :{?goal} \else \set goal '' \endif

SELECT g.campaign_id, coalesce(c.name, 'none') AS campaign, g.name AS goal, count(*) AS goals, count(*) FILTER (WHERE g.verdict = 'human') AS human_goals,
       count(*) FILTER (WHERE g.verdict <> 'human') AS machine_goals, count(DISTINCT g.recipient_id) AS recipients,
       count(DISTINCT (g.visitor, (g.at AT TIME ZONE 'UTC')::date)) FILTER (WHERE g.visitor IS NOT NULL) AS visitors,
       sum(g.value) FILTER (WHERE g.verdict = 'human') AS human_value, g.currency
FROM (
  SELECT * FROM analytics.goals
  WHERE :of_site AND (:'goal' = '' OR name = :'goal') AND at >= :begins AND at < :ends
) AS g
LEFT JOIN analytics.campaigns c USING (campaign_id)
WHERE :'campaign' = '' OR g.campaign_id = nullif(:'campaign', '')::bigint
GROUP BY g.campaign_id, c.name, g.name, g.currency
ORDER BY g.campaign_id DESC NULLS LAST, human_goals DESC, g.name, g.currency;
