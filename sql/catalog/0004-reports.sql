-- The views over all shards that reports read. The views of each shard are in sql/shard/0007-reports.sql.
CREATE TABLE fleet.link_totals (
  shard text, campaign_id bigint, link_id bigint, hits bigint, human_hits bigint, recipients bigint, human_recipients bigint
) PARTITION BY LIST (shard);
CREATE TABLE fleet.visitors (
  shard text, campaign_id bigint, link_id bigint, day date, kind text, visitors bigint, human_visitors bigint
) PARTITION BY LIST (shard);
CREATE TABLE fleet.passed_on (shard text, campaign_id bigint, link_id bigint, recipient_id bigint, day date, visitors bigint) PARTITION BY LIST (shard);
CREATE TABLE fleet.first_human (shard text, campaign_id bigint, recipient_id bigint, kind text, first_human_at timestamptz) PARTITION BY LIST (shard);
CREATE TABLE fleet.hits_by_day (shard text, campaign_id bigint, day date, kind text, hits bigint, human_hits bigint) PARTITION BY LIST (shard);
CREATE TABLE fleet.first_hits (shard text, campaign_id bigint, first_at timestamptz) PARTITION BY LIST (shard);
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

CREATE VIEW analytics.hits_by_day AS
  SELECT campaign_id, day, kind, sum(hits)::bigint AS hits, sum(human_hits)::bigint AS human_hits FROM fleet.hits_by_day GROUP BY campaign_id, day, kind;
COMMENT ON VIEW analytics.hits_by_day IS 'Hits by campaign, day (UTC) and kind. It reads no events, so it is fast however many there are.';
COMMENT ON COLUMN analytics.hits_by_day.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.hits_by_day.day IS 'The day, in UTC.';
COMMENT ON COLUMN analytics.hits_by_day.kind IS 'click or open.';
COMMENT ON COLUMN analytics.hits_by_day.hits IS 'Number of all hits.';
COMMENT ON COLUMN analytics.hits_by_day.human_hits IS 'Number of hits judged human.';

CREATE VIEW analytics.first_hits AS SELECT campaign_id, min(first_at) AS first_at FROM fleet.first_hits GROUP BY campaign_id;
COMMENT ON VIEW analytics.first_hits IS 'Time of the first hit of a recipient in each campaign, by a person or a machine. Without hits a campaign has no row.';
COMMENT ON COLUMN analytics.first_hits.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.first_hits.first_at IS 'Time of the first open or click.';

CREATE VIEW analytics.openers AS SELECT campaign_id, unnest(recipient_ids) AS recipient_id, is_human FROM fleet.openers;
COMMENT ON VIEW analytics.openers IS 'Recipients who opened a letter, which is an open or a click. For a query over all recipients it is faster than analytics.engagement.';
COMMENT ON COLUMN analytics.openers.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.openers.recipient_id IS 'The recipient.';
COMMENT ON COLUMN analytics.openers.is_human IS 'True if an open or a click was judged human, false if all were by machines.';

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
  SELECT m.campaign_id, m.recipient_id, m.prepared_at, coalesce(r.opted_out_at > m.prepared_at, true) AS is_tracked
  FROM catalog.mailing m JOIN catalog.recipient r ON r.id = m.recipient_id WHERE NOT r.is_test;
COMMENT ON VIEW analytics.mailings IS 'Recipients for whom mail was prepared, by campaign, without test recipients.';
COMMENT ON COLUMN analytics.mailings.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.mailings.recipient_id IS 'The recipient.';
COMMENT ON COLUMN analytics.mailings.prepared_at IS 'Time at which the mail was first prepared.';
COMMENT ON COLUMN analytics.mailings.is_tracked IS 'False if the recipient had opted out before, so that the letter has no tracked links and no pixel.';

