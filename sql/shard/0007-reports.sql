-- The views of a shard for reports. They count on the shard. The views below "Raw events" read events, so they go back only as far as the
-- kept months.
CREATE VIEW shard_analytics.link_totals AS
  SELECT (SELECT name FROM shard.identity) AS shard, h.campaign_id, h.link_id, h.hits, h.human_hits, coalesce(p.recipients, 0) AS recipients,
         coalesce(p.human_recipients, 0) AS human_recipients
  FROM (SELECT campaign_id, link_id, sum(hits)::bigint AS hits, coalesce(sum(hits) FILTER (WHERE verdict = 'human'), 0)::bigint AS human_hits
        FROM shard_analytics.activity_15m WHERE kind = 'click' GROUP BY campaign_id, link_id) h
  LEFT JOIN (SELECT campaign_id, link_id, recipients, human_recipients FROM shard.reach_with_waiting WHERE kind = 'click') p USING (campaign_id, link_id);

-- Raw events.

-- The visitors of shared links. Their hits have no recipient, and a visitor can be recognised only within one day.
CREATE VIEW shard_analytics.visitors AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, link_id, (at AT TIME ZONE 'UTC')::date AS day, kind,
         count(DISTINCT visitor) AS visitors, count(DISTINCT visitor) FILTER (WHERE verdict = 'human') AS human_visitors
  FROM shard.counted WHERE recipient_id = 0 GROUP BY campaign_id, link_id, day, kind;

-- The links of a recipient that more than one visitor clicked on one day: the letter was forwarded, or the reader has several devices. The
-- query sorts all clicks. So the grouping begins with the column with the most values, and days are computed with date_bin, which is cheap.
CREATE VIEW shard_analytics.passed_on AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, link_id, recipient_id, (midnight AT TIME ZONE 'UTC')::date AS day, visitors
  FROM (SELECT recipient_id, link_id, date_bin('1 day', at, '2000-01-01 00:00+00') AS midnight, campaign_id, count(DISTINCT visitor) AS visitors
        FROM shard.counted WHERE recipient_id <> 0 AND kind = 'click' AND verdict = 'human' GROUP BY recipient_id, link_id, midnight, campaign_id) AS each
  WHERE visitors > 1;

CREATE VIEW shard_analytics.first_human AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, recipient_id, kind, min(at) AS first_human_at
  FROM shard.counted WHERE recipient_id <> 0 AND verdict = 'human' GROUP BY campaign_id, recipient_id, kind;

-- A query for one facet reads only its branch.
CREATE VIEW shard.faceted AS
  SELECT campaign_id, recipient_id, kind, verdict, 'country' AS facet, country AS value FROM shard.counted
  UNION ALL SELECT campaign_id, recipient_id, kind, verdict, 'referrer', referrer FROM shard.counted
  UNION ALL SELECT campaign_id, recipient_id, kind, verdict, 'network', net FROM shard.counted
  UNION ALL SELECT campaign_id, recipient_id, kind, verdict, 'verdict', verdict::text FROM shard.counted
  UNION ALL SELECT campaign_id, recipient_id, kind, verdict, 'client', client FROM shard.counted JOIN shard.user_agent ON user_agent.id = agent_id
  UNION ALL SELECT campaign_id, recipient_id, kind, verdict, 'system', system FROM shard.counted JOIN shard.user_agent ON user_agent.id = agent_id
  UNION ALL SELECT campaign_id, recipient_id, kind, verdict, 'device', device FROM shard.counted JOIN shard.user_agent ON user_agent.id = agent_id;

-- Groups by recipient first, because count(DISTINCT recipient_id) would sort all events.
CREATE VIEW shard_analytics.facets AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, kind, facet, value, sum(hits)::bigint AS hits, sum(human_hits)::bigint AS human_hits,
         count(*) FILTER (WHERE recipient_id <> 0) AS recipients, count(*) FILTER (WHERE recipient_id <> 0 AND human_hits > 0) AS human_recipients
  FROM (SELECT campaign_id, kind, facet, value, recipient_id, count(*) AS hits, count(*) FILTER (WHERE verdict = 'human') AS human_hits
        FROM shard.faceted GROUP BY campaign_id, kind, facet, value, recipient_id) AS each
  GROUP BY campaign_id, kind, facet, value;

-- The clicks by recipient and quarter of an hour. A report that counts recipients by hour in a time zone needs the recipients, not only
-- their number.
CREATE VIEW shard_analytics.human_clicks AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, link_id, recipient_id, shard.quarter_of(at) AS quarter, count(*) AS hits
  FROM shard.counted WHERE kind = 'click' AND verdict = 'human' AND recipient_id <> 0 GROUP BY campaign_id, link_id, recipient_id, quarter;

-- Groups by recipient first, because count(DISTINCT recipient_id) would sort all events.
CREATE VIEW shard_analytics.machine_traffic AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, kind, verdict::text AS verdict, net AS network, sum(hits)::bigint AS hits,
         count(*) FILTER (WHERE recipient_id <> 0) AS recipients
  FROM (SELECT campaign_id, kind, verdict, net, recipient_id, count(*) AS hits
        FROM shard.counted WHERE verdict <> 'human' GROUP BY campaign_id, kind, verdict, net, recipient_id) AS each
  GROUP BY campaign_id, kind, verdict, net;

GRANT SELECT ON shard_analytics.link_totals, shard_analytics.visitors, shard_analytics.passed_on, shard_analytics.first_human, shard_analytics.facets,
  shard_analytics.human_clicks, shard_analytics.machine_traffic TO clickledger_analyst;
