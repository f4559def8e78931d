-- title: Non-openers
-- question: Which recipients have not opened a letter that was prepared for them?
-- parameter: campaign  name or number of the campaign; default: all campaigns
-- parameter: opened_by:person|anyone  person: only opens and clicks judged human count; anyone: those by machines count, too, e.g. by Apple Mail; default: person
-- parameter: limit  maximum number of recipients; default: all
-- chart: none
-- reach: yes
-- page: link
--
-- A recipient who clicked has opened, even if the mail client showed no images, and is not in the list. The recipients in this list and the
-- recipients who opened (report campaign-summary) together are all recipients in prepared_for. A recipient with machine_opens may have read
-- the letter, e.g. in Apple Mail. A recipient who had opted out before the letter was prepared gets an untracked letter and is not in the
-- list.

\if :{?campaign} \else \set campaign '' \endif
\if :{?opened_by} \else \set opened_by 'person' \endif
\if :{?limit} \else \set limit '' \endif

WITH non_opener AS MATERIALIZED (
  SELECT m.campaign_id, m.recipient_id, r.email, r.external_id
  FROM analytics.mailings m
  JOIN analytics.recipients r USING (recipient_id)
  LEFT JOIN (
    SELECT * FROM analytics.openers
    WHERE (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint) AND (is_human OR :'opened_by' = 'anyone')
  ) o USING (campaign_id, recipient_id)
  WHERE (:'campaign' = '' OR m.campaign_id = nullif(:'campaign', '')::bigint) AND m.is_tracked AND o.recipient_id IS NULL
  ORDER BY m.campaign_id DESC, m.recipient_id
  LIMIT nullif(:'limit', '')::bigint
)
SELECT n.campaign_id, n.recipient_id, n.email, n.external_id,
       coalesce(e.machine_opens, 0) AS machine_opens
FROM non_opener n
LEFT JOIN (
  SELECT * FROM analytics.engagement
  WHERE (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
    AND campaign_id = ANY (ARRAY(SELECT DISTINCT campaign_id FROM non_opener)) AND recipient_id = ANY (ARRAY(SELECT recipient_id FROM non_opener))
) e USING (campaign_id, recipient_id)
ORDER BY n.campaign_id DESC, n.recipient_id;
