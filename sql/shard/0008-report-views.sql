-- Two more views for reports, on raw events. Both count or thin out here, so that events do not travel.

-- When people clicked, to the quarter of an hour: whoever counts different people in an hour of some time zone needs to know who they were.
CREATE VIEW shard_analytics.human_clicks AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, link_id, recipient_id, shard.quarter_of(at) AS quarter, count(*) AS hits
  FROM shard.counted WHERE kind = 'click' AND verdict = 'human' AND recipient_id <> 0 GROUP BY campaign_id, link_id, recipient_id, quarter;

-- By recipient first: counting different ones in one go would sort all events.
CREATE VIEW shard_analytics.machine_traffic AS
  SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, kind, verdict::text AS verdict, net AS network, sum(hits)::bigint AS hits,
         count(*) FILTER (WHERE recipient_id <> 0) AS recipients
  FROM (SELECT campaign_id, kind, verdict, net, recipient_id, count(*) AS hits
        FROM shard.counted WHERE verdict <> 'human' GROUP BY campaign_id, kind, verdict, net, recipient_id) AS each
  GROUP BY campaign_id, kind, verdict, net;

GRANT SELECT ON shard_analytics.human_clicks, shard_analytics.machine_traffic TO clickledger_analyst;
