-- Clicks and opens by recipient and link come from one view of each shard.
CREATE TABLE fleet.activity (
  shard text, campaign_id bigint, link_id bigint, recipient_id bigint, kind text, first_at timestamptz, last_at timestamptz, human_hits bigint, machine_hits bigint
) PARTITION BY LIST (shard);

CREATE OR REPLACE VIEW analytics.activity AS
  SELECT campaign_id, link_id, recipient_id, kind, first_at, last_at, human_hits, machine_hits FROM fleet.activity WHERE kind = 'click'
  UNION ALL
  SELECT a.campaign_id, pixel.id, a.recipient_id, a.kind, a.first_at, a.last_at, a.human_hits, a.machine_hits
  FROM fleet.activity a LEFT JOIN catalog.link pixel ON pixel.campaign_id = a.campaign_id AND pixel.kind = 'pixel' WHERE a.kind = 'open';

DROP TABLE fleet.clicked_links;

COMMENT ON VIEW analytics.engagement IS 'Clicks and opens by recipient and campaign, for all recipients of a campaign. For one recipient, analytics.activity is faster. Recipients without hits have no row.';
