-- title: Timeline of a recipient
-- question: Which clicks and opens did the letters of this recipient get, in the order of time?
-- parameter: recipient  mail address of the recipient, or the author's own id
-- parameter: campaign  name or number of the campaign; default: all campaigns
-- parameter: limit  maximum number of hits; default: all
-- chart: none
-- reach: yes
--
-- Hits by machines are included. The column verdict says which hits these are, and the column signals has all signs that were found. The
-- report goes back only as far as single hits are kept. Test recipients have no rows.

\if :{?recipient} \else \set recipient '' \endif
\if :{?campaign} \else \set campaign '' \endif
\if :{?limit} \else \set limit '' \endif

\ir shared/period.sql

SELECT to_char(moment, 'YYYY-MM-DD HH24:MI:SS') || :offset AS at, e.recipient_id, e.campaign_id, c.name AS campaign, e.kind,
       coalesce(nullif(l.label, ''), l.target) AS link, e.verdict, array_to_string(e.signals, ' ') AS signals,
       e.country, e.net AS network, e.client, e.system, e.device, e.referrer
FROM (
  SELECT *, at AS moment
  FROM analytics.events
  WHERE recipient_id = ANY (ARRAY(SELECT recipient_id FROM analytics.recipients WHERE email = lower(:'recipient') OR external_id = :'recipient'))
    AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
    AND at >= :begins AND at < :ends
) e
LEFT JOIN analytics.campaigns c USING (campaign_id)
LEFT JOIN analytics.links l USING (link_id)
ORDER BY e.at, e.gen, e.off
LIMIT nullif(:'limit', '')::bigint;
