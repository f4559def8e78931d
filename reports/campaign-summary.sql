-- title: Campaign summary
-- question: How many clicks and opens does a campaign have, from how many recipients, and how many came from machines?
-- parameter: campaign  number of the campaign; default: all campaigns
-- parameter: limit  the most rows to show; default: 1000
-- chart: bar x=kind y=human_recipients,machine_only_recipients
-- reach: yes
--
-- hits are all hits: human_hits and machine_hits together. recipients counts each recipient with a hit once, human_recipients those with a
-- hit judged human, machine_only_recipients those with hits by machines only. percent and human_percent are shares of prepared_for, the
-- recipients for whom mail was prepared. click_to_open_percent is the number of recipients who clicked, as a share of those who opened. It
-- can exceed 100, because a mail client that shows no images hides opens. Hits of shared links count as hits, but have no recipient.

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
-- Only the row of clicks gets a click-to-open rate.
LEFT JOIN counted o ON o.campaign_id = h.campaign_id AND o.kind = 'open' AND h.kind = 'click'
ORDER BY h.campaign_id DESC, h.kind
LIMIT :'limit'::bigint;
