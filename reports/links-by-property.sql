-- title: Clicks of one country, client or referrer by link
-- question: Which links did the recipients click who have one value of a property, e.g. one country?
-- parameter: campaign  name or number of the campaign; default: all campaigns
-- parameter: property:country|client|device|system|referrer  the property; default: country
-- parameter: value  the value of the property, e.g. DE or Firefox, spelled as in the reports countries, mail-clients, devices and referrers; default: clicks without a known value
-- parameter: limit  maximum number of links; default: all
-- chart: stacked-bar x=link y=human_hits,machine_hits
-- reach: yes
-- page: link
--
-- The report reads single events, so it takes longer than the other reports, and has nothing of dropped months. recipients counts each
-- recipient of a link once.

\if :{?campaign} \else \set campaign '' \endif
\if :{?property} \else \set property 'country' \endif
\if :{?value} \else \set value '' \endif
\if :{?limit} \else \set limit '' \endif

-- Each shard counts its own events. All events of a recipient are on one shard, so the counts of recipients add up.
WITH on_shard AS (
  SELECT shard, campaign_id, link_id, count(*) AS hits, count(*) FILTER (WHERE verdict = 'human') AS human_hits,
         count(DISTINCT recipient_id) AS recipients, count(DISTINCT recipient_id) FILTER (WHERE verdict = 'human') AS human_recipients
  FROM analytics.events
  WHERE kind = 'click' AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
    AND CASE :'property' WHEN 'country' THEN country WHEN 'client' THEN client WHEN 'device' THEN device WHEN 'system' THEN system
                         ELSE referrer END IS NOT DISTINCT FROM nullif(:'value', '')
  GROUP BY shard, campaign_id, link_id
)
SELECT e.campaign_id, l.position, e.link_id, coalesce(nullif(l.label, ''), l.target) AS link, e.hits, e.human_hits,
       e.hits - e.human_hits AS machine_hits, e.recipients, e.human_recipients
FROM (
  SELECT campaign_id, link_id, sum(hits)::bigint AS hits, sum(human_hits)::bigint AS human_hits, sum(recipients)::bigint AS recipients,
         sum(human_recipients)::bigint AS human_recipients
  FROM on_shard
  GROUP BY campaign_id, link_id
) e
JOIN analytics.links l USING (link_id)
ORDER BY e.campaign_id DESC, l.position, e.link_id
LIMIT nullif(:'limit', '')::bigint;
