-- Site events: visits of pages of the authors' own sites, and goals there. They are stored in the same transaction as hits and their range in
-- the ledger, so each one is stored once. There are no counts of them: reports read the events.
CREATE TABLE shard.site_event (
  at           timestamptz NOT NULL,
  off          bigint NOT NULL,
  gen          uuid NOT NULL,
  rid          uuid NOT NULL,
  kind         text NOT NULL CHECK (kind IN ('visit', 'goal')),
  site_id      bigint NOT NULL,
  -- The name of the goal; '' for a visit.
  name         text NOT NULL,
  -- A random number of the browser's tab; null if a server of the author sent the event.
  session      bigint,
  -- The click that the event names: its recipient, link and campaign. 0 if it names none; the recipient is 0 for a shared link, too.
  recipient_id bigint NOT NULL,
  link_id      bigint NOT NULL,
  campaign_id  bigint NOT NULL,
  visitor      bigint,
  agent_id     bigint NOT NULL,
  rules        smallint NOT NULL,
  verdict      shard.verdict NOT NULL,
  country      text,
  net          text,
  referrer     text,
  signals      text[],
  page         text,
  value        numeric,
  currency     text,
  properties   jsonb,
  -- The number of parameters that were left out, because they were malformed, too long or too many.
  dropped      integer NOT NULL
);
CREATE INDEX site_event_by_time ON shard.site_event USING brin (at) WITH (autosummarize);
-- shard.is_visited finds a visit of a click by one look-up, however many visits of the recipient there are.
CREATE INDEX site_event_sign ON shard.site_event (recipient_id, link_id, visitor, at)
  WHERE recipient_id <> 0 AND kind = 'visit' AND session IS NOT NULL AND verdict IN ('human', 'unsure');
GRANT INSERT ON shard.site_event TO clickledger_worker;

-- The visits by which clicks may get the sign `visited`, until the judge has looked at their clicks. The judge deletes them.
CREATE TABLE shard.new_visit (
  at           timestamptz NOT NULL,
  recipient_id bigint NOT NULL,
  campaign_id  bigint NOT NULL
);
GRANT INSERT ON shard.new_visit TO clickledger_worker;

-- Deletes up to `most` new visits, and returns their number. The arrays list the recipients and campaigns whose clicks must be judged again, and
-- between which times these clicks are, in epoch milliseconds. A visit is not listed if no click of its recipient up to `visited_within` before it
-- has a sign. When a click gets its first sign later, the judge looks for visits then. The caller holds the lock of the judge.
CREATE FUNCTION shard.take_visits(most integer, visited_within interval, OUT taken bigint, OUT campaigns bigint[], OUT recipients bigint[], OUT first_times double precision[],
                                  OUT last_times double precision[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
BEGIN
  WITH gone AS (
    DELETE FROM shard.new_visit WHERE ctid = ANY (ARRAY(SELECT ctid FROM shard.new_visit LIMIT most)) RETURNING *
  ),
  reader AS (
    SELECT campaign_id, recipient_id, min(gone.at) - visited_within AS first_at, max(gone.at) AS last_at
    FROM gone CROSS JOIN LATERAL (
      -- The LIMIT forces one index look-up for each visit.
      SELECT FROM shard.event e WHERE e.recipient_id = gone.recipient_id AND e.at BETWEEN gone.at - visited_within AND gone.at AND e.signals IS NOT NULL AND e.kind = 'click' LIMIT 1
    ) AS click
    GROUP BY campaign_id, recipient_id
  )
  SELECT (SELECT count(*) FROM gone), coalesce(array_agg(campaign_id), '{}'), coalesce(array_agg(recipient_id), '{}'),
         coalesce(array_agg(extract(epoch FROM first_at)::double precision * 1000), '{}'), coalesce(array_agg(extract(epoch FROM last_at)::double precision * 1000), '{}')
  INTO taken, campaigns, recipients, first_times, last_times FROM reader;
END $$;
REVOKE EXECUTE ON FUNCTION shard.take_visits FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.take_visits TO clickledger_worker;

-- Deletes the site events of months that began more than `keep` months before the current month, and returns their number. Clicks of these
-- months are dropped by shard.drop_months.
CREATE FUNCTION shard.drop_site_events(keep integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET timezone = 'UTC' AS $$
DECLARE
  deleted bigint;
BEGIN
  IF keep < 1 THEN RAISE EXCEPTION 'keep must be at least 1 month'; END IF;
  DELETE FROM shard.site_event WHERE at < date_trunc('month', now()) - make_interval(months => keep);
  GET DIAGNOSTICS deleted = ROW_COUNT;
  RETURN deleted;
END $$;
REVOKE EXECUTE ON FUNCTION shard.drop_site_events FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.drop_site_events TO clickledger_worker;

-- All site events except those of test recipients.
CREATE VIEW shard_analytics.site_events AS
  SELECT (SELECT name FROM shard.identity) AS shard, at, kind, site_id, s.name, session, nullif(s.recipient_id, 0) AS recipient_id, nullif(link_id, 0) AS link_id,
         nullif(campaign_id, 0) AS campaign_id, visitor, country, net, referrer, client, system, device, verdict::text AS verdict,
         coalesce(signals, '{}') AS signals, rules, page, value, currency, properties, dropped, rid AS request_id, gen, off
  FROM shard.site_event s LEFT JOIN shard.user_agent ON user_agent.id = agent_id
  WHERE s.recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test);

-- The goals, each with the last human or unsure click of its recipient before it. All clicks of a recipient are on one shard. Each query finds
-- the clicks anew, so late clicks, late goals and changed verdicts need no correction. If no such click is stored, e.g. because its month was
-- dropped, the goal has the link that it names, and `click_at` is null.
CREATE VIEW shard_analytics.goals AS
  SELECT g.*, click.at AS click_at, click.verdict::text AS click_verdict, coalesce(click.link_id, g.link_id) AS click_link_id, coalesce(click.campaign_id, g.campaign_id) AS click_campaign_id
  FROM shard_analytics.site_events g LEFT JOIN LATERAL (
    SELECT e.at, e.verdict, e.link_id, e.campaign_id FROM shard.event e
    WHERE e.recipient_id = g.recipient_id AND e.kind = 'click' AND e.verdict IN ('human', 'unsure') AND e.at <= g.at
    ORDER BY e.at DESC, e.gen DESC, e.off DESC LIMIT 1
  ) AS click ON true
  WHERE g.kind = 'goal';

GRANT SELECT ON shard_analytics.site_events, shard_analytics.goals TO clickledger_analyst;

-- The views of the audit, with site events.
CREATE OR REPLACE VIEW shard.place AS
  SELECT gen, off FROM shard.event UNION ALL SELECT gen, off FROM shard.unsubscribe UNION ALL SELECT gen, off FROM shard.site_event
  UNION ALL SELECT gen, off FROM shard.dead_letter;
CREATE OR REPLACE VIEW shard_analytics.counts AS
  SELECT gen, kind::text AS what, count(*) AS lines FROM shard.event GROUP BY gen, kind
  UNION ALL SELECT gen, 'unsubscribe', count(*) FROM shard.unsubscribe GROUP BY gen
  UNION ALL SELECT gen, kind, count(*) FROM shard.site_event GROUP BY gen, kind
  UNION ALL SELECT gen, 'dead ' || reason, count(*) FROM shard.dead_letter GROUP BY gen, reason
  UNION ALL SELECT gen, 'skipped ' || reason, sum(lines)::bigint FROM shard.skipped GROUP BY gen, reason;
