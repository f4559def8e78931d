-- title: Days and hours of the week
-- question: On which days of the week and at which hours do people click or open?
-- parameter: campaign  number of the campaign; default: all campaigns
-- parameter: kind  click or open; default: click
-- parameter: timezone  the time zone of all times, e.g. Asia/Kolkata; default: UTC
-- parameter: from  first day or time in that time zone, in whole quarters of an hour, e.g. 2030-05-01 or '2030-05-01 08:30'; default: the first hit
-- parameter: to  day or time in that time zone before which the report ends; default: the last hit
-- chart: heatmap x=hour y=weekday,human_hits
-- reach: yes
--
-- The report counts clicks or opens, not recipients. It has a row for each of the 168 hours of the week.

\if :{?campaign} \else \set campaign '' \endif
\if :{?kind} \else \set kind 'click' \endif
\if :{?timezone} \else \set timezone 'UTC' \endif
\if :{?from} \else \set from '' \endif
\if :{?to} \else \set to '' \endif

WITH span AS (
  SELECT coalesce(nullif(:'from', '')::timestamp, '-infinity') AT TIME ZONE :'timezone' AS begins,
         coalesce(nullif(:'to', '')::timestamp, 'infinity') AT TIME ZONE :'timezone' AS ends
),
hit AS (
  SELECT quarter AT TIME ZONE :'timezone' AS clock, verdict = 'human' AS is_human, hits
  FROM analytics.activity_15m
  WHERE kind = :'kind' AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
    AND quarter >= (SELECT begins FROM span) AND quarter < (SELECT ends FROM span)
)
SELECT w.weekday, h.hour, coalesce(sum(hits), 0)::bigint AS hits,
       coalesce(sum(hits) FILTER (WHERE is_human), 0)::bigint AS human_hits,
       coalesce(sum(hits) FILTER (WHERE NOT is_human), 0)::bigint AS machine_hits
FROM (VALUES (1, 'Mon'), (2, 'Tue'), (3, 'Wed'), (4, 'Thu'), (5, 'Fri'), (6, 'Sat'), (7, 'Sun')) AS w (n, weekday)
CROSS JOIN generate_series(0, 23) AS h (hour)
LEFT JOIN hit ON extract(isodow FROM hit.clock) = w.n AND extract(hour FROM hit.clock) = h.hour
GROUP BY w.n, w.weekday, h.hour
ORDER BY w.n, h.hour;
