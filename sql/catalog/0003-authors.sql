-- Test recipients. Their hits are stored like all other hits, but are not counted. Each shard has a copy of is_test in shard.recipient.
ALTER TABLE catalog.recipient ADD COLUMN is_test boolean NOT NULL DEFAULT false;
CREATE INDEX recipient_test ON catalog.recipient (id) WHERE is_test;
CREATE INDEX recipient_forgotten ON catalog.recipient (id) WHERE forgotten_at IS NOT NULL;
CREATE INDEX recipient_opted_out ON catalog.recipient (id) WHERE opted_out_at IS NOT NULL;
GRANT UPDATE (is_test) ON catalog.recipient TO clickledger_author;

-- The constraint is needed because backends redirect to the fallback URL without checking it.
ALTER TABLE catalog.campaign ADD CONSTRAINT fallback_is_target CHECK (fallback_url ~* '^https?://' AND fallback_url !~ '[[:cntrl:]]') NOT VALID;

CREATE OR REPLACE VIEW analytics.campaigns AS
  SELECT id AS campaign_id, name, fallback_url, created_at, sent_at, closed_at,
         (SELECT count(*) FROM catalog.mailing m WHERE m.campaign_id = c.id)
         - (SELECT count(*) FROM catalog.recipient r JOIN catalog.mailing m ON m.recipient_id = r.id WHERE r.is_test AND m.campaign_id = c.id)
         - (SELECT count(*) FROM catalog.recipient r JOIN catalog.mailing m ON m.recipient_id = r.id
            WHERE r.opted_out_at IS NOT NULL AND r.opted_out_at <= m.prepared_at AND NOT r.is_test AND m.campaign_id = c.id) AS prepared_for
  FROM catalog.campaign c;
COMMENT ON COLUMN analytics.campaigns.prepared_for IS 'Number of recipients for whom a tracked letter was prepared. It is the base of all percentages. Test recipients, and recipients who had opted out before, are left out, because nothing of them is counted.';
COMMENT ON COLUMN analytics.campaigns.closed_at IS 'Time at which it was closed; null if it is open. No new links are created for a closed campaign; its existing links still work and are counted.';

CREATE OR REPLACE VIEW analytics.recipients AS
  SELECT id AS recipient_id, email, external_id, created_at, opted_out_at, forgotten_at, is_test FROM catalog.recipient;
COMMENT ON COLUMN analytics.recipients.is_test IS 'Whether this is a test recipient, whose hits are left out of all counts.';
