-- title: Revenue
-- question: What value did the goals of each campaign have?
-- parameter: campaigns  names or numbers of campaigns, separated by commas; default: all campaigns
\ir shared/site.sql
\ir shared/period.sql
-- chart: bar x=campaign y=human_value
-- reach: yes
-- page: link
--
-- Only goals that were judged human and have a value count. human_value is their sum, and per_recipient is this sum divided by the number of
-- recipients for whom a tracked letter was prepared. A goal counts for the campaign of the last click of its recipient before it, by a person,
-- within 30 days (setting GOAL_DAYS). There is a row for each currency.

\if :{?campaigns} \else \set campaigns '' \endif

SELECT g.campaign_id, c.name AS campaign, count(*) AS human_goals, count(DISTINCT g.recipient_id) AS human_recipients, sum(g.value) AS human_value,
       round(sum(g.value) / count(*), 2) AS per_goal, round(sum(g.value) / nullif(c.prepared_for, 0), 4) AS per_recipient, g.currency
FROM (SELECT * FROM analytics.goals WHERE verdict = 'human' AND value IS NOT NULL AND :of_site AND at >= :begins AND at < :ends) AS g
JOIN analytics.campaigns c USING (campaign_id)
WHERE :'campaigns' = '' OR g.campaign_id = ANY (string_to_array(:'campaigns', ',')::bigint[])
GROUP BY g.campaign_id, c.name, c.prepared_for, g.currency
ORDER BY g.campaign_id DESC, g.currency;
