-- title: Campaigns compared
-- question: How many recipients opened and clicked in each campaign?
-- parameter: campaigns  names or numbers of campaigns, separated by commas; default: all campaigns
-- parameter: limit  the most campaigns to show, the latest ones; default: all
-- chart: bar x=campaign y=human_open_percent,human_click_percent
-- reach: yes
--
-- human_recipients_opened counts each recipient with an open or a click judged human once, human_recipients_clicked each recipient with a
-- click judged human. A recipient who clicked has opened, even if the mail client showed no images. human_open_percent and
-- human_click_percent are their shares of prepared_for: the recipients for whom a tracked letter was prepared, without those who had opted
-- out before. human_click_to_open_percent is human_recipients_clicked as a share of human_recipients_opened. The opens and clicks of people
-- and machines are numbers of hits.

\if :{?campaigns} \else \set campaigns '' \endif
\if :{?limit} \else \set limit '' \endif
\ir shared/clock.sql

WITH latest AS (
  SELECT campaign_id
  FROM analytics.campaigns
  WHERE :'campaigns' = '' OR campaign_id = ANY (string_to_array(:'campaigns', ',')::bigint[])
  ORDER BY coalesce(sent_at, created_at) DESC, campaign_id DESC
  LIMIT nullif(:'limit', '')::bigint
)
SELECT c.campaign_id, c.name AS campaign, c.sent_at, r.prepared_for,
       r.human_opened AS human_recipients_opened,
       r.human_clicked AS human_recipients_clicked,
       r.human_open_percent, r.human_click_percent, r.human_click_to_open_percent,
       r.human_opens, r.human_clicks,
       r.opens - r.human_opens AS machine_opens,
       r.clicks - r.human_clicks AS machine_clicks
FROM analytics.campaign_rates r
JOIN analytics.campaigns c USING (campaign_id)
WHERE r.campaign_id = ANY (ARRAY(SELECT campaign_id FROM latest))
ORDER BY coalesce(c.sent_at, c.created_at) DESC, c.campaign_id DESC;
