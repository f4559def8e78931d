-- title: Visitors of shared links
-- question: How many visitors did each shared link have on each day?
-- parameter: campaign  name or number of the campaign; default: all campaigns
-- parameter: from:day  the first day (UTC), e.g. 2030-05-01; default: the first hit
-- parameter: to:day  the last day (UTC); default: the last hit
-- parameter: limit  maximum number of rows; default: all
-- chart: bar x=utc_day y=human_visitors
-- reach: yes
--
-- A visitor is a network address and a browser on one day (UTC). A visitor is not a recipient. A person who comes on two days is two
-- visitors, so do not add up the days. A hit has no visitor if the agent read its line more than 48 hours after the end of its day. The
-- report has no time zone, because a visitor cannot be recognised after midnight UTC.

\if :{?campaign} \else \set campaign '' \endif
\if :{?from} \else \set from '' \endif
\if :{?to} \else \set to '' \endif
\if :{?limit} \else \set limit '' \endif

SELECT v.campaign_id, v.link_id, coalesce(l.aliases[1], nullif(l.label, ''), l.target) AS link, v.day AS utc_day, v.visitors, v.human_visitors
FROM (
  SELECT *
  FROM analytics.visitors
  WHERE kind = 'click' AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
    AND day >= (SELECT coalesce(nullif(:'from', '')::date, '-infinity')) AND day <= (SELECT coalesce(nullif(:'to', '')::date, 'infinity'))
) v
LEFT JOIN analytics.links l USING (link_id)
ORDER BY v.day DESC, v.campaign_id DESC, v.human_visitors DESC, v.link_id
LIMIT nullif(:'limit', '')::bigint;
