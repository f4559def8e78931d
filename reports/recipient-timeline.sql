-- title: Timeline of a recipient
-- question: Which clicks and opens did the letters of this recipient get, in the order of time?
-- parameter: recipient  mail address of the recipient, or the author's own id
-- parameter: campaign  number of the campaign; default: all campaigns
-- parameter: timezone  the time zone of all times, e.g. Asia/Kolkata; default: UTC
-- parameter: from  first day or time in that time zone, in whole quarters of an hour, e.g. 2030-05-01 or '2030-05-01 08:30'; default: the first hit
-- parameter: to  day or time in that time zone before which the report ends; default: the last hit
-- parameter: limit  the most hits to show; default: 1000
-- chart: none
-- reach: yes
--
-- Hits by machines are included: see verdict, and signals for all signs that were found. The report goes back as far as raw events are
-- kept. Test recipients have no rows.

\if :{?recipient} \else \set recipient '' \endif
\if :{?campaign} \else \set campaign '' \endif
\if :{?timezone} \else \set timezone 'UTC' \endif
\if :{?from} \else \set from '' \endif
\if :{?to} \else \set to '' \endif
\if :{?limit} \else \set limit '1000' \endif

WITH span AS (
  SELECT coalesce(nullif(:'from', '')::timestamp, '-infinity') AT TIME ZONE :'timezone' AS begins,
         coalesce(nullif(:'to', '')::timestamp, 'infinity') AT TIME ZONE :'timezone' AS ends
)
SELECT to_char(e.at AT TIME ZONE :'timezone', 'YYYY-MM-DD HH24:MI:SS') AS at, e.recipient_id, e.campaign_id, c.name AS campaign, e.kind,
       coalesce(nullif(l.label, ''), l.target) AS link, e.verdict, array_to_string(e.signals, ' ') AS signals,
       e.country, e.net AS network, e.client, e.system, e.device, e.referrer
FROM (
  SELECT *
  FROM analytics.events
  WHERE recipient_id = ANY (ARRAY(SELECT recipient_id FROM analytics.recipients WHERE email = lower(:'recipient') OR external_id = :'recipient'))
    AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
    AND at >= (SELECT begins FROM span) AND at < (SELECT ends FROM span)
) e
LEFT JOIN analytics.campaigns c USING (campaign_id)
LEFT JOIN analytics.links l USING (link_id)
ORDER BY e.at, e.gen, e.off
LIMIT :'limit'::bigint;
