-- title: Forwards
-- question: Which recipients' links were clicked by more than one visitor on one day, for example because the letter was forwarded?
-- parameter: campaign  name or number of the campaign; default: all campaigns
-- parameter: limit  maximum number of rows; default: all
-- chart: none
-- reach: yes
-- page: link
--
-- A visitor is a network address and a browser on one day (UTC). A recipient who uses two devices or two networks on one day is two
-- visitors. So a row is a hint that the letter was forwarded, not a proof.

\if :{?campaign} \else \set campaign '' \endif
\if :{?limit} \else \set limit '' \endif

SELECT p.campaign_id, p.recipient_id, r.email, r.external_id, p.link_id, coalesce(nullif(l.label, ''), l.target) AS link,
       p.day AS utc_day, p.visitors AS human_visitors
FROM (SELECT * FROM analytics.passed_on WHERE (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)) p
LEFT JOIN analytics.recipients r USING (recipient_id)
LEFT JOIN analytics.links l USING (link_id)
ORDER BY human_visitors DESC, p.campaign_id DESC, p.day, p.recipient_id, p.link_id
LIMIT nullif(:'limit', '')::bigint;
