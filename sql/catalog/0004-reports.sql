-- The views that reports read, over all shards. The views of each shard are in sql/shard/0007-reports.sql.
CREATE TABLE fleet.link_totals (
  shard text, campaign_id bigint, link_id bigint, hits bigint, human_hits bigint, recipients bigint, human_recipients bigint
) PARTITION BY LIST (shard);
CREATE TABLE fleet.visitors (
  shard text, campaign_id bigint, link_id bigint, day date, kind text, visitors bigint, human_visitors bigint
) PARTITION BY LIST (shard);
CREATE TABLE fleet.passed_on (shard text, campaign_id bigint, link_id bigint, recipient_id bigint, day date, visitors bigint) PARTITION BY LIST (shard);
CREATE TABLE fleet.first_human (shard text, campaign_id bigint, recipient_id bigint, kind text, first_human_at timestamptz) PARTITION BY LIST (shard);
CREATE TABLE fleet.openers (shard text, campaign_id bigint, is_human boolean, recipient_ids bigint[]) PARTITION BY LIST (shard);
CREATE TABLE fleet.facets (
  shard text, campaign_id bigint, kind text, facet text, value text, hits bigint, human_hits bigint, recipients bigint, human_recipients bigint
) PARTITION BY LIST (shard);

-- All events of a recipient are on one shard, and so are all events of a shared link. So the counts of recipients and visitors add up
-- exactly.
CREATE VIEW analytics.link_totals AS
  SELECT campaign_id, link_id, sum(hits)::bigint AS hits, sum(human_hits)::bigint AS human_hits, sum(recipients)::bigint AS recipients,
         sum(human_recipients)::bigint AS human_recipients
  FROM fleet.link_totals GROUP BY campaign_id, link_id;
COMMENT ON VIEW analytics.link_totals IS 'Clicks and recipients by link.';
COMMENT ON COLUMN analytics.link_totals.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.link_totals.link_id IS 'The link.';
COMMENT ON COLUMN analytics.link_totals.hits IS 'Number of all clicks.';
COMMENT ON COLUMN analytics.link_totals.human_hits IS 'Number of clicks judged human.';
COMMENT ON COLUMN analytics.link_totals.recipients IS 'Number of recipients with a click; each counts once.';
COMMENT ON COLUMN analytics.link_totals.human_recipients IS 'Number of recipients with a click judged human.';

CREATE VIEW analytics.visitors AS SELECT campaign_id, link_id, day, kind, visitors, human_visitors FROM fleet.visitors;
COMMENT ON VIEW analytics.visitors IS 'Visitors of shared links by day (UTC). A visitor is a network address and a browser on one day, so the sum over days is not a number of people.';
COMMENT ON COLUMN analytics.visitors.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.visitors.link_id IS 'The link.';
COMMENT ON COLUMN analytics.visitors.day IS 'The day, in UTC.';
COMMENT ON COLUMN analytics.visitors.kind IS 'click or open.';
COMMENT ON COLUMN analytics.visitors.visitors IS 'Number of visitors.';
COMMENT ON COLUMN analytics.visitors.human_visitors IS 'Number of visitors with a hit judged human.';

CREATE VIEW analytics.passed_on AS SELECT campaign_id, link_id, recipient_id, day, visitors FROM fleet.passed_on;
COMMENT ON VIEW analytics.passed_on IS 'Links of a recipient that more than one visitor clicked on one day (UTC): the letter was forwarded, or read on several devices.';
COMMENT ON COLUMN analytics.passed_on.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.passed_on.link_id IS 'The link.';
COMMENT ON COLUMN analytics.passed_on.recipient_id IS 'The recipient whose link it is.';
COMMENT ON COLUMN analytics.passed_on.day IS 'The day, in UTC.';
COMMENT ON COLUMN analytics.passed_on.visitors IS 'Number of visitors with a click judged human.';

CREATE VIEW analytics.first_human AS SELECT campaign_id, recipient_id, kind, first_human_at FROM fleet.first_human;
COMMENT ON VIEW analytics.first_human IS 'Time of the first click and the first open of each recipient that were judged human.';
COMMENT ON COLUMN analytics.first_human.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.first_human.recipient_id IS 'The recipient.';
COMMENT ON COLUMN analytics.first_human.kind IS 'click or open.';
COMMENT ON COLUMN analytics.first_human.first_human_at IS 'Time of the first hit judged human.';

CREATE VIEW analytics.openers AS SELECT campaign_id, unnest(recipient_ids) AS recipient_id, is_human FROM fleet.openers;
COMMENT ON VIEW analytics.openers IS 'Recipients who opened a letter. For a query over all recipients it is faster than analytics.engagement.';
COMMENT ON COLUMN analytics.openers.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.openers.recipient_id IS 'The recipient.';
COMMENT ON COLUMN analytics.openers.is_human IS 'True if an open was judged human, false if all opens were by machines.';

