-- The feed: what a subscription reads of this shard. A subscription has a ledger of its own, with the byte ranges that were delivered. What is to be
-- delivered is what is in shard.ledger and not in that ledger. So the events of a range must be found quickly.

-- A hash of the generation in place of the generation itself halves the size of this index, and costs a commit no more: Postgres fills the pages of an
-- index with two keys of 8 bytes completely, although the ranges of several generations arrive in turns (bench/README.md).
CREATE INDEX event_by_place ON shard.event (uuid_hash_extended(gen, 0), off);
CREATE INDEX unsubscribe_by_place ON shard.unsubscribe (gen, off);
CREATE INDEX site_event_by_place ON shard.site_event (gen, off);

-- The hits whose verdict changed after their commit, in the order of the changes: only the judge adds rows, and it holds its lock. Workers
-- delete old rows.
CREATE TABLE shard.verdict_change (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  gen        uuid NOT NULL,
  off        bigint NOT NULL,
  was        shard.verdict NOT NULL,
  becomes    shard.verdict NOT NULL
);
CREATE INDEX verdict_change_by_time ON shard.verdict_change (changed_at);

-- One event as subscriptions read it. A hit has no `site`. `site` has the further columns of a visit or goal.
CREATE TYPE shard.feed_event AS (
  gen uuid, off bigint, kind text, at double precision, campaign_id bigint, link_id bigint, link_version integer, recipient_id bigint, visitor text,
  country text, net text, referrer text, client text, client_version text, system text, device text, verdict text, signals text, rules integer,
  request_id uuid, site jsonb
);

-- The events of some ranges of generations, by generation and offset, without those of test recipients. The arrays of ranges have one element for each
-- range. `wanted_campaigns` is null for all campaigns. Times are in epoch milliseconds.
--
-- The planner's statistics may be out of date, so the settings force index lookups.
CREATE FUNCTION shard.read_events(gens uuid[], froms bigint[], tos bigint[], wanted_kinds text[], wanted_campaigns bigint[], since timestamptz)
RETURNS SETOF shard.feed_event
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
BEGIN
  IF 'click' = ANY (wanted_kinds) OR 'open' = ANY (wanted_kinds) THEN
    RETURN QUERY
    SELECT e.gen, e.off, e.kind::text, extract(epoch FROM e.at)::double precision * 1000, e.campaign_id, e.link_id, e.link_version, nullif(e.recipient_id, 0), e.visitor::text,
           e.country, e.net, e.referrer, a.client, a.version, a.system, a.device, e.verdict::text, array_to_string(e.signals, ','), e.rules::integer, e.rid, NULL::jsonb
    FROM unnest(gens, froms, tos) AS r (gen, from_off, to_off) CROSS JOIN LATERAL (
      SELECT * FROM shard.event e
      WHERE uuid_hash_extended(e.gen, 0) = uuid_hash_extended(r.gen, 0) AND e.gen = r.gen AND e.off >= r.from_off AND e.off < r.to_off
        AND e.kind::text = ANY (wanted_kinds) AND (wanted_campaigns IS NULL OR e.campaign_id = ANY (wanted_campaigns)) AND (since IS NULL OR e.at >= since)
        AND NOT EXISTS (SELECT FROM shard.recipient t WHERE t.recipient_id = e.recipient_id AND t.is_test)
      ORDER BY e.off
    ) AS e LEFT JOIN shard.user_agent a ON a.id = e.agent_id;
  END IF;
  IF 'unsubscribe' = ANY (wanted_kinds) THEN
    RETURN QUERY
    SELECT u.gen, u.off, 'unsubscribe', extract(epoch FROM u.at)::double precision * 1000, u.campaign_id, u.link_id, NULL::integer, nullif(u.recipient_id, 0), NULL, NULL, NULL, NULL, NULL, NULL,
           NULL, NULL, NULL, NULL, NULL::integer, u.rid, NULL::jsonb
    FROM unnest(gens, froms, tos) AS r (gen, from_off, to_off) JOIN shard.unsubscribe u ON u.gen = r.gen AND u.off >= r.from_off AND u.off < r.to_off
    WHERE (wanted_campaigns IS NULL OR u.campaign_id = ANY (wanted_campaigns)) AND (since IS NULL OR u.at >= since)
      AND NOT EXISTS (SELECT FROM shard.recipient t WHERE t.recipient_id = u.recipient_id AND t.is_test);
  END IF;
  IF 'visit' = ANY (wanted_kinds) OR 'goal' = ANY (wanted_kinds) THEN
    RETURN QUERY
    SELECT s.gen, s.off, s.kind, extract(epoch FROM s.at)::double precision * 1000, nullif(s.campaign_id, 0), nullif(s.link_id, 0), NULL::integer, nullif(s.recipient_id, 0), s.visitor::text,
           s.country, s.net, s.referrer, a.client, NULL, a.system, a.device, s.verdict::text, array_to_string(s.signals, ','), s.rules::integer, s.rid,
           jsonb_build_object('site_id', s.site_id, 'name', s.name, 'session', s.session::text, 'page', s.page, 'value', s.value, 'currency', s.currency,
                              'properties', s.properties, 'dropped', s.dropped)
    FROM unnest(gens, froms, tos) AS r (gen, from_off, to_off) JOIN shard.site_event s ON s.gen = r.gen AND s.off >= r.from_off AND s.off < r.to_off
    LEFT JOIN shard.user_agent a ON a.id = s.agent_id
    WHERE s.kind = ANY (wanted_kinds) AND (wanted_campaigns IS NULL OR s.campaign_id = ANY (wanted_campaigns)) AND (since IS NULL OR s.at >= since)
      AND NOT EXISTS (SELECT FROM shard.recipient t WHERE t.recipient_id = s.recipient_id AND t.is_test);
  END IF;
