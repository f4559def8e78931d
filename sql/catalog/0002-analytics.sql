-- The views for analysts, over all shards. Each table of the schema fleet has one partition per shard. The partition is a foreign table for
-- a view on that shard. `clickledger migrate` creates the partitions for the shards in SHARDS with fleet.attach().
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
  human_opens bigint, machine_opens bigint, first_open_at timestamptz, last_open_at timestamptz, opened boolean, human_opened boolean
) PARTITION BY LIST (shard);
CREATE TABLE fleet.campaign_totals (
  shard text, campaign_id bigint, kind text, hits bigint, human_hits bigint, recipients bigint, human_recipients bigint
) PARTITION BY LIST (shard);
CREATE TABLE fleet.ledger (
  shard text, gen uuid, size bigint, committed_bytes bigint, committed_to bigint, holes bigint, first_at timestamptz, last_at timestamptz
) PARTITION BY LIST (shard);
CREATE TABLE fleet.skipped (shard text, gen uuid, reason text, lines bigint) PARTITION BY LIST (shard);
CREATE TABLE fleet.dead_letters (shard text, gen uuid, off bigint, reason text, length bigint, hash text, at timestamptz) PARTITION BY LIST (shard);

-- Makes the partitions of a shard refer to the database of the shard. It is idempotent, and is run again when the shard was moved or the
-- password was changed. `sslrootcert` is the path of a file on the server of the catalog.
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
COMMENT ON VIEW analytics.events IS 'One row for each click or open, by people and by machines. Hits of test recipients are left out.';
COMMENT ON COLUMN analytics.events.shard IS 'The shard the event is on.';
COMMENT ON COLUMN analytics.events.at IS 'Time at which nginx answered.';
COMMENT ON COLUMN analytics.events.kind IS 'click (a redirect was followed) or open (a pixel was loaded).';
COMMENT ON COLUMN analytics.events.campaign_id IS 'The campaign; see campaigns.';
COMMENT ON COLUMN analytics.events.link_id IS 'The link; see links.';
COMMENT ON COLUMN analytics.events.link_version IS 'Version of the target that was served; 0 is the fallback of the campaign; null for opens.';
COMMENT ON COLUMN analytics.events.recipient_id IS 'The recipient whose link it was; null for a shared link.';
COMMENT ON COLUMN analytics.events.visitor IS 'The same number means the same network address and browser on the same UTC day. Numbers of different days cannot be compared. Null if it could not be computed.';
COMMENT ON COLUMN analytics.events.country IS 'Country of the network address, ISO 3166-1 alpha-2; null if unknown.';
COMMENT ON COLUMN analytics.events.net IS 'Label of a known mail proxy or security scanner network; null otherwise.';
COMMENT ON COLUMN analytics.events.referrer IS 'Host name of the page with the link; null if the browser did not send it; (other) if clients had sent too many different ones.';
COMMENT ON COLUMN analytics.events.client IS 'Browser or mail client.';
COMMENT ON COLUMN analytics.events.client_version IS 'Major version of the client; (other) if there is no such version yet, or if clients had sent too many different ones.';
COMMENT ON COLUMN analytics.events.system IS 'Operating system.';
COMMENT ON COLUMN analytics.events.device IS 'desktop, mobile, tablet, tv, bot or unknown.';
COMMENT ON COLUMN analytics.events.verdict IS 'human, or the sign of a machine: head, prefetch, bot-ua.';
COMMENT ON COLUMN analytics.events.signals IS 'All signs of a machine that were found, not only the one that decided the verdict.';
COMMENT ON COLUMN analytics.events.rules IS 'Version of the rules that decided the verdict.';
COMMENT ON COLUMN analytics.events.request_id IS 'Id that nginx gave the request.';
COMMENT ON COLUMN analytics.events.gen IS 'Generation of the access log that has the line of the hit.';
COMMENT ON COLUMN analytics.events.off IS 'Byte offset of that line in the generation.';

CREATE VIEW analytics.campaigns AS
  SELECT id AS campaign_id, name, fallback_url, created_at, sent_at, closed_at,
         (SELECT count(*) FROM catalog.mailing m WHERE m.campaign_id = c.id) AS prepared_for FROM catalog.campaign c;
