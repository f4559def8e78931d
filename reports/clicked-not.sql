-- title: Clicked one, but not the other
-- question: Which people clicked in one campaign, or on one URL, and not in another?
-- parameter: campaign  name or number of the campaign in which they clicked; default: all campaigns
-- parameter: url  the URL on which they clicked, exactly as it was in the letter or as the link leads now; default: all URLs
-- parameter: not:campaign  name or number of the campaign in which they did not click; default: that of campaign if not_url is given, otherwise none
-- parameter: not_url:url  the URL on which they did not click; default: all URLs
-- parameter: limit  maximum number of people; default: all
-- chart: none
-- reach: yes
-- page: link
--
-- Only clicks judged human count. Without not and not_url, the list has all people who clicked. Test recipients, and people who are
-- forgotten, who opted out of tracking or who unsubscribed, are not in the list.

\if :{?campaign} \else \set campaign '' \endif
\if :{?url} \else \set url '' \endif
\if :{?not} \else \set not '' \endif
\if :{?not_url} \else \set not_url '' \endif
\if :{?limit} \else \set limit '' \endif
\ir shared/segment.sql

WITH clicker AS MATERIALIZED (
  SELECT DISTINCT recipient_id
  FROM analytics.people
  WHERE kind = 'click' AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
    AND CASE WHEN :'url' = '' THEN link_id IS NULL
             ELSE link_id = ANY (ARRAY(SELECT link_id FROM analytics.links WHERE kind = 'url' AND (target = :'url' OR original = :'url'))) END
),
other AS MATERIALIZED (
  SELECT DISTINCT recipient_id
  FROM analytics.people
  WHERE kind = 'click' AND (:'not' <> '' OR :'not_url' <> '')
    AND ((:'not' = '' AND :'campaign' = '') OR campaign_id = coalesce(nullif(:'not', ''), nullif(:'campaign', ''))::bigint)
    AND CASE WHEN :'not_url' = '' THEN link_id IS NULL
             ELSE link_id = ANY (ARRAY(SELECT link_id FROM analytics.links WHERE kind = 'url' AND (target = :'not_url' OR original = :'not_url'))) END
)
SELECT recipient_id, r.email, r.external_id
FROM clicker
JOIN analytics.recipients r USING (recipient_id)
WHERE :reachable AND NOT EXISTS (SELECT FROM other WHERE other.recipient_id = clicker.recipient_id)
ORDER BY recipient_id
LIMIT nullif(:'limit', '')::bigint;
