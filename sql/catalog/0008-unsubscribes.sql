-- Unsubscribes. The requests are in the shards. The catalog stores only the time at which an author subscribed a recipient again. So a
-- restored catalog loses no unsubscribes. A restored shard gets the missing ones from the logs that are still kept.

-- A campaign has one link by which its recipients unsubscribe.
ALTER TABLE catalog.link DROP CONSTRAINT link_kind_check, ADD CONSTRAINT link_kind_check CHECK (kind IN ('url', 'pixel', 'honeypot', 'unsubscribe'));
CREATE UNIQUE INDEX link_unsubscribe ON catalog.link (campaign_id) WHERE kind = 'unsubscribe';
COMMENT ON COLUMN analytics.links.kind IS 'url, pixel, honeypot (the hidden link of a letter, which only machines follow), or unsubscribe.';

ALTER TABLE catalog.recipient ADD COLUMN resubscribed_at timestamptz;
GRANT UPDATE (resubscribed_at) ON catalog.recipient TO clickledger_author;

CREATE TABLE fleet.unsubscribes (
  shard text, at timestamptz, campaign_id bigint, link_id bigint, recipient_id bigint, request_id uuid, gen uuid, off bigint
) PARTITION BY LIST (shard);

CREATE VIEW analytics.unsubscribes AS
  SELECT shard, at, campaign_id, link_id, recipient_id, request_id, gen, off FROM fleet.unsubscribes
  WHERE recipient_id NOT IN (SELECT id FROM catalog.recipient WHERE is_test);
COMMENT ON VIEW analytics.unsubscribes IS 'One row for each request to unsubscribe. A recipient may have several. Those of test recipients are left out.';
COMMENT ON COLUMN analytics.unsubscribes.shard IS 'The shard that stores the request.';
COMMENT ON COLUMN analytics.unsubscribes.link_id IS 'The link of the campaign for unsubscribing; see links.';
COMMENT ON COLUMN analytics.unsubscribes.at IS 'Time at which nginx answered.';
COMMENT ON COLUMN analytics.unsubscribes.campaign_id IS 'The campaign of the link; 0 if the catalog did not have the link when the request was committed.';
COMMENT ON COLUMN analytics.unsubscribes.recipient_id IS 'The recipient who unsubscribed.';
COMMENT ON COLUMN analytics.unsubscribes.request_id IS 'Id that nginx gave the request.';
COMMENT ON COLUMN analytics.unsubscribes.gen IS 'Generation of the access log that has the line of the request.';
COMMENT ON COLUMN analytics.unsubscribes.off IS 'Byte offset of that line in the generation.';

-- Who is unsubscribed now. `prepare` reads this view. It includes test recipients.
CREATE VIEW analytics.unsubscribed AS
  SELECT u.recipient_id, max(u.at) AS at FROM fleet.unsubscribes u JOIN catalog.recipient r ON r.id = u.recipient_id
  WHERE u.at > coalesce(r.resubscribed_at, '-infinity') GROUP BY u.recipient_id;
COMMENT ON VIEW analytics.unsubscribed IS 'The recipients who are unsubscribed now: those who unsubscribed, and were not subscribed again since then.';
COMMENT ON COLUMN analytics.unsubscribed.recipient_id IS 'The recipient.';
COMMENT ON COLUMN analytics.unsubscribed.at IS 'Time of the last request to unsubscribe.';
-- Up to which time lines are counted, and what is missing of logs that are finished or no longer grow. Reports show it, and `prepare` writes
-- no letters while a request to unsubscribe may be among what is missing.
CREATE VIEW analytics.reach AS
  SELECT max(last_at) AS last_at, coalesce(sum(holes) FILTER (WHERE settled), 0)::bigint AS holes,
         coalesce(sum(missing_bytes) FILTER (WHERE settled), 0)::bigint AS missing_bytes
  FROM (SELECT *, size IS NOT NULL OR max(first_at) OVER (PARTITION BY gen) < max(first_at) OVER () AS settled FROM analytics.completeness) AS log;
COMMENT ON VIEW analytics.reach IS 'One row: up to which time lines are counted, and how much of the logs before is missing.';
COMMENT ON COLUMN analytics.reach.last_at IS 'Time of the last commit.';
COMMENT ON COLUMN analytics.reach.holes IS 'Number of ranges that are missing, in logs that are finished or no longer grow.';
COMMENT ON COLUMN analytics.reach.missing_bytes IS 'Number of bytes in these ranges.';
GRANT SELECT ON analytics.reach TO clickledger_author, clickledger_analyst;

GRANT USAGE ON SCHEMA analytics TO clickledger_author;
GRANT SELECT ON analytics.unsubscribed TO clickledger_author, clickledger_analyst;
GRANT SELECT ON analytics.unsubscribes TO clickledger_analyst;

CREATE OR REPLACE VIEW analytics.recipients AS
  SELECT id AS recipient_id, email, external_id, created_at, opted_out_at, forgotten_at, is_test, resubscribed_at FROM catalog.recipient;
COMMENT ON COLUMN analytics.recipients.resubscribed_at IS 'Time at which an author subscribed the recipient again; null if never. Earlier requests to unsubscribe no longer apply.';
