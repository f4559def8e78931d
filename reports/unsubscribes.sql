-- title: Unsubscribes
-- question: How many recipients unsubscribed by the letters of each campaign?
-- parameter: campaign  name or number of the campaign; default: all campaigns
-- chart: bar x=name y=unsubscribed
-- reach: yes
--
-- A recipient who unsubscribed several times by the links of one campaign counts once. `still_unsubscribed` is the number of those who were not
-- subscribed again since then. Test recipients are left out. unsubscribed_percent is the share of unsubscribed in prepared_for.

\if :{?campaign} \else \set campaign '' \endif

SELECT u.campaign_id, c.name, u.unsubscribed, u.still_unsubscribed, c.prepared_for,
       round(100.0 * u.unsubscribed / nullif(c.prepared_for, 0), 2)::float8 AS unsubscribed_percent, u.first_at, u.last_at
FROM (
  SELECT campaign_id, count(DISTINCT recipient_id) AS unsubscribed,
         count(DISTINCT recipient_id) FILTER (WHERE u.at > coalesce(r.resubscribed_at, '-infinity')) AS still_unsubscribed, min(u.at) AS first_at, max(u.at) AS last_at
  FROM analytics.unsubscribes u LEFT JOIN analytics.recipients r USING (recipient_id)
  WHERE :'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint
  GROUP BY campaign_id
) u
JOIN analytics.campaigns c USING (campaign_id)
ORDER BY u.campaign_id DESC;
