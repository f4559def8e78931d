-- title: Readers by number of links
-- question: How many readers clicked one link of a campaign, how many two, how many more?
-- parameter: campaign  number of the campaign; default: all campaigns
-- chart: bar x=links y=readers
--
-- Only clicks that were judged human are counted. A reader who clicked one link twice has clicked one link.

\if :{?campaign} \else \set campaign '' \endif

WITH reader AS (
  SELECT campaign_id, recipient_id, count(DISTINCT link_id) AS links
  FROM analytics.activity
  WHERE kind = 'click' AND human_hits > 0 AND recipient_id > 0
    AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
  GROUP BY campaign_id, recipient_id
)
SELECT links, count(*) AS readers
FROM reader
GROUP BY links
ORDER BY links;