END $$;
REVOKE EXECUTE ON FUNCTION shard.read_events FROM PUBLIC;

-- Up to `most` changes of verdicts after the position (after_id, after_at): the id and the time of the last change that was read.
-- A shard that was restored from a backup gives the same ids again to other changes. These changes have ids up to after_id, but later times than after_at.
-- The second SELECT finds them by their time. It searches only if the change with the highest id up to after_id is later than after_at. Without this
-- condition, a reader that is far behind would read all changes in each call.
CREATE FUNCTION shard.read_changes(after_id bigint, after_at timestamptz, most integer)
RETURNS TABLE (id bigint, changed_at timestamptz, was text, becomes text, gen uuid, off bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT c.id, c.changed_at, c.was::text, c.becomes::text, c.gen, c.off
  FROM ((SELECT * FROM shard.verdict_change n WHERE n.id > after_id ORDER BY n.id LIMIT most)
        UNION ALL
        (SELECT * FROM shard.verdict_change n
         WHERE n.id <= after_id AND n.changed_at > after_at
           AND (SELECT l.changed_at FROM shard.verdict_change l WHERE l.id <= after_id ORDER BY l.id DESC LIMIT 1) > after_at
         ORDER BY n.id LIMIT most)) AS c
  ORDER BY c.id LIMIT most
$$;
REVOKE EXECUTE ON FUNCTION shard.read_changes FROM PUBLIC;

-- The position after all changes so far.
CREATE FUNCTION shard.last_change(OUT id bigint, OUT changed_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT coalesce((SELECT c.id FROM shard.verdict_change c ORDER BY c.id DESC LIMIT 1), 0),
         coalesce((SELECT c.changed_at FROM shard.verdict_change c ORDER BY c.id DESC LIMIT 1), '-infinity')
$$;
REVOKE EXECUTE ON FUNCTION shard.last_change FROM PUBLIC;

-- The ledger of the generations that changed since a time, with the newest and the oldest delta at the same moment. The deltas tell up to which delta the
-- judge has looked at the hits. If no generation changed, there is one row without a generation.
CREATE FUNCTION shard.feed_state(since timestamptz, OUT now timestamptz, OUT newest_delta bigint, OUT oldest_delta bigint, OUT gen uuid, OUT committed text)
RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT now(), d.newest, d.oldest, l.gen, l.committed::text
  FROM (SELECT max(id) AS newest, min(id) AS oldest FROM shard.delta) AS d LEFT JOIN shard.ledger l ON l.last_at >= since
$$;
REVOKE EXECUTE ON FUNCTION shard.feed_state FROM PUBLIC;

-- Deletes the changes of verdicts that are older than `keep`.
CREATE FUNCTION shard.drop_changes(keep interval) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  DELETE FROM shard.verdict_change WHERE changed_at < now() - keep
$$;
REVOKE EXECUTE ON FUNCTION shard.drop_changes FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.drop_changes TO clickledger_worker;

-- The committed ranges of some generations.
CREATE FUNCTION shard.read_ledger(gens uuid[]) RETURNS TABLE (gen uuid, committed text, now timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT l.gen, l.committed::text, now() FROM shard.ledger l WHERE l.gen = ANY (gens)
$$;
REVOKE EXECUTE ON FUNCTION shard.read_ledger FROM PUBLIC;

-- Analysts use them for exports and the HTTP API. They show nothing that the views of the schema analytics do not show.
GRANT USAGE ON SCHEMA shard TO clickledger_forwarder, clickledger_analyst;
GRANT EXECUTE ON FUNCTION shard.read_events, shard.read_changes, shard.last_change, shard.feed_state, shard.read_ledger TO clickledger_forwarder, clickledger_analyst;
