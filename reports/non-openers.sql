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

\if :{?campaign}
\else
  \set campaign ''
\endif
\if :{?opened_by}
\else
  \set opened_by 'person'
\endif
\if :{?limit}
\else
  \set limit '1000'
\endif

WITH activity AS (
  SELECT campaign_id, recipient_id,
         coalesce(sum(human_hits) FILTER (WHERE kind = 'open'), 0)::bigint AS human_opens,
         coalesce(sum(machine_hits) FILTER (WHERE kind = 'open'), 0)::bigint AS machine_opens,
         coalesce(sum(human_hits) FILTER (WHERE kind = 'click'), 0)::bigint AS human_clicks
  FROM analytics.activity
  WHERE (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
  GROUP BY campaign_id, recipient_id
)
SELECT m.campaign_id, m.recipient_id, coalesce(r.email, r.external_id) AS recipient,
       coalesce(a.machine_opens, 0) AS machine_opens, coalesce(a.human_clicks, 0) AS human_clicks,
       count(*) OVER () AS recipients_in_all
FROM analytics.mailings m
JOIN analytics.recipients r USING (recipient_id)
LEFT JOIN activity a USING (campaign_id, recipient_id)
WHERE (:'campaign' = '' OR m.campaign_id = nullif(:'campaign', '')::bigint)
  AND r.opted_out_at IS NULL
  AND coalesce(a.human_opens, 0) + CASE WHEN :'opened_by' = 'anyone' THEN coalesce(a.machine_opens, 0) ELSE 0 END = 0
ORDER BY m.campaign_id DESC, m.recipient_id
LIMIT :'limit'::bigint;