COMMENT ON VIEW analytics.campaigns IS 'One row for each campaign.';
COMMENT ON COLUMN analytics.campaigns.campaign_id IS 'Number of the campaign; reports take it as a parameter.';
COMMENT ON COLUMN analytics.campaigns.name IS 'Name that the author gave it.';
COMMENT ON COLUMN analytics.campaigns.fallback_url IS 'URL to which its expired and disabled links lead.';
COMMENT ON COLUMN analytics.campaigns.created_at IS 'Time at which it was created.';
COMMENT ON COLUMN analytics.campaigns.sent_at IS 'Time at which its mail was sent, as the author recorded it; null if not recorded.';
COMMENT ON COLUMN analytics.campaigns.closed_at IS 'Time at which it was closed; null if it is open.';
COMMENT ON COLUMN analytics.campaigns.prepared_for IS 'Number of recipients for whom mail was prepared.';

CREATE VIEW analytics.links AS
  SELECT l.id AS link_id, l.campaign_id, l.kind, l.position, l.label, l.original, v.target, l.version, l.created_at, l.expires_at, l.disabled_at,
         ARRAY(SELECT a.name FROM catalog.alias a WHERE a.link_id = l.id ORDER BY a.name) AS aliases
  FROM catalog.link l LEFT JOIN catalog.link_version v ON v.link_id = l.id AND v.version = l.version;
COMMENT ON VIEW analytics.links IS 'One row for each tracked link or pixel.';
COMMENT ON COLUMN analytics.links.link_id IS 'Number of the link.';
COMMENT ON COLUMN analytics.links.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.links.kind IS 'url or pixel.';
COMMENT ON COLUMN analytics.links.position IS 'Place among the links of the letter that was prepared last with this link, from 1: first those of the HTML part, then those of the text part. Null if the link is in no letter, and for a pixel.';
COMMENT ON COLUMN analytics.links.label IS 'Label that distinguishes two links of one letter with the same URL.';
COMMENT ON COLUMN analytics.links.original IS 'URL as first written in the letter; empty for a pixel.';
COMMENT ON COLUMN analytics.links.target IS 'URL that the link leads to now; null for a pixel.';
COMMENT ON COLUMN analytics.links.version IS 'Version of the target; the first is 1.';
COMMENT ON COLUMN analytics.links.created_at IS 'Time at which it was created.';
COMMENT ON COLUMN analytics.links.expires_at IS 'Time from which it leads to the fallback; null if it does not expire.';
COMMENT ON COLUMN analytics.links.disabled_at IS 'Time at which it was disabled; null if it is not.';
COMMENT ON COLUMN analytics.links.aliases IS 'Its readable names.';

CREATE VIEW analytics.recipients AS
  SELECT id AS recipient_id, email, external_id, created_at, opted_out_at, forgotten_at FROM catalog.recipient;
COMMENT ON VIEW analytics.recipients IS 'One row for each recipient. A forgotten recipient keeps only the number.';
COMMENT ON COLUMN analytics.recipients.recipient_id IS 'Number of the recipient.';
COMMENT ON COLUMN analytics.recipients.email IS 'Mail address, in lower case.';
COMMENT ON COLUMN analytics.recipients.external_id IS 'Id that the author uses for the recipient.';
COMMENT ON COLUMN analytics.recipients.created_at IS 'Time at which the recipient was added.';
COMMENT ON COLUMN analytics.recipients.opted_out_at IS 'Time from which the recipient must not be tracked; null if not opted out.';
COMMENT ON COLUMN analytics.recipients.forgotten_at IS 'Time at which the recipient was forgotten; null if not.';

CREATE VIEW analytics.activity_15m AS
  SELECT campaign_id, link_id, quarter, kind, verdict, sum(hits)::bigint AS hits FROM fleet.activity_15m GROUP BY campaign_id, link_id, quarter, kind, verdict;
COMMENT ON VIEW analytics.activity_15m IS 'Hits by campaign, link, quarter of an hour, kind and verdict.';
COMMENT ON COLUMN analytics.activity_15m.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.activity_15m.link_id IS 'The link.';
COMMENT ON COLUMN analytics.activity_15m.quarter IS 'Start of the quarter of an hour.';
COMMENT ON COLUMN analytics.activity_15m.kind IS 'click or open.';
COMMENT ON COLUMN analytics.activity_15m.verdict IS 'human, or the sign of a machine; see events.';
COMMENT ON COLUMN analytics.activity_15m.hits IS 'Number of hits.';

