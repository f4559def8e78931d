-- title: Non-openers
-- question: Which recipients have not opened a letter that was prepared for them?
-- parameter: campaign  number of the campaign; default: all of them
-- parameter: opened_by  person, or anyone: with it an open by a machine, e.g. of Apple Mail, is an open; default: person
-- parameter: limit  how many recipients at most; default: 1000
-- chart: none
-- reach: yes
--
-- Who has human_clicks has read the letter in a client that shows no pictures; whose letter only Apple Mail opened may have read it, too.
-- Whoever has opted out gets no pixel and is left out. recipients_in_all is how many rows there are without the limit.

\if :{?campaign} \else \set campaign '' \endif
\if :{?opened_by} \else \set opened_by 'person' \endif
\if :{?limit} \else \set limit '1000' \endif

WITH non_opener AS MATERIALIZED (
  SELECT m.campaign_id, m.recipient_id, r.email, r.external_id, count(*) OVER () AS recipients_in_all
  FROM analytics.mailings m
  JOIN analytics.recipients r USING (recipient_id)
  LEFT JOIN (
    SELECT * FROM analytics.openers
    WHERE (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint) AND (is_human OR :'opened_by' = 'anyone')
  ) o USING (campaign_id, recipient_id)
  WHERE (:'campaign' = '' OR m.campaign_id = nullif(:'campaign', '')::bigint) AND r.opted_out_at IS NULL AND o.recipient_id IS NULL
  ORDER BY m.campaign_id DESC, m.recipient_id
  LIMIT :'limit'::bigint
)
SELECT n.campaign_id, n.recipient_id, coalesce(n.email, n.external_id) AS recipient,
       coalesce(e.machine_opens, 0) AS machine_opens, coalesce(e.human_clicks, 0) AS human_clicks, n.recipients_in_all
FROM non_opener n
LEFT JOIN (
  SELECT * FROM analytics.engagement
  WHERE (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
    AND campaign_id = ANY (ARRAY(SELECT DISTINCT campaign_id FROM non_opener)) AND recipient_id = ANY (ARRAY(SELECT recipient_id FROM non_opener))
) e USING (campaign_id, recipient_id)
ORDER BY n.campaign_id DESC, n.recipient_id;
