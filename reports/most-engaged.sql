-- title: Most engaged recipients
-- question: Which recipients clicked and opened most?
-- parameter: campaign  number of the campaign; default: all of them
-- parameter: limit  how many recipients at most; default: 100
-- chart: bar x=recipient y=human_clicks,human_opens
-- reach: yes
--
-- By clicks judged human, then by opens judged human. links_clicked counts different links, campaigns those with any hit of a person.

\if :{?campaign}
\else
  \set campaign ''
\endif
\if :{?limit}
\else
  \set limit '100'
\endif

WITH activity AS (
  SELECT recipient_id, count(DISTINCT campaign_id) AS campaigns,
         coalesce(sum(human_hits) FILTER (WHERE kind = 'click'), 0)::bigint AS human_clicks,
         count(*) FILTER (WHERE kind = 'click') AS links,
         coalesce(sum(human_hits) FILTER (WHERE kind = 'open'), 0)::bigint AS human_opens
  FROM analytics.activity
  WHERE human_hits > 0 AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
  GROUP BY recipient_id
)
SELECT a.recipient_id, coalesce(r.email, r.external_id) AS recipient, a.human_clicks, a.links AS links_clicked, a.human_opens, a.campaigns
FROM activity a
LEFT JOIN analytics.recipients r USING (recipient_id)
ORDER BY a.human_clicks DESC, a.human_opens DESC, a.recipient_id
LIMIT :'limit'::bigint;
