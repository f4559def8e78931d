-- Two more views that reports ask, over all shards; see the shards' 0008-report-views.
CREATE TABLE fleet.human_clicks (shard text, campaign_id bigint, link_id bigint, recipient_id bigint, quarter timestamptz, hits bigint) PARTITION BY LIST (shard);
CREATE TABLE fleet.machine_traffic (
  shard text, campaign_id bigint, kind text, verdict text, network text, hits bigint, recipients bigint
) PARTITION BY LIST (shard);

CREATE VIEW analytics.human_clicks AS SELECT campaign_id, link_id, recipient_id, quarter, hits FROM fleet.human_clicks;
COMMENT ON VIEW analytics.human_clicks IS 'Clicks of recipients that were judged human, by quarter of an hour. Ask for one campaign, or a few links.';
COMMENT ON COLUMN analytics.human_clicks.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.human_clicks.link_id IS 'The link.';
COMMENT ON COLUMN analytics.human_clicks.recipient_id IS 'The recipient.';
COMMENT ON COLUMN analytics.human_clicks.quarter IS 'Begin of the quarter of an hour.';
COMMENT ON COLUMN analytics.human_clicks.hits IS 'How many clicks.';

CREATE VIEW analytics.machine_traffic AS
  SELECT campaign_id, kind, verdict, network, sum(hits)::bigint AS hits, sum(recipients)::bigint AS recipients
  FROM fleet.machine_traffic GROUP BY campaign_id, kind, verdict, network;
COMMENT ON VIEW analytics.machine_traffic IS 'Hits of machines, by what gave them away and where they came from.';
COMMENT ON COLUMN analytics.machine_traffic.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.machine_traffic.kind IS 'click or open.';
COMMENT ON COLUMN analytics.machine_traffic.verdict IS 'head, prefetch, privacy-proxy, scanner-net, bot-ua or burst.';
COMMENT ON COLUMN analytics.machine_traffic.network IS 'Label of the network; null where it is none that is known.';
COMMENT ON COLUMN analytics.machine_traffic.hits IS 'How many hits.';
COMMENT ON COLUMN analytics.machine_traffic.recipients IS 'Different recipients whose links they were.';

GRANT SELECT ON analytics.human_clicks, analytics.machine_traffic TO clickledger_analyst;
