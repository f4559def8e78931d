-- title: Mail clients
-- question: With which mail clients or browsers was a campaign opened, and by how many recipients?
-- parameter: campaign  number of the campaign; default: all of them
-- parameter: limit  how many rows at most; default: 1000
-- chart: stacked-bar x=mail_client y=human_hits,machine_hits
-- reach: yes
--
-- A proxy that fetches for readers hides what they read with; what the proxy says of itself is what stands here.
-- Recipients are different ones of that row: who is in two rows counts in both. Hits of shared links are of no recipient.

\if :{?campaign}
\else
  \set campaign ''
\endif
\if :{?limit}
\else
  \set limit '1000'
\endif

SELECT campaign_id, coalesce(nullif(value, ''), 'unknown') AS mail_client, hits, human_hits, hits - human_hits AS machine_hits, recipients, human_recipients
FROM analytics.facets
WHERE facet = 'client' AND kind = 'open' AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
ORDER BY campaign_id DESC, human_hits DESC, hits DESC, mail_client
LIMIT :'limit'::bigint;
