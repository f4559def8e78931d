-- One place for analysts: the same views over all shards. Each table of schema fleet has a partition per shard, which is a foreign table
-- onto a view there; `clickledger migrate` attaches them from SHARDS with fleet.attach().
CREATE EXTENSION IF NOT EXISTS postgres_fdw;
CREATE SCHEMA fleet;
CREATE SCHEMA analytics;

CREATE TABLE fleet.events (
  shard text, at timestamptz, kind text, campaign_id bigint, link_id bigint, link_version integer, recipient_id bigint,
  visitor bigint, country text, net text, referrer text, client text, client_version text, system text, device text,
  verdict text, signals text[], rules smallint, request_id uuid, gen uuid, off bigint
) PARTITION BY LIST (shard);
CREATE TABLE fleet.activity_15m (
  shard text, campaign_id bigint, link_id bigint, quarter timestamptz, kind text, verdict text, hits bigint
) PARTITION BY LIST (shard);
CREATE TABLE fleet.clicked_links (
  shard text, campaign_id bigint, link_id bigint, recipient_id bigint, first_at timestamptz, last_at timestamptz, human_hits bigint, machine_hits bigint
) PARTITION BY LIST (shard);
CREATE TABLE fleet.engagement (
  shard text, campaign_id bigint, recipient_id bigint, human_clicks bigint, machine_clicks bigint, human_clicked_links bigint, last_click_at timestamptz,
  human_opens bigint, machine_opens bigint, first_open_at timestamptz, last_open_at timestamptz
) PARTITION BY LIST (shard);
CREATE TABLE fleet.campaign_totals (
  shard text, campaign_id bigint, kind text, hits bigint, human_hits bigint, recipients bigint, human_recipients bigint
) PARTITION BY LIST (shard);
CREATE TABLE fleet.ledger (
  shard text, gen uuid, size bigint, committed_bytes bigint, committed_to bigint, holes bigint, first_at timestamptz, last_at timestamptz
) PARTITION BY LIST (shard);
CREATE TABLE fleet.skipped (shard text, gen uuid, reason text, lines bigint) PARTITION BY LIST (shard);
CREATE TABLE fleet.dead_letters (shard text, gen uuid, off bigint, reason text, length bigint, hash text, at timestamptz) PARTITION BY LIST (shard);

-- Points a shard's partitions at its database; safe to run again, e.g. after the shard moved or the password changed. `sslrootcert` is a file
-- of the server that this database is on.
CREATE FUNCTION fleet.attach(shard text, host text, port text, dbname text, analyst text, password text, sslmode text DEFAULT NULL, sslrootcert text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  server text := 'shard_' || shard;
  relation text;
  change text;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_foreign_server WHERE srvname = server) THEN
    EXECUTE format('CREATE SERVER %I FOREIGN DATA WRAPPER postgres_fdw OPTIONS (fetch_size ''10000'', async_capable ''true'', keepalives_idle ''10'')', server);
    EXECUTE format('CREATE USER MAPPING FOR CURRENT_USER SERVER %I OPTIONS (user %L, password %L)', server, analyst, password);
  END IF;
  FOR change IN
    SELECT CASE WHEN known.option_name IS NULL THEN format('ADD %I %L', name, value) WHEN value IS NULL THEN format('DROP %I', name) ELSE format('SET %I %L', name, value) END
    FROM (VALUES ('host', host), ('port', port), ('dbname', dbname), ('sslmode', sslmode), ('sslrootcert', sslrootcert)) AS wanted (name, value)
    LEFT JOIN (SELECT option_name FROM pg_foreign_server, pg_options_to_table(srvoptions) WHERE srvname = server) known ON known.option_name = name
    WHERE known.option_name IS NOT NULL OR value IS NOT NULL
  LOOP
    EXECUTE format('ALTER SERVER %I OPTIONS (%s)', server, change);
  END LOOP;
  EXECUTE format('ALTER USER MAPPING FOR CURRENT_USER SERVER %I OPTIONS (SET user %L, SET password %L)', server, analyst, password);
  FOR relation IN SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'fleet' AND c.relkind = 'p' LOOP
    EXECUTE format('CREATE FOREIGN TABLE IF NOT EXISTS fleet.%I PARTITION OF fleet.%I FOR VALUES IN (%L) SERVER %I OPTIONS (schema_name ''shard_analytics'', table_name %L)',
                   relation || '_' || shard, relation, shard, server, relation);
  END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION fleet.attach FROM PUBLIC;

