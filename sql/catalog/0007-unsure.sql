-- Verdicts follow from the sum of the weights of all signs, and a hit may be unsure.

-- A honeypot is a hidden link of a letter. Workers read the kind of a link and the time of sending, because signs depend on them.
ALTER TABLE catalog.link DROP CONSTRAINT link_kind_check, ADD CONSTRAINT link_kind_check CHECK (kind IN ('url', 'pixel', 'honeypot'));
GRANT SELECT (kind) ON catalog.link TO clickledger_worker;
GRANT SELECT (id, sent_at) ON catalog.campaign TO clickledger_worker;
COMMENT ON COLUMN analytics.links.kind IS 'url, pixel, or honeypot (the hidden link of a letter, which only machines follow).';

COMMENT ON COLUMN analytics.events.verdict IS 'human, unsure, or the first sign of a machine, e.g. head, bot-ua or burst.';
COMMENT ON COLUMN analytics.events.signals IS 'All signs that were found. The sum of their weights decides the verdict. proxied is a sign of a person.';
COMMENT ON COLUMN analytics.events.net IS 'Label of the network, if it is listed (hosting provider, proxy, mail service or scanner); otherwise null.';
COMMENT ON COLUMN analytics.activity_15m.verdict IS 'human, unsure, or the sign of a machine; see events.';
COMMENT ON VIEW analytics.facets IS 'Hits and recipients of a campaign by one property of its hits. Select one facet in a query.';
COMMENT ON COLUMN analytics.openers.is_human IS 'True if an open or a click was judged human, otherwise false.';
COMMENT ON VIEW analytics.machine_traffic IS 'Hits that were not judged human, by verdict and network.';
COMMENT ON COLUMN analytics.machine_traffic.verdict IS 'unsure, or the sign of the machine; see events.';

-- With the setting clickledger.count_unsure, the rates count recipients with an unsure hit as people. The number of human hits stays the same.
CREATE TABLE fleet.likely_totals (shard text, campaign_id bigint, kind text, recipients bigint) PARTITION BY LIST (shard);
CREATE OR REPLACE VIEW analytics.campaign_rates AS
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
        UNION ALL
        -- Each of these numbers is at least as great as the one without unsure hits, so the maximum above is this one.
        SELECT campaign_id, NULL, kind, NULL, NULL, NULL, sum(recipients)::bigint FROM fleet.likely_totals
        WHERE coalesce(nullif(current_setting('clickledger.count_unsure', true), ''), 'off')::boolean GROUP BY campaign_id, kind
      ) AS both_of_them GROUP BY campaign_id
    ) AS counted
  ) AS with_base;
COMMENT ON VIEW analytics.campaign_rates IS 'How many recipients opened and clicked, and the rates, by campaign. A recipient who clicked has opened, even if no image was loaded. So no rate exceeds 100 %. All reports and pages read their rates here. After SET clickledger.count_unsure = on, recipients with an unsure hit count as human in this view.';
COMMENT ON COLUMN analytics.campaign_rates.human_opened IS 'Number of recipients with an open or a click judged human. With clickledger.count_unsure also those with an unsure one.';
COMMENT ON COLUMN analytics.campaign_rates.human_clicked IS 'Number of recipients with a click judged human. With clickledger.count_unsure also those with an unsure one.';
