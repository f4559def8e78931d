-- title: Most engaged recipients
-- question: Which recipients clicked and opened most?
-- parameter: campaign  name or number of the campaign; default: all campaigns
-- parameter: limit  maximum number of recipients; default: all
-- chart: bar x=email y=human_clicks,human_opens
-- reach: yes
-- page: link
--
-- The rows are in the order of the clicks judged human, then of the opens judged human. Both columns count hits. The column links_clicked
-- has the number of different links. The column campaigns has the number of campaigns in which the recipient opened or clicked. A recipient
-- who clicked has opened, even if human_opens is 0, because the mail client may show no images.

\if :{?campaign} \else \set campaign '' \endif
\if :{?limit} \else \set limit '' \endif

SELECT e.recipient_id, r.email, r.external_id, e.human_clicks, e.links_clicked, e.human_opens, e.campaigns
FROM (
  (SELECT recipient_id, human_clicks, human_clicked_links AS links_clicked, human_opens, 1 AS campaigns
   FROM analytics.engagement
   WHERE campaign_id = nullif(:'campaign', '')::bigint AND human_opened
   ORDER BY human_clicks DESC, human_opens DESC, recipient_id
   LIMIT nullif(:'limit', '')::bigint)
  UNION ALL
  (SELECT recipient_id, sum(human_clicks)::bigint, sum(human_clicked_links)::bigint, sum(human_opens)::bigint, count(*)
   FROM analytics.engagement
   WHERE :'campaign' = '' AND human_opened
   GROUP BY recipient_id
   ORDER BY 2 DESC, 4 DESC, 1
   LIMIT nullif(:'limit', '')::bigint)
) e
LEFT JOIN analytics.recipients r USING (recipient_id)
ORDER BY e.human_clicks DESC, e.human_opens DESC, e.recipient_id;
