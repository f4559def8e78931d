-- title: Unique clicks of an address
-- question: How many different recipients clicked an address in each hour?
-- parameter: url  the address, exactly as it was written or as it is now; default: every address
-- parameter: campaign  number of the campaign; default: all of them
-- parameter: timezone  name of the time zone whose clock is meant, e.g. Asia/Kolkata; default: UTC
-- parameter: from  first day or time by that clock, in whole quarters of an hour, e.g. 2030-05-01 or '2030-05-01 08:30'; default: the beginning
-- parameter: to  day or time by that clock at which to end, itself left out; default: the end
-- parameter: limit  how many hours at most; default: 10000
-- chart: bar x=hour y=human_recipients,new_human_recipients
-- reach: yes
--
-- Unique means: of the clicks of one recipient in one hour only the first counts. human_recipients are the different recipients who clicked in that
-- hour; new_human_recipients those who had never clicked the address before that hour, which add up to all recipients who ever did.
-- Only clicks judged human count, and only those of recipients: a shared link does not know whose click it is. from and to choose whole hours.

\if :{?url} \else \set url '' \endif
\if :{?campaign} \else \set campaign '' \endif
\if :{?timezone} \else \set timezone 'UTC' \endif
\if :{?from} \else \set from '' \endif
\if :{?to} \else \set to '' \endif
\if :{?limit} \else \set limit '10000' \endif

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
  -- Hours in which nobody clicked, too; by quarters, since there are clocks that are put back by half an hour.
  SELECT date_trunc('hour', generate_series(min(hour), max(hour), '15 minutes'), :'timezone'), 0, 0, 0 FROM click
)
SELECT to_char(hour AT TIME ZONE :'timezone', 'YYYY-MM-DD HH24:MI') AS hour, human_hits, human_recipients, new_human_recipients
FROM (
  SELECT hour, sum(hits)::bigint AS human_hits, sum(recipients)::bigint AS human_recipients, sum(new_recipients)::bigint AS new_human_recipients
  FROM counted GROUP BY hour
) AS hourly
WHERE hour >= coalesce(nullif(:'from', '')::timestamp, '-infinity') AT TIME ZONE :'timezone'
  AND hour < coalesce(nullif(:'to', '')::timestamp, 'infinity') AT TIME ZONE :'timezone'
ORDER BY hourly.hour
LIMIT :'limit'::bigint;