CREATE VIEW analytics.facets AS
  SELECT campaign_id, kind, facet, value, sum(hits)::bigint AS hits, sum(human_hits)::bigint AS human_hits, sum(recipients)::bigint AS recipients,
         sum(human_recipients)::bigint AS human_recipients
  FROM fleet.facets GROUP BY campaign_id, kind, facet, value;
COMMENT ON VIEW analytics.facets IS 'Hits and recipients of a campaign by one property of its hits. Select one facet in a query: each facet reads all events.';
COMMENT ON COLUMN analytics.facets.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.facets.kind IS 'click or open.';
COMMENT ON COLUMN analytics.facets.facet IS 'country, referrer, network, verdict, client, system or device.';
COMMENT ON COLUMN analytics.facets.value IS 'Value of the facet; null if unknown.';
COMMENT ON COLUMN analytics.facets.hits IS 'Number of all hits.';
COMMENT ON COLUMN analytics.facets.human_hits IS 'Number of hits judged human.';
COMMENT ON COLUMN analytics.facets.recipients IS 'Number of recipients with such a hit; each counts once.';
COMMENT ON COLUMN analytics.facets.human_recipients IS 'Number of recipients with such a hit judged human.';

CREATE VIEW analytics.mailings AS
  SELECT m.campaign_id, m.recipient_id, m.prepared_at FROM catalog.mailing m JOIN catalog.recipient r ON r.id = m.recipient_id WHERE NOT r.is_test;
COMMENT ON VIEW analytics.mailings IS 'Recipients for whom mail was prepared, by campaign, without test recipients.';
COMMENT ON COLUMN analytics.mailings.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.mailings.recipient_id IS 'The recipient.';
COMMENT ON COLUMN analytics.mailings.prepared_at IS 'Time at which the mail was first prepared.';

COMMENT ON COLUMN analytics.events.verdict IS 'human, or the sign of a machine: head, prefetch, privacy-proxy, scanner-net, bot-ua, burst.';
COMMENT ON COLUMN analytics.events.signals IS 'All signs that were found, not only the one that decided the verdict. proxied is not a sign of a machine.';

GRANT SELECT ON analytics.link_totals, analytics.visitors, analytics.passed_on, analytics.first_human, analytics.openers,
  analytics.facets, analytics.mailings TO clickledger_analyst;

CREATE TABLE fleet.human_clicks (shard text, campaign_id bigint, link_id bigint, recipient_id bigint, quarter timestamptz, hits bigint) PARTITION BY LIST (shard);
CREATE TABLE fleet.machine_traffic (
  shard text, campaign_id bigint, kind text, verdict text, network text, hits bigint, recipients bigint
) PARTITION BY LIST (shard);

CREATE VIEW analytics.human_clicks AS SELECT campaign_id, link_id, recipient_id, quarter, hits FROM fleet.human_clicks;
COMMENT ON VIEW analytics.human_clicks IS 'Clicks of recipients that were judged human, by quarter of an hour. Select one campaign or a few links in a query, because the view reads events.';
COMMENT ON COLUMN analytics.human_clicks.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.human_clicks.link_id IS 'The link.';
COMMENT ON COLUMN analytics.human_clicks.recipient_id IS 'The recipient.';
COMMENT ON COLUMN analytics.human_clicks.quarter IS 'Start of the quarter of an hour.';
COMMENT ON COLUMN analytics.human_clicks.hits IS 'Number of clicks.';

CREATE VIEW analytics.machine_traffic AS
  SELECT campaign_id, kind, verdict, network, sum(hits)::bigint AS hits, sum(recipients)::bigint AS recipients
  FROM fleet.machine_traffic GROUP BY campaign_id, kind, verdict, network;
COMMENT ON VIEW analytics.machine_traffic IS 'Hits of machines, by verdict and network.';
COMMENT ON COLUMN analytics.machine_traffic.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.machine_traffic.kind IS 'click or open.';
COMMENT ON COLUMN analytics.machine_traffic.verdict IS 'head, prefetch, privacy-proxy, scanner-net, bot-ua or burst.';
COMMENT ON COLUMN analytics.machine_traffic.network IS 'Label of a known network; null if the network is not known.';
COMMENT ON COLUMN analytics.machine_traffic.hits IS 'Number of hits.';
COMMENT ON COLUMN analytics.machine_traffic.recipients IS 'Number of recipients whose links were fetched.';

GRANT SELECT ON analytics.human_clicks, analytics.machine_traffic TO clickledger_analyst;