CREATE VIEW analytics.events AS SELECT * FROM fleet.events;
COMMENT ON VIEW analytics.events IS 'Every hit that counts: one row a click or open, whoever or whatever made it.';
COMMENT ON COLUMN analytics.events.shard IS 'The shard the event is on.';
COMMENT ON COLUMN analytics.events.at IS 'When nginx answered.';
COMMENT ON COLUMN analytics.events.kind IS 'click (a redirect was followed) or open (a pixel was loaded).';
COMMENT ON COLUMN analytics.events.campaign_id IS 'Its campaign; see campaigns.';
COMMENT ON COLUMN analytics.events.link_id IS 'Its link; see links.';
COMMENT ON COLUMN analytics.events.link_version IS 'Which of the addresses the link has had was served; 0: the fallback of the campaign; null for opens.';
COMMENT ON COLUMN analytics.events.recipient_id IS 'Whose link it was; null for a shared link.';
COMMENT ON COLUMN analytics.events.visitor IS 'Same number: same address and browser on the same UTC day. Means nothing on another day; null where it could not be made.';
COMMENT ON COLUMN analytics.events.country IS 'Country of the network address, ISO 3166-1 alpha-2; null where unknown.';
COMMENT ON COLUMN analytics.events.net IS 'Label of a known mail proxy or security scanner network; null otherwise.';
COMMENT ON COLUMN analytics.events.referrer IS 'Host name of the page the click came from, where the browser said so.';
COMMENT ON COLUMN analytics.events.client IS 'Browser or mail client.';
COMMENT ON COLUMN analytics.events.client_version IS 'Its major version.';
COMMENT ON COLUMN analytics.events.system IS 'Operating system.';
COMMENT ON COLUMN analytics.events.device IS 'desktop, mobile, tablet, tv, bot or unknown.';
COMMENT ON COLUMN analytics.events.verdict IS 'human, or why not: head, prefetch, bot-ua.';
COMMENT ON COLUMN analytics.events.signals IS 'Every sign of a machine that was found, not only the one that decided.';
COMMENT ON COLUMN analytics.events.rules IS 'Version of the rules that judged.';
COMMENT ON COLUMN analytics.events.request_id IS 'nginx''s id of the request.';
COMMENT ON COLUMN analytics.events.gen IS 'The generation of the access log the hit stands in.';
COMMENT ON COLUMN analytics.events.off IS 'The byte offset of its line there.';

CREATE VIEW analytics.campaigns AS
  SELECT id AS campaign_id, name, fallback_url, created_at, sent_at, closed_at,
         (SELECT count(*) FROM catalog.mailing m WHERE m.campaign_id = c.id) AS prepared_for FROM catalog.campaign c;
COMMENT ON VIEW analytics.campaigns IS 'One row a campaign.';
COMMENT ON COLUMN analytics.campaigns.campaign_id IS 'Its number, as the reports want it.';
COMMENT ON COLUMN analytics.campaigns.name IS 'Its name, as its author gave it.';
COMMENT ON COLUMN analytics.campaigns.fallback_url IS 'Where its expired and disabled links lead.';
COMMENT ON COLUMN analytics.campaigns.created_at IS 'When it was made.';
COMMENT ON COLUMN analytics.campaigns.sent_at IS 'When it went out, where the author said so.';
COMMENT ON COLUMN analytics.campaigns.closed_at IS 'When it was closed.';
COMMENT ON COLUMN analytics.campaigns.prepared_for IS 'For how many recipients mail was prepared.';

CREATE VIEW analytics.links AS
  SELECT l.id AS link_id, l.campaign_id, l.kind, l.label, l.original, v.target, l.version, l.created_at, l.expires_at, l.disabled_at,
         ARRAY(SELECT a.name FROM catalog.alias a WHERE a.link_id = l.id ORDER BY a.name) AS aliases
  FROM catalog.link l LEFT JOIN catalog.link_version v ON v.link_id = l.id AND v.version = l.version;
COMMENT ON VIEW analytics.links IS 'One row a tracked link or pixel.';
COMMENT ON COLUMN analytics.links.link_id IS 'Its number.';
COMMENT ON COLUMN analytics.links.campaign_id IS 'Its campaign.';
COMMENT ON COLUMN analytics.links.kind IS 'url or pixel.';
COMMENT ON COLUMN analytics.links.label IS 'Tells two links of one letter to the same address apart.';
COMMENT ON COLUMN analytics.links.original IS 'The address as first written; empty for a pixel.';
COMMENT ON COLUMN analytics.links.target IS 'The address it leads to now; null for a pixel.';
COMMENT ON COLUMN analytics.links.version IS 'Number of that address; 1 is the first.';
COMMENT ON COLUMN analytics.links.created_at IS 'When it was made.';
COMMENT ON COLUMN analytics.links.expires_at IS 'From when on it leads to the fallback.';
COMMENT ON COLUMN analytics.links.disabled_at IS 'When it was disabled.';
COMMENT ON COLUMN analytics.links.aliases IS 'Names given to it.';

