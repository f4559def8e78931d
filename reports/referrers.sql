-- title: Referrers
-- question: From which sites did clicks come, and from how many recipients?
-- parameter: campaign  number of the campaign; default: all of them
-- parameter: limit  how many rows at most; default: 100
-- chart: stacked-bar x=referrer y=human_hits,machine_hits
-- reach: yes
--
-- A click in a mail program names no site, and neither does much webmail.
-- Recipients are different ones of that row: who is in two rows counts in both. Hits of shared links are of no recipient.

\if :{?campaign}
\else
  \set campaign ''
\endif
\if :{?limit}
\else
  \set limit '100'
\endif

SELECT campaign_id, coalesce(nullif(value, ''), 'none named') AS referrer, hits, human_hits, hits - human_hits AS machine_hits, recipients, human_recipients
FROM analytics.facets
WHERE facet = 'referrer' AND kind = 'click' AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
ORDER BY campaign_id DESC, human_hits DESC, hits DESC, referrer
LIMIT :'limit'::bigint;
