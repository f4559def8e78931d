-- title: Campaign summary
-- question: How many clicks and opens does a campaign have, from how many recipients, and how many came from machines?
-- parameter: campaign  name or number of the campaign; default: all campaigns
-- parameter: limit  maximum number of rows; default: all
-- chart: bar x=kind y=human_recipients,machine_only_recipients
-- reach: yes
--
-- The column hits is the sum of human_hits, machine_hits and unsure_hits. A hit is unsure if its signs of a machine are too weak to decide, for
-- example if it came from a server of a hosting provider. The column recipients counts each recipient once: the row click has the recipients
-- who clicked, and the row open has those who opened or clicked. A recipient who clicked has opened, even if the mail client showed no images.
-- human_recipients has the recipients with at least one such hit judged human. machine_only_recipients has the recipients without such a hit:
-- all their hits came from machines, or are unsure. unsure_recipients has the recipients with an unsure hit of this kind. percent and
-- human_percent are shares of prepared_for, the number of recipients for whom a tracked letter was prepared. Recipients who had opted out
-- before are not included. If more recipients have hits than prepared_for, the shares are of all recipients with hits. click_to_open_percent
-- is the number of recipients who clicked, as a share of the recipients who opened. Hits of shared links count as hits, but have no
-- recipient.

\if :{?campaign} \else \set campaign '' \endif
\if :{?limit} \else \set limit '' \endif

SELECT r.campaign_id, c.name AS campaign, k.kind, k.hits, k.human_hits,
       k.hits - k.human_hits - coalesce(u.hits, 0) AS machine_hits, coalesce(u.hits, 0) AS unsure_hits,
       k.recipients, k.human_recipients,
       k.recipients - k.human_recipients AS machine_only_recipients, coalesce(u.recipients, 0) AS unsure_recipients,
       r.prepared_for, k.percent, k.human_percent, k.click_to_open_percent, k.human_click_to_open_percent
FROM analytics.campaign_rates r
JOIN analytics.campaigns c USING (campaign_id)
-- Only the row of clicks gets a click-to-open rate.
CROSS JOIN LATERAL (VALUES
  ('click', r.clicks, r.human_clicks, r.clicked, r.human_clicked, r.click_percent, r.human_click_percent, r.click_to_open_percent, r.human_click_to_open_percent),
  ('open', r.opens, r.human_opens, r.opened, r.human_opened, r.open_percent, r.human_open_percent, NULL, NULL)
) AS k (kind, hits, human_hits, recipients, human_recipients, percent, human_percent, click_to_open_percent, human_click_to_open_percent)
LEFT JOIN (
  SELECT campaign_id, kind, hits, recipients FROM analytics.facets
  WHERE facet = 'verdict' AND value = 'unsure' AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
) u ON u.campaign_id = r.campaign_id AND u.kind = k.kind
WHERE :'campaign' = '' OR r.campaign_id = nullif(:'campaign', '')::bigint
ORDER BY r.campaign_id DESC, k.kind
LIMIT nullif(:'limit', '')::bigint;