CREATE VIEW analytics.activity AS
  SELECT campaign_id, link_id, recipient_id, 'click' AS kind, first_at, last_at, human_hits, machine_hits FROM fleet.clicked_links
  UNION ALL
  SELECT e.campaign_id, pixel.id, e.recipient_id, 'open', e.first_open_at, e.last_open_at, e.human_opens, e.machine_opens
  FROM fleet.engagement e LEFT JOIN catalog.link pixel ON pixel.campaign_id = e.campaign_id AND pixel.kind = 'pixel' WHERE e.last_open_at IS NOT NULL;
COMMENT ON VIEW analytics.activity IS 'Clicks and opens by recipient and link; one row for each recipient, link and kind.';
COMMENT ON COLUMN analytics.activity.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.activity.link_id IS 'The link. For opens it is the pixel of the campaign; null if the campaign has none.';
COMMENT ON COLUMN analytics.activity.recipient_id IS 'The recipient.';
COMMENT ON COLUMN analytics.activity.kind IS 'click or open.';
COMMENT ON COLUMN analytics.activity.first_at IS 'Time of the first hit.';
COMMENT ON COLUMN analytics.activity.last_at IS 'Time of the last hit.';
COMMENT ON COLUMN analytics.activity.human_hits IS 'Number of hits judged human.';
COMMENT ON COLUMN analytics.activity.machine_hits IS 'Number of other hits.';

CREATE VIEW analytics.engagement AS
  SELECT campaign_id, recipient_id, human_clicks, machine_clicks, human_clicked_links, last_click_at, human_opens, machine_opens, first_open_at, last_open_at,
         opened, human_opened FROM fleet.engagement;
COMMENT ON VIEW analytics.engagement IS 'Clicks and opens by recipient and campaign. Recipients without hits have no row.';
COMMENT ON COLUMN analytics.engagement.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.engagement.recipient_id IS 'The recipient.';
COMMENT ON COLUMN analytics.engagement.human_clicks IS 'Number of clicks judged human.';
COMMENT ON COLUMN analytics.engagement.machine_clicks IS 'Number of other clicks.';
COMMENT ON COLUMN analytics.engagement.human_clicked_links IS 'Number of different links with a click judged human.';
COMMENT ON COLUMN analytics.engagement.last_click_at IS 'Time of the last click.';
COMMENT ON COLUMN analytics.engagement.human_opens IS 'Number of opens judged human.';
COMMENT ON COLUMN analytics.engagement.machine_opens IS 'Number of other opens.';
COMMENT ON COLUMN analytics.engagement.first_open_at IS 'Time of the first open.';
COMMENT ON COLUMN analytics.engagement.last_open_at IS 'Time of the last open.';
COMMENT ON COLUMN analytics.engagement.opened IS 'Whether the recipient has opened the letter: there is an open or a click, by a person or a machine. A click counts, because the mail client may show no images.';
COMMENT ON COLUMN analytics.engagement.human_opened IS 'Whether a person has opened the letter: an open or a click was judged human.';

CREATE VIEW analytics.campaign_totals AS
  SELECT campaign_id, kind, sum(hits)::bigint AS hits, sum(human_hits)::bigint AS human_hits,
         sum(recipients)::bigint AS recipients, sum(human_recipients)::bigint AS human_recipients
  FROM fleet.campaign_totals GROUP BY campaign_id, kind;
COMMENT ON VIEW analytics.campaign_totals IS 'Hits and recipients by campaign and kind.';
COMMENT ON COLUMN analytics.campaign_totals.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.campaign_totals.kind IS 'click or open.';
COMMENT ON COLUMN analytics.campaign_totals.hits IS 'Number of all hits.';
COMMENT ON COLUMN analytics.campaign_totals.human_hits IS 'Number of hits judged human.';
COMMENT ON COLUMN analytics.campaign_totals.recipients IS 'For click: number of recipients with a click. For open: number of recipients with an open or a click, because who clicked has opened. Each counts once.';
COMMENT ON COLUMN analytics.campaign_totals.human_recipients IS 'The same of hits judged human.';

