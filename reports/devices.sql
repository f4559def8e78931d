-- title: Devices
-- question: On which kinds of device were links clicked or letters opened, and by how many recipients?
-- parameter: campaign  number of the campaign; default: all of them
-- parameter: kind  click or open; default: click
-- parameter: limit  how many rows at most; default: 1000
-- chart: stacked-bar x=device y=human_hits,machine_hits
-- reach: yes
--
-- Recipients are different ones of that row: who is in two rows counts in both. Hits of shared links are of no recipient.

\if :{?campaign}
\else
  \set campaign ''
\endif
\if :{?kind}
\else
  \set kind 'click'
\endif
\if :{?limit}
\else
  \set limit '1000'
\endif

SELECT campaign_id, coalesce(nullif(value, ''), 'unknown') AS device, hits, human_hits, hits - human_hits AS machine_hits, recipients, human_recipients
FROM analytics.facets
WHERE facet = 'device' AND kind = :'kind' AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
ORDER BY campaign_id DESC, human_hits DESC, hits DESC, device
LIMIT :'limit'::bigint;
