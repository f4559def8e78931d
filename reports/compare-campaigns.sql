-- title: Campaigns compared
-- question: How many recipients opened and clicked in each campaign?
-- parameter: campaigns  numbers of campaigns, separated by commas; default: all campaigns
-- parameter: limit  the most campaigns to show, the latest ones; default: 50
-- chart: bar x=campaign y=human_open_percent,human_click_percent
-- reach: yes
--
-- human_recipients_opened and human_recipients_clicked count each recipient with a hit judged human once. human_open_percent and
-- human_click_percent are their shares of prepared_for, the recipients for whom mail was prepared. The opens and clicks of people and
-- machines are numbers of hits.

\if :{?campaigns} \else \set campaigns '' \endif
\if :{?limit} \else \set limit '50' \endif

WITH total AS (
  SELECT campaign_id,
         max(hits) FILTER (WHERE kind = 'open') AS opens, max(human_hits) FILTER (WHERE kind = 'open') AS human_opens,
         max(hits) FILTER (WHERE kind = 'click') AS clicks, max(human_hits) FILTER (WHERE kind = 'click') AS human_clicks,
         max(human_recipients) FILTER (WHERE kind = 'open') AS opened, max(human_recipients) FILTER (WHERE kind = 'click') AS clicked
  FROM analytics.campaign_totals
  WHERE :'campaigns' = '' OR campaign_id = ANY (string_to_array(:'campaigns', ',')::bigint[])
  GROUP BY campaign_id
)
SELECT c.campaign_id, c.name AS campaign, c.sent_at, c.prepared_for,
       coalesce(t.opened, 0) AS human_recipients_opened,
       coalesce(t.clicked, 0) AS human_recipients_clicked,
       round(100.0 * coalesce(t.opened, 0) / nullif(c.prepared_for, 0), 2)::float8 AS human_open_percent,
       round(100.0 * coalesce(t.clicked, 0) / nullif(c.prepared_for, 0), 2)::float8 AS human_click_percent,
       round(100.0 * coalesce(t.clicked, 0) / nullif(t.opened, 0), 2)::float8 AS human_click_to_open_percent,
       coalesce(t.human_opens, 0) AS human_opens,
       coalesce(t.human_clicks, 0) AS human_clicks,
       coalesce(t.opens - t.human_opens, 0) AS machine_opens,
       coalesce(t.clicks - t.human_clicks, 0) AS machine_clicks
FROM analytics.campaigns c
LEFT JOIN total t USING (campaign_id)
WHERE :'campaigns' = '' OR c.campaign_id = ANY (string_to_array(:'campaigns', ',')::bigint[])
ORDER BY coalesce(c.sent_at, c.created_at) DESC, c.campaign_id DESC
LIMIT :'limit'::bigint;
