-- title: Clicks on a URL
-- question: How many clicks did a URL get in each campaign, over all links that lead there, and from how many recipients?
-- parameter: url  the URL, exactly as it was in the letter or as the link leads now; default: all URLs
-- parameter: campaign  name or number of the campaign; default: all campaigns
-- parameter: limit  maximum number of rows; default: all
-- chart: stacked-bar x=campaign y=human_hits,machine_hits
-- reach: yes
--
-- The column url has the URL to which the links lead now. A link whose target was changed is also found by its first URL. The column
-- recipients has the number of different recipients who clicked. human_recipients has the number of those with a click judged human.

\if :{?url} \else \set url '' \endif
\if :{?campaign} \else \set campaign '' \endif
\if :{?limit} \else \set limit '' \endif

WITH link AS MATERIALIZED (
  SELECT campaign_id, link_id, target, count(*) OVER (PARTITION BY campaign_id, target) AS links
  FROM analytics.links
  WHERE kind = 'url' AND (:'url' = '' OR target = :'url' OR original = :'url')
    AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
),
counted AS (
  SELECT l.campaign_id, l.target, l.links,
         coalesce(sum(t.hits), 0)::bigint AS hits, coalesce(sum(t.human_hits), 0)::bigint AS human_hits,
         coalesce(sum(t.recipients), 0)::bigint AS recipients, coalesce(sum(t.human_recipients), 0)::bigint AS human_recipients
  FROM link l
  LEFT JOIN (
    SELECT * FROM analytics.link_totals
    WHERE (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
      AND link_id = ANY (ARRAY(SELECT link_id FROM link))
  ) t USING (link_id)
  GROUP BY l.campaign_id, l.target, l.links
),
-- A recipient who clicks two links to the same URL counts once. So if a URL has several links, its recipients are counted from their
-- clicks.
distinct_recipients AS (
  SELECT l.campaign_id, l.target, count(DISTINCT a.recipient_id) AS recipients,
         count(DISTINCT a.recipient_id) FILTER (WHERE a.human_hits > 0) AS human_recipients
  FROM link l
  JOIN (
    SELECT * FROM analytics.activity
    WHERE kind = 'click' AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
      AND link_id = ANY (ARRAY(SELECT link_id FROM link WHERE links > 1))
  ) a USING (link_id)
  GROUP BY l.campaign_id, l.target
)
SELECT h.campaign_id, c.name AS campaign, h.target AS url, h.links, h.hits, h.human_hits, h.hits - h.human_hits AS machine_hits,
       coalesce(p.recipients, h.recipients) AS recipients, coalesce(p.human_recipients, h.human_recipients) AS human_recipients
FROM counted h
JOIN analytics.campaigns c USING (campaign_id)
LEFT JOIN distinct_recipients p ON p.campaign_id = h.campaign_id AND p.target = h.target
ORDER BY h.campaign_id DESC, h.human_hits DESC, h.hits DESC, h.target
LIMIT nullif(:'limit', '')::bigint;
