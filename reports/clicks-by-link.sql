-- title: Clicks by link
-- question: Which links of a campaign were clicked, how often, and by how many recipients?
-- parameter: campaign  name or number of the campaign; default: all campaigns
-- parameter: limit  maximum number of links; default: all
-- chart: stacked-bar x=link y=human_hits,machine_hits
-- reach: yes
--
-- Links are in the order of the letter. The column position has the place of the link in the letter: the links of the HTML part come first,
-- then those of the text part. Links that are in no letter come last. The column link has the label of the link, or its current target if
-- it has no label. Links without clicks also have a row. The column recipients has the number of recipients who clicked the link. A
-- recipient who clicked several links counts in several rows, so the sum of the rows can be larger than the number of recipients who
-- clicked. Clicks on shared links have no recipient.

\if :{?campaign} \else \set campaign '' \endif
\if :{?limit} \else \set limit '' \endif

SELECT l.campaign_id, l.position, l.link_id, coalesce(nullif(l.label, ''), l.target) AS link, l.target,
       coalesce(t.hits, 0) AS hits,
       coalesce(t.human_hits, 0) AS human_hits,
       coalesce(t.hits - t.human_hits, 0) AS machine_hits,
       coalesce(t.recipients, 0) AS recipients,
       coalesce(t.human_recipients, 0) AS human_recipients
FROM analytics.links l
LEFT JOIN (
  SELECT * FROM analytics.link_totals
  WHERE (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
) t USING (campaign_id, link_id)
WHERE l.kind = 'url' AND (:'campaign' = '' OR l.campaign_id = nullif(:'campaign', '')::bigint)
ORDER BY l.campaign_id DESC, l.position, l.link_id
LIMIT nullif(:'limit', '')::bigint;
