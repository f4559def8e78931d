-- title: Campaign summary
-- question: How many clicks and opens does a campaign have, from how many recipients, and how much of it was machines?
-- parameter: campaign  number of the campaign; default: all of them
-- parameter: limit  how many rows at most; default: 1000
-- chart: bar x=kind y=human_recipients,machine_only_recipients
-- reach: yes
--
-- hits are in all, and by people and by machines. recipients are different ones with any hit, human_recipients those with a hit judged human,
-- machine_only_recipients those for whom only machines were at it. percent is of prepared_for, the recipients for whom mail was prepared.
-- click_to_open_percent: recipients who clicked, of those who opened; a client that shows no pictures hides opens, so it can be above 100.
-- Hits of shared links count as hits; they are of no recipient.

\if :{?campaign} \else \set campaign '' \endif
\if :{?limit} \else \set limit '1000' \endif

WITH total AS (
  SELECT campaign_id, kind, hits, human_hits, recipients, human_recipients
  FROM analytics.campaign_totals
  WHERE (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
),
counted AS (
  SELECT c.campaign_id, c.name AS campaign, c.prepared_for, k.kind,
         coalesce(t.hits, 0) AS hits,
         coalesce(t.human_hits, 0) AS human_hits,
         coalesce(t.recipients, 0) AS recipients,
         coalesce(t.human_recipients, 0) AS human_recipients
  FROM analytics.campaigns c
  CROSS JOIN (VALUES ('click'), ('open')) AS k (kind)
  LEFT JOIN total t ON t.campaign_id = c.campaign_id AND t.kind = k.kind
  WHERE :'campaign' = '' OR c.campaign_id = nullif(:'campaign', '')::bigint
)
SELECT h.campaign_id, h.campaign, h.kind, h.hits, h.human_hits,
       h.hits - h.human_hits AS machine_hits,
       h.recipients, h.human_recipients,
       h.recipients - h.human_recipients AS machine_only_recipients,
       h.prepared_for,
       round(100.0 * h.recipients / nullif(h.prepared_for, 0), 2)::float8 AS percent,
       round(100.0 * h.human_recipients / nullif(h.prepared_for, 0), 2)::float8 AS human_percent,
       round(100.0 * h.recipients / nullif(o.recipients, 0), 2)::float8 AS click_to_open_percent,
       round(100.0 * h.human_recipients / nullif(o.human_recipients, 0), 2)::float8 AS human_click_to_open_percent
FROM counted h
-- Clicks are compared with opens, opens with nothing.
LEFT JOIN counted o ON o.campaign_id = h.campaign_id AND o.kind = 'open' AND h.kind = 'click'
ORDER BY h.campaign_id DESC, h.kind
LIMIT :'limit'::bigint;