CREATE VIEW analytics.recipients AS
  SELECT id AS recipient_id, email, external_id, created_at, opted_out_at, forgotten_at FROM catalog.recipient;
COMMENT ON VIEW analytics.recipients IS 'One row a person; forgotten ones keep only their number.';
COMMENT ON COLUMN analytics.recipients.recipient_id IS 'The person''s number.';
COMMENT ON COLUMN analytics.recipients.email IS 'Address, in lower case.';
COMMENT ON COLUMN analytics.recipients.external_id IS 'The author''s own id of the person.';
COMMENT ON COLUMN analytics.recipients.created_at IS 'Since when the person is known.';
COMMENT ON COLUMN analytics.recipients.opted_out_at IS 'Since when the person is not to be tracked.';
COMMENT ON COLUMN analytics.recipients.forgotten_at IS 'When the person was removed.';

CREATE VIEW analytics.activity_15m AS
  SELECT campaign_id, link_id, quarter, kind, verdict, sum(hits)::bigint AS hits FROM fleet.activity_15m GROUP BY campaign_id, link_id, quarter, kind, verdict;
COMMENT ON VIEW analytics.activity_15m IS 'Hits by campaign, link, quarter of an hour, kind and verdict.';
COMMENT ON COLUMN analytics.activity_15m.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.activity_15m.link_id IS 'The link.';
COMMENT ON COLUMN analytics.activity_15m.quarter IS 'Begin of the quarter of an hour.';
COMMENT ON COLUMN analytics.activity_15m.kind IS 'click or open.';
COMMENT ON COLUMN analytics.activity_15m.verdict IS 'human, or why not.';
COMMENT ON COLUMN analytics.activity_15m.hits IS 'How many hits.';

CREATE VIEW analytics.activity AS
  SELECT campaign_id, link_id, recipient_id, 'click' AS kind, first_at, last_at, human_hits, machine_hits FROM fleet.clicked_links
  UNION ALL
  SELECT e.campaign_id, pixel.id, e.recipient_id, 'open', e.first_open_at, e.last_open_at, e.human_opens, e.machine_opens
  FROM fleet.engagement e LEFT JOIN catalog.link pixel ON pixel.campaign_id = e.campaign_id AND pixel.kind = 'pixel' WHERE e.last_open_at IS NOT NULL;
COMMENT ON VIEW analytics.activity IS 'What each recipient did with each link.';
COMMENT ON COLUMN analytics.activity.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.activity.link_id IS 'The link; for opens, which are known by campaign, its pixel, and null where it has none.';
COMMENT ON COLUMN analytics.activity.recipient_id IS 'The recipient.';
COMMENT ON COLUMN analytics.activity.kind IS 'click or open.';
COMMENT ON COLUMN analytics.activity.first_at IS 'The first hit.';
COMMENT ON COLUMN analytics.activity.last_at IS 'The last hit.';
COMMENT ON COLUMN analytics.activity.human_hits IS 'How many hits were judged human.';
COMMENT ON COLUMN analytics.activity.machine_hits IS 'How many were not.';

CREATE VIEW analytics.engagement AS
  SELECT campaign_id, recipient_id, human_clicks, machine_clicks, human_clicked_links, last_click_at, human_opens, machine_opens, first_open_at, last_open_at FROM fleet.engagement;
COMMENT ON VIEW analytics.engagement IS 'What each recipient did in a campaign altogether; no row for those who did nothing.';
COMMENT ON COLUMN analytics.engagement.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.engagement.recipient_id IS 'The recipient.';
COMMENT ON COLUMN analytics.engagement.human_clicks IS 'Clicks judged human.';
COMMENT ON COLUMN analytics.engagement.machine_clicks IS 'Other clicks.';
COMMENT ON COLUMN analytics.engagement.human_clicked_links IS 'Different links with a click judged human.';
COMMENT ON COLUMN analytics.engagement.last_click_at IS 'The last click.';
COMMENT ON COLUMN analytics.engagement.human_opens IS 'Opens judged human.';
COMMENT ON COLUMN analytics.engagement.machine_opens IS 'Other opens.';
COMMENT ON COLUMN analytics.engagement.first_open_at IS 'The first open.';
COMMENT ON COLUMN analytics.engagement.last_open_at IS 'The last open.';

