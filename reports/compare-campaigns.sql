-- title: Campaigns compared
-- question: How many recipients opened and clicked in each campaign?
-- parameter: campaigns  names or numbers of campaigns, separated by commas; default: all campaigns
-- parameter: limit  maximum number of campaigns, the latest ones; default: all
-- chart: bar x=campaign y=human_open_percent,human_click_percent
-- reach: yes
--
-- The column human_recipients_opened has the number of recipients with an open or a click judged human. human_recipients_clicked has the
-- number of recipients with a click judged human. A recipient who clicked has opened, even if the mail client showed no images.
-- human_open_percent and human_click_percent are the shares of these numbers of prepared_for, the number of recipients for whom a tracked
-- letter was prepared. Recipients who had opted out before are not included. human_click_to_open_percent is human_recipients_clicked as a
-- share of human_recipients_opened. The columns human_opens, human_clicks, machine_opens and machine_clicks count hits, not recipients.

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