-- The view has a row for every generation and every shard. If a shard has no ledger row of a generation that another shard knows, this
-- counts as a hole of unknown length.
CREATE VIEW analytics.completeness AS
  WITH ledger AS MATERIALIZED (SELECT * FROM fleet.ledger),
       generation AS (SELECT gen, max(greatest(size, committed_to)) AS known_to, max(size) AS size FROM ledger GROUP BY gen)
  SELECT g.gen, s.name AS shard, g.size, coalesce(l.committed_bytes, 0) AS committed_bytes, g.known_to - coalesce(l.committed_bytes, 0) AS missing_bytes,
         coalesce(l.holes, 0) + CASE WHEN coalesce(l.committed_to, 0) < g.known_to AND (l.size IS NULL) THEN 1 ELSE 0 END AS holes, l.first_at, l.last_at
  FROM generation g CROSS JOIN catalog.shard s LEFT JOIN ledger l ON l.gen = g.gen AND l.shard = s.name;
COMMENT ON VIEW analytics.completeness IS 'How much of each access log is counted, by generation and shard. While an old generation has holes, all counts are too low.';
COMMENT ON COLUMN analytics.completeness.gen IS 'The generation.';
COMMENT ON COLUMN analytics.completeness.shard IS 'The shard.';
COMMENT ON COLUMN analytics.completeness.size IS 'Length in bytes of a finished generation; null while it still grows.';
COMMENT ON COLUMN analytics.completeness.committed_bytes IS 'Number of its bytes that are accounted for on this shard.';
COMMENT ON COLUMN analytics.completeness.missing_bytes IS 'Number of bytes that are known to exist and are not accounted for on this shard yet.';
COMMENT ON COLUMN analytics.completeness.holes IS 'Number of ranges that the missing bytes form.';
COMMENT ON COLUMN analytics.completeness.first_at IS 'Time of the first commit of the generation on this shard.';
COMMENT ON COLUMN analytics.completeness.last_at IS 'Time of the last commit of the generation on this shard.';

CREATE VIEW analytics.skipped AS SELECT reason, sum(lines)::bigint AS lines FROM fleet.skipped GROUP BY reason;
COMMENT ON VIEW analytics.skipped IS 'Lines of the access log that are not hits, by reason.';
COMMENT ON COLUMN analytics.skipped.reason IS 'not-tracking (another URL), not-served (nginx answered neither with a redirect nor with the pixel), malformed-slug, or forged (the signature of the slug is invalid).';
COMMENT ON COLUMN analytics.skipped.lines IS 'Number of lines.';

CREATE VIEW analytics.dead_letters AS SELECT shard, gen, off, reason, length, hash, at FROM fleet.dead_letters;
COMMENT ON VIEW analytics.dead_letters IS 'Lines of the access log that could not be parsed. The line itself is in the log, at the offset off of the generation gen.';
COMMENT ON COLUMN analytics.dead_letters.shard IS 'The shard with this row.';
COMMENT ON COLUMN analytics.dead_letters.gen IS 'The generation.';
COMMENT ON COLUMN analytics.dead_letters.off IS 'Byte offset of the line.';
COMMENT ON COLUMN analytics.dead_letters.reason IS 'Reason why the line could not be parsed.';
COMMENT ON COLUMN analytics.dead_letters.length IS 'Length of the line in bytes.';
COMMENT ON COLUMN analytics.dead_letters.hash IS 'First 16 hex digits of the SHA-256 of the line.';
COMMENT ON COLUMN analytics.dead_letters.at IS 'Time at which this row was written.';

GRANT USAGE ON SCHEMA analytics TO clickledger_analyst;
GRANT SELECT ON ALL TABLES IN SCHEMA analytics TO clickledger_analyst;

-- Ends transactions of the analyst that run for longer than `longest`, and returns their number. If a transaction runs a query, the query
-- is cancelled. A query can catch the cancellation, so the session is ended if the transaction still runs 10 seconds later. If a
-- transaction is idle, its session is ended at once. Workers call this function repeatedly. `statement_timeout` cannot be the limit,
-- because a role may change its own `statement_timeout`. The function sees the transactions in all databases of the server.
CREATE FUNCTION catalog.end_long_queries(longest interval) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT count(CASE WHEN state = 'active' AND xact_start > clock_timestamp() - longest - interval '10 seconds' THEN pg_cancel_backend(pid) ELSE pg_terminate_backend(pid) END)
  FROM pg_stat_activity
  WHERE usename = 'clickledger_analyst' AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND xact_start < clock_timestamp() - longest
$$;
REVOKE EXECUTE ON FUNCTION catalog.end_long_queries FROM PUBLIC;
GRANT EXECUTE ON FUNCTION catalog.end_long_queries TO clickledger_worker;
