-- title: Days and hours of the week
-- question: On which days of the week and at which hours do people click or open?
-- parameter: campaign  name or number of the campaign; default: all campaigns
-- parameter: kind:click|open  click or open; default: click
-- chart: heatmap x=hour y=weekday,human_hits
-- reach: yes
--
-- The report counts clicks or opens, not recipients. It has a row for each of the 168 hours of the week.

\if :{?campaign} \else \set campaign '' \endif
\if :{?kind} \else \set kind 'click' \endif

\ir shared/period.sql

WITH hit AS (
  SELECT quarter AT TIME ZONE :'timezone' AS clock, verdict = 'human' AS is_human, hits
  FROM analytics.activity_15m
  WHERE kind = :'kind' AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
    AND quarter >= :begins AND quarter < :ends
)
SELECT w.weekday, h.hour, coalesce(sum(hits), 0)::bigint AS hits,
       coalesce(sum(hits) FILTER (WHERE is_human), 0)::bigint AS human_hits,
       coalesce(sum(hits) FILTER (WHERE NOT is_human), 0)::bigint AS machine_hits
FROM (VALUES (1, 'Mon'), (2, 'Tue'), (3, 'Wed'), (4, 'Thu'), (5, 'Fri'), (6, 'Sat'), (7, 'Sun')) AS w (n, weekday)
CROSS JOIN generate_series(0, 23) AS h (hour)
LEFT JOIN hit ON extract(isodow FROM hit.clock) = w.n AND extract(hour FROM hit.clock) = h.hour
GROUP BY w.n, w.weekday, h.hour
ORDER BY w.n, h.hour;
