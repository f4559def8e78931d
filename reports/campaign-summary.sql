-- title: Campaign summary
-- question: How many clicks and opens does a campaign have, from how many people, and how much of it was machines?
-- parameter: campaign  number of the campaign; default: all of them
-- chart: bar  x=kind  y=human_recipients

\if :{?campaign}
\else
  \set campaign ''
\endif

SELECT c.campaign_id, c.name AS campaign, k.kind,
       coalesce(t.hits, 0) AS hits,
       coalesce(t.human_hits, 0) AS human_hits,
       coalesce(t.hits - t.human_hits, 0) AS machine_hits,
       coalesce(t.recipients, 0) AS recipients,
       coalesce(t.human_recipients, 0) AS human_recipients
FROM analytics.campaigns c
CROSS JOIN (VALUES ('click'), ('open')) AS k (kind)
LEFT JOIN analytics.campaign_totals t ON t.campaign_id = c.campaign_id AND t.kind = k.kind AND (:'campaign' = '' OR t.campaign_id = nullif(:'campaign', '')::bigint)
WHERE :'campaign' = '' OR c.campaign_id = nullif(:'campaign', '')::bigint
ORDER BY c.campaign_id, k.kind;