-- A filter by campaign_id is applied to both branches of the UNION, so the shards read only the rows of that campaign.
CREATE VIEW analytics.campaign_rates AS
  SELECT campaign_id, prepared_for, opens, human_opens, clicks, human_clicks, opened, human_opened, clicked, human_clicked,
         round(100.0 * opened / base, 2)::float8 AS open_percent, round(100.0 * human_opened / base, 2)::float8 AS human_open_percent,
         round(100.0 * clicked / base, 2)::float8 AS click_percent, round(100.0 * human_clicked / base, 2)::float8 AS human_click_percent,
         round(100.0 * clicked / nullif(opened, 0), 2)::float8 AS click_to_open_percent,
         round(100.0 * human_clicked / nullif(human_opened, 0), 2)::float8 AS human_click_to_open_percent
  FROM (
    SELECT *, CASE WHEN prepared_for > 0 THEN greatest(prepared_for, opened) END AS base
    FROM (
      SELECT campaign_id, coalesce(max(prepared_for), 0) AS prepared_for,
             coalesce(max(hits) FILTER (WHERE kind = 'open'), 0) AS opens, coalesce(max(human_hits) FILTER (WHERE kind = 'open'), 0) AS human_opens,
             coalesce(max(hits) FILTER (WHERE kind = 'click'), 0) AS clicks, coalesce(max(human_hits) FILTER (WHERE kind = 'click'), 0) AS human_clicks,
             coalesce(max(recipients) FILTER (WHERE kind = 'open'), 0) AS opened, coalesce(max(human_recipients) FILTER (WHERE kind = 'open'), 0) AS human_opened,
             coalesce(max(recipients) FILTER (WHERE kind = 'click'), 0) AS clicked, coalesce(max(human_recipients) FILTER (WHERE kind = 'click'), 0) AS human_clicked
      FROM (
        SELECT campaign_id, prepared_for, NULL AS kind, NULL::bigint AS hits, NULL::bigint AS human_hits, NULL::bigint AS recipients, NULL::bigint AS human_recipients
        FROM analytics.campaigns
        UNION ALL
        SELECT campaign_id, NULL, kind, hits, human_hits, recipients, human_recipients FROM analytics.campaign_totals
      ) AS both_of_them GROUP BY campaign_id
    ) AS counted
  ) AS with_base;
COMMENT ON VIEW analytics.campaign_rates IS 'How many recipients opened and clicked, and the rates, by campaign. A recipient who clicked has opened, even if no image was loaded. So no rate exceeds 100 %. All reports and pages read their rates here.';
COMMENT ON COLUMN analytics.campaign_rates.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.campaign_rates.prepared_for IS 'Number of recipients for whom a tracked letter was prepared; see campaigns.';
COMMENT ON COLUMN analytics.campaign_rates.opens IS 'Number of all opens. These are hits: a person who opens twice counts twice.';
COMMENT ON COLUMN analytics.campaign_rates.human_opens IS 'Number of opens judged human.';
COMMENT ON COLUMN analytics.campaign_rates.clicks IS 'Number of all clicks.';
COMMENT ON COLUMN analytics.campaign_rates.human_clicks IS 'Number of clicks judged human.';
COMMENT ON COLUMN analytics.campaign_rates.opened IS 'Number of recipients with an open or a click; each counts once.';
COMMENT ON COLUMN analytics.campaign_rates.human_opened IS 'Number of recipients with an open or a click judged human.';
COMMENT ON COLUMN analytics.campaign_rates.clicked IS 'Number of recipients with a click.';
COMMENT ON COLUMN analytics.campaign_rates.human_clicked IS 'Number of recipients with a click judged human.';
COMMENT ON COLUMN analytics.campaign_rates.open_percent IS 'opened as a share of prepared_for, or of opened if that is more (e.g. an author made links for single people, too). Null if nothing was prepared.';
COMMENT ON COLUMN analytics.campaign_rates.human_open_percent IS 'human_opened as a share of the same.';
COMMENT ON COLUMN analytics.campaign_rates.click_percent IS 'clicked as a share of the same.';
COMMENT ON COLUMN analytics.campaign_rates.human_click_percent IS 'human_clicked as a share of the same.';
COMMENT ON COLUMN analytics.campaign_rates.click_to_open_percent IS 'clicked as a share of opened. Null if nobody opened.';
COMMENT ON COLUMN analytics.campaign_rates.human_click_to_open_percent IS 'human_clicked as a share of human_opened. Null if no person opened.';

COMMENT ON COLUMN analytics.events.verdict IS 'human, or the sign of a machine: head, prefetch, privacy-proxy, scanner-net, bot-ua, burst.';
COMMENT ON COLUMN analytics.events.signals IS 'All signs that were found, not only the one that decided the verdict. proxied is not a sign of a machine.';

GRANT SELECT ON analytics.link_totals, analytics.visitors, analytics.passed_on, analytics.first_human, analytics.hits_by_day, analytics.first_hits,
  analytics.openers, analytics.facets, analytics.mailings, analytics.campaign_rates TO clickledger_analyst;

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
