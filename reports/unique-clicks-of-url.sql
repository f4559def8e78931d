-- title: Unique clicks on a URL
-- question: How many different recipients clicked a URL in each hour?
-- parameter: url  the URL, exactly as it was in the letter or as the link leads now; default: all URLs
-- parameter: campaign  name or number of the campaign; default: all campaigns
-- parameter: limit  maximum number of hours; default: all
-- chart: bar x=hour y=human_recipients,new_human_recipients
-- reach: yes
--
-- If a recipient clicks several times in one hour, human_recipients counts the recipient once. new_human_recipients has the number of
-- recipients who had not clicked the URL before that hour. So its sum is the number of all recipients who clicked. Only clicks judged human
-- count. Clicks on shared links do not count, because they have no recipient. The parameters from and to select whole hours.

\if :{?url} \else \set url '' \endif
\if :{?campaign} \else \set campaign '' \endif
\if :{?limit} \else \set limit '' \endif

\ir shared/period.sql

WITH click AS MATERIALIZED (
  SELECT recipient_id, date_trunc('hour', quarter, :'timezone') AS hour, sum(hits) AS hits
  FROM analytics.human_clicks
  WHERE (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint) AND link_id = ANY (ARRAY(
    SELECT link_id
    FROM analytics.links
    WHERE kind = 'url' AND (:'url' = '' OR target = :'url' OR original = :'url')
      AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
  ))
  GROUP BY 1, 2
),
counted AS (
  SELECT hour, hits, 1 AS recipients, (hour = min(hour) OVER (PARTITION BY recipient_id))::int AS new_recipients FROM click
  UNION ALL
  -- Adds the hours without clicks. The step is a quarter of an hour, because some time zones put their clocks back by half an hour.
  SELECT date_trunc('hour', generate_series(min(hour), max(hour), '15 minutes'), :'timezone'), 0, 0, 0 FROM click
)
SELECT to_char(moment, 'YYYY-MM-DD HH24:MI') || :offset AS hour, human_hits, human_recipients, new_human_recipients
FROM (
  SELECT hour AS moment, sum(hits)::bigint AS human_hits, sum(recipients)::bigint AS human_recipients, sum(new_recipients)::bigint AS new_human_recipients
  FROM counted GROUP BY hour
) AS hourly
WHERE moment >= :begins AND moment < :ends
ORDER BY moment
LIMIT nullif(:'limit', '')::bigint;