CREATE VIEW analytics.campaign_totals AS
  SELECT campaign_id, kind, sum(hits)::bigint AS hits, sum(human_hits)::bigint AS human_hits,
         sum(recipients)::bigint AS recipients, sum(human_recipients)::bigint AS human_recipients
  FROM fleet.campaign_totals GROUP BY campaign_id, kind;
COMMENT ON VIEW analytics.campaign_totals IS 'A campaign in numbers.';
COMMENT ON COLUMN analytics.campaign_totals.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.campaign_totals.kind IS 'click or open.';
COMMENT ON COLUMN analytics.campaign_totals.hits IS 'All hits.';
COMMENT ON COLUMN analytics.campaign_totals.human_hits IS 'Hits judged human.';
COMMENT ON COLUMN analytics.campaign_totals.recipients IS 'Different recipients with any hit.';
COMMENT ON COLUMN analytics.campaign_totals.human_recipients IS 'Different recipients with a hit judged human.';

-- A generation that one shard knows and another does not is a hole of unknown length there, hence the product of both.
CREATE VIEW analytics.completeness AS
  WITH ledger AS MATERIALIZED (SELECT * FROM fleet.ledger),
       generation AS (SELECT gen, max(greatest(size, committed_to)) AS known_to, max(size) AS size FROM ledger GROUP BY gen)
  SELECT g.gen, s.name AS shard, g.size, coalesce(l.committed_bytes, 0) AS committed_bytes, g.known_to - coalesce(l.committed_bytes, 0) AS missing_bytes,
         coalesce(l.holes, 0) + CASE WHEN coalesce(l.committed_to, 0) < g.known_to AND (l.size IS NULL) THEN 1 ELSE 0 END AS holes, l.first_at, l.last_at
  FROM generation g CROSS JOIN catalog.shard s LEFT JOIN ledger l ON l.gen = g.gen AND l.shard = s.name;
COMMENT ON VIEW analytics.completeness IS 'How much of each access log is counted, by generation and shard. Holes in old generations mean: believe no number yet.';
COMMENT ON COLUMN analytics.completeness.gen IS 'The generation.';
COMMENT ON COLUMN analytics.completeness.shard IS 'The shard.';
COMMENT ON COLUMN analytics.completeness.size IS 'Length in bytes of a finished generation; null while it grows.';
COMMENT ON COLUMN analytics.completeness.committed_bytes IS 'Bytes of it accounted for on this shard.';
COMMENT ON COLUMN analytics.completeness.missing_bytes IS 'Bytes known to exist and not accounted for on this shard, yet.';
COMMENT ON COLUMN analytics.completeness.holes IS 'In how many stretches they lie.';
COMMENT ON COLUMN analytics.completeness.first_at IS 'First commit of the generation on this shard.';
COMMENT ON COLUMN analytics.completeness.last_at IS 'Last commit.';

CREATE VIEW analytics.skipped AS SELECT reason, sum(lines)::bigint AS lines FROM fleet.skipped GROUP BY reason;
COMMENT ON VIEW analytics.skipped IS 'Lines of the access log that are no hit of a tracked link, by reason.';
COMMENT ON COLUMN analytics.skipped.reason IS 'not-tracking, not-served (no redirect or pixel was answered), malformed-slug or forged.';
COMMENT ON COLUMN analytics.skipped.lines IS 'How many lines.';

CREATE VIEW analytics.dead_letters AS SELECT shard, gen, off, reason, length, hash, at FROM fleet.dead_letters;
COMMENT ON VIEW analytics.dead_letters IS 'Lines that could not be read; the line itself is in the log, at this offset of this generation.';
COMMENT ON COLUMN analytics.dead_letters.shard IS 'The shard that keeps the record.';
COMMENT ON COLUMN analytics.dead_letters.gen IS 'The generation.';
COMMENT ON COLUMN analytics.dead_letters.off IS 'The byte offset of the line.';
COMMENT ON COLUMN analytics.dead_letters.reason IS 'Why it could not be read.';
COMMENT ON COLUMN analytics.dead_letters.length IS 'Its length in bytes.';
COMMENT ON COLUMN analytics.dead_letters.hash IS 'First 16 hex digits of its SHA-256.';
COMMENT ON COLUMN analytics.dead_letters.at IS 'When it was recorded.';

GRANT USAGE ON SCHEMA analytics TO clickledger_analyst;
GRANT SELECT ON ALL TABLES IN SCHEMA analytics TO clickledger_analyst;
