-- Lists of people: who clicked or opened, and when. With the setting clickledger.count_unsure, people with an unsure hit are in them, too. The filter by
-- the setting names no column, so Postgres does not read the part with unsure hits without the setting.
CREATE TABLE fleet.people (shard text, campaign_id bigint, link_id bigint, kind text, is_unsure boolean, recipient_ids bigint[]) PARTITION BY LIST (shard);
CREATE TABLE fleet.people_hits (
  shard text, campaign_id bigint, recipient_id bigint, is_unsure boolean, first_at timestamptz, last_at timestamptz
) PARTITION BY LIST (shard);
CREATE TABLE fleet.people_first (shard text, recipient_id bigint, is_unsure boolean, first_at timestamptz) PARTITION BY LIST (shard);

CREATE VIEW analytics.people AS
  SELECT campaign_id, link_id, kind, unnest(recipient_ids) AS recipient_id FROM fleet.people WHERE NOT is_unsure
  UNION ALL
  SELECT campaign_id, link_id, kind, unnest(recipient_ids) FROM fleet.people
  WHERE is_unsure AND coalesce(nullif(current_setting('clickledger.count_unsure', true), ''), 'off')::boolean;
COMMENT ON VIEW analytics.people IS 'Recipients with a click or an open judged human, by campaign and by clicked link. It reads no events. After SET clickledger.count_unsure = on, recipients with an unsure hit are in it, too, and a recipient may have two rows.';
COMMENT ON COLUMN analytics.people.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.people.link_id IS 'The clicked link; null in the rows of the whole campaign. For links, only clicks judged human count.';
COMMENT ON COLUMN analytics.people.kind IS 'click or open. A recipient who only clicked has no row with open.';
COMMENT ON COLUMN analytics.people.recipient_id IS 'The recipient.';

CREATE VIEW analytics.people_hits AS
  SELECT campaign_id, recipient_id, first_at, last_at FROM fleet.people_hits WHERE NOT is_unsure
  UNION ALL
  SELECT campaign_id, recipient_id, first_at, last_at FROM fleet.people_hits
  WHERE is_unsure AND coalesce(nullif(current_setting('clickledger.count_unsure', true), ''), 'off')::boolean;
COMMENT ON VIEW analytics.people_hits IS 'One row for each hit of a recipient that was judged human. It reads events, so select recipients, or a time. After SET clickledger.count_unsure = on, unsure hits are in it, too.';
COMMENT ON COLUMN analytics.people_hits.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.people_hits.recipient_id IS 'The recipient.';
COMMENT ON COLUMN analytics.people_hits.first_at IS 'Time of the hit. Of months whose single hits were dropped, a row has all hits on one link, and this is the time of the first.';
COMMENT ON COLUMN analytics.people_hits.last_at IS 'Time of the hit, or of the last of the hits.';

CREATE VIEW analytics.people_first AS
  SELECT recipient_id, min(first_at) AS first_at
  FROM (SELECT recipient_id, first_at FROM fleet.people_first WHERE NOT is_unsure
        UNION ALL
        SELECT recipient_id, first_at FROM fleet.people_first
        WHERE is_unsure AND coalesce(nullif(current_setting('clickledger.count_unsure', true), ''), 'off')::boolean) AS each
  GROUP BY recipient_id;
COMMENT ON VIEW analytics.people_first IS 'Time of the first hit of each recipient that was judged human, of all campaigns. It reads all hits of the recipients, so select recipients. After SET clickledger.count_unsure = on, unsure hits count, too.';
COMMENT ON COLUMN analytics.people_first.recipient_id IS 'The recipient.';
COMMENT ON COLUMN analytics.people_first.first_at IS 'Time of the first hit. If it is in a month whose single hits were dropped, this may be the time of an earlier hit by a machine.';

GRANT SELECT ON analytics.people, analytics.people_hits, analytics.people_first TO clickledger_analyst;
