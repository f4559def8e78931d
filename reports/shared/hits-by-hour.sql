-- The query of the reports clicks-by-hour and opens-by-hour. They set `kind`.
-- parameter: campaign  number of the campaign; default: all campaigns
-- parameter: timezone  the time zone of all times, e.g. Asia/Kolkata; default: UTC
-- parameter: from  first day or time in that time zone, in whole quarters of an hour, e.g. 2030-05-01 or '2030-05-01 08:30'; default: the first hit
-- parameter: to  day or time in that time zone before which the report ends; default: the last hit
-- parameter: limit  the most hours to show; default: 10000

\if :{?campaign} \else \set campaign '' \endif
\if :{?timezone} \else \set timezone 'UTC' \endif
\if :{?from} \else \set from '' \endif
\if :{?to} \else \set to '' \endif
\if :{?limit} \else \set limit '10000' \endif

WITH span AS (
  SELECT coalesce(nullif(:'from', '')::timestamp, '-infinity') AT TIME ZONE :'timezone' AS begins,
         coalesce(nullif(:'to', '')::timestamp, 'infinity') AT TIME ZONE :'timezone' AS ends
),
hit AS MATERIALIZED (
  SELECT quarter, sum(hits) AS hits, coalesce(sum(hits) FILTER (WHERE verdict = 'human'), 0) AS human_hits
  FROM analytics.activity_15m
  WHERE kind = :'kind' AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
    AND quarter >= (SELECT begins FROM span) AND quarter < (SELECT ends FROM span)
  GROUP BY quarter
),
hourly AS (
  SELECT date_trunc('hour', quarter, :'timezone') AS hour, sum(hits)::bigint AS hits, sum(human_hits)::bigint AS human_hits
  FROM (
    SELECT * FROM hit
    UNION ALL
    -- Adds the hours without hits. The step is a quarter of an hour, because some time zones change by half an hour.
    SELECT generate_series(min(quarter), max(quarter), '15 minutes'), 0, 0 FROM hit
  ) AS every
  GROUP BY 1
)
SELECT to_char(hour AT TIME ZONE :'timezone', 'YYYY-MM-DD HH24:MI') AS hour, hits, human_hits, hits - human_hits AS machine_hits
FROM hourly
ORDER BY hourly.hour
LIMIT :'limit'::bigint;
