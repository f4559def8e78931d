-- title: People of a segment
-- question: Which recipients of a campaign clicked, opened and did not click, did not open, unsubscribed, or had only machines?
-- parameter: campaign  name or number of the campaign; default: all campaigns
-- parameter: segment:clicked|opened|opened-not-clicked|not-opened|unsubscribed|machines-only  which recipients; default: clicked
-- parameter: link:number  number of a link (report clicks-by-link); only those who clicked it; default: any link
-- parameter: mailable:only|all  only: without those to whom no mail may be written; default: all
-- parameter: limit  maximum number of recipients; default: all
-- chart: none
-- reach: yes
-- page: link
--
-- Only clicks and opens judged human count, except in machines-only, which has the recipients whose hits all came from machines or are unsure. A
-- recipient who clicked has opened. not-opened has the recipients for whom a tracked letter was prepared. unsubscribed has those who
-- unsubscribed by a link of the campaign. With mailable=only, recipients who are forgotten, who opted out of tracking or who are unsubscribed
-- now are left out. Test recipients are never in the list.

\if :{?campaign} \else \set campaign '' \endif
\if :{?segment} \else \set segment 'clicked' \endif
\if :{?link} \else \set link '' \endif
\if :{?mailable} \else \set mailable 'all' \endif
\if :{?limit} \else \set limit '' \endif
\ir shared/segment.sql

-- Postgres evaluates a condition without columns first, so only the part of the wanted segment is read.
WITH opened AS (
  SELECT recipient_id FROM analytics.people
  WHERE :'segment' IN ('opened', 'opened-not-clicked', 'not-opened', 'machines-only') AND link_id IS NULL
    AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
),
clicked AS (
  SELECT recipient_id FROM analytics.people
  WHERE :'segment' IN ('clicked', 'opened-not-clicked') AND kind = 'click'
    AND CASE WHEN :'link' = '' OR :'segment' <> 'clicked' THEN link_id IS NULL ELSE link_id = nullif(:'link', '')::bigint END
    AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
),
prepared AS (
  SELECT recipient_id FROM analytics.mailings
  WHERE :'segment' = 'not-opened' AND is_tracked AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
),
any_opener AS (
  SELECT recipient_id FROM analytics.openers
  WHERE :'segment' = 'machines-only' AND NOT is_human AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
),
member AS MATERIALIZED (
  SELECT recipient_id FROM opened WHERE :'segment' = 'opened'
  UNION SELECT recipient_id FROM clicked WHERE :'segment' = 'clicked'
  UNION (SELECT recipient_id FROM opened WHERE :'segment' = 'opened-not-clicked' EXCEPT SELECT recipient_id FROM clicked)
  UNION (SELECT recipient_id FROM prepared EXCEPT SELECT recipient_id FROM opened)
  UNION (SELECT recipient_id FROM any_opener EXCEPT SELECT recipient_id FROM opened)
  UNION SELECT recipient_id FROM analytics.unsubscribes
        WHERE :'segment' = 'unsubscribed' AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
)
SELECT recipient_id, r.email, r.external_id
FROM member
JOIN analytics.recipients r USING (recipient_id)
WHERE NOT r.is_test AND (:'mailable' <> 'only' OR :reachable)
ORDER BY recipient_id
LIMIT nullif(:'limit', '')::bigint;
