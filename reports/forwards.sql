-- title: Forwards
-- question: Whose links were clicked by more than one visitor on one day, as when a letter is passed on?
-- parameter: campaign  number of the campaign; default: all of them
-- parameter: limit  how many rows at most; default: 1000
-- chart: none
-- reach: yes
--
-- A visitor is an address and a browser on one day (UTC): one recipient on two devices or networks is two visitors, so this is a hint and no proof.

\if :{?campaign} \else \set campaign '' \endif
\if :{?limit} \else \set limit '1000' \endif

SELECT p.campaign_id, p.recipient_id, coalesce(r.email, r.external_id) AS recipient, p.link_id, coalesce(nullif(l.label, ''), l.target) AS link,
       p.day AS utc_day, p.visitors AS human_visitors
FROM (SELECT * FROM analytics.passed_on WHERE (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)) p
LEFT JOIN analytics.recipients r USING (recipient_id)
LEFT JOIN analytics.links l USING (link_id)
ORDER BY human_visitors DESC, p.campaign_id DESC, p.day, p.recipient_id, p.link_id
LIMIT :'limit'::bigint;
