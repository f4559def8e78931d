-- title: Did a recipient click?
-- question: Did this recipient click this URL, and when?
-- parameter: recipient  mail address of the recipient, or the author's own id
-- parameter: url  the URL, exactly as it was in the letter or as the link leads now; default: all URLs
-- parameter: campaign  name or number of the campaign; default: all campaigns
-- parameter: limit  maximum number of links; default: all
-- chart: none
-- reach: yes
--
-- The report has a row for each link that leads to the URL. It has no rows if no recipient has this address or id, or if no link leads to
-- the URL. Hits of test recipients are not counted. The times in first_hit_at and last_hit_at include hits by machines.

\if :{?recipient} \else \set recipient '' \endif
\if :{?url} \else \set url '' \endif
\if :{?campaign} \else \set campaign '' \endif
\if :{?limit} \else \set limit '' \endif
\ir shared/clock.sql

WITH matching_recipient AS MATERIALIZED (
  SELECT recipient_id, coalesce(email, external_id) AS recipient, is_test
  FROM analytics.recipients
  WHERE email = lower(:'recipient') OR external_id = :'recipient'
),
link AS MATERIALIZED (
  SELECT campaign_id, link_id, label, target
  FROM analytics.links
  WHERE kind = 'url' AND (:'url' = '' OR target = :'url' OR original = :'url')
    AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
)
SELECT p.recipient_id, p.recipient, l.campaign_id, c.name AS campaign, l.link_id, coalesce(nullif(l.label, ''), l.target) AS link, l.target,
       CASE WHEN p.is_test THEN 'not counted'
            WHEN a.human_hits > 0 THEN 'yes'
            WHEN a.machine_hits > 0 THEN 'only machines'
            ELSE 'no' END AS clicked,
       coalesce(a.human_hits, 0) AS human_hits, coalesce(a.machine_hits, 0) AS machine_hits, a.first_at AS first_hit_at, a.last_at AS last_hit_at
FROM matching_recipient p
CROSS JOIN link l
JOIN analytics.campaigns c USING (campaign_id)
LEFT JOIN (
  SELECT *
  FROM analytics.activity
  WHERE kind = 'click' AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
    AND recipient_id = ANY (ARRAY(SELECT recipient_id FROM matching_recipient)) AND link_id = ANY (ARRAY(SELECT link_id FROM link))
) a ON a.recipient_id = p.recipient_id AND a.link_id = l.link_id
ORDER BY p.recipient_id, l.campaign_id DESC, coalesce(a.human_hits, 0) DESC, l.link_id
LIMIT nullif(:'limit', '')::bigint;
