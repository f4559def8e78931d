-- The query of the reports clicks-by-hour and opens-by-hour. These reports set the variable `kind`.
-- parameter: campaign  name or number of the campaign; default: all campaigns
\ir period.sql
-- parameter: limit  maximum number of hours; default: all

\if :{?campaign} \else \set campaign '' \endif
\if :{?limit} \else \set limit '' \endif

WITH hit AS MATERIALIZED (
  SELECT quarter, sum(hits) AS hits, coalesce(sum(hits) FILTER (WHERE verdict = 'human'), 0) AS human_hits
  FROM analytics.activity_15m
  WHERE kind = :'kind' AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
    AND quarter >= :begins AND quarter < :ends
  GROUP BY quarter
),
hourly AS (
  SELECT date_trunc('hour', quarter, :'timezone') AS moment, sum(hits)::bigint AS hits, sum(human_hits)::bigint AS human_hits
  FROM (
    SELECT * FROM hit
    UNION ALL
    -- Adds the hours without hits. The step is a quarter of an hour, because some time zones put their clocks back by half an hour.
    SELECT generate_series(min(quarter), max(quarter), '15 minutes'), 0, 0 FROM hit
  ) AS every
  GROUP BY 1
)
SELECT to_char(moment, 'YYYY-MM-DD HH24:MI') || :offset AS hour, hits, human_hits, hits - human_hits AS machine_hits
FROM hourly
ORDER BY moment
LIMIT nullif(:'limit', '')::bigint;
