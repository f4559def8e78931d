-- Adds the hits of a partition that are older than `oldest` to shard.past_hits, without those of test recipients.
CREATE FUNCTION shard.keep_past(partition regclass, oldest timestamptz) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  EXECUTE format('INSERT INTO shard.thinned_campaign SELECT DISTINCT campaign_id FROM %s WHERE at < %L ON CONFLICT DO NOTHING', partition, oldest);
  EXECUTE format(
    $sql$INSERT INTO shard.past_hits AS p (recipient_id, campaign_id, link_id, kind, human_hits, machine_hits, first_at, last_at)
    SELECT recipient_id, campaign_id, CASE kind WHEN 'click' THEN link_id ELSE 0 END AS link, kind, count(*) FILTER (WHERE verdict = 'human'), count(*) FILTER (WHERE verdict <> 'human'), min(at), max(at)
    FROM %s WHERE at < %L AND recipient_id <> 0 AND recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test) GROUP BY recipient_id, campaign_id, link, kind
    ON CONFLICT (recipient_id, campaign_id, link_id, kind) DO UPDATE SET
      human_hits = p.human_hits + excluded.human_hits, machine_hits = p.machine_hits + excluded.machine_hits,
      first_at = least(p.first_at, excluded.first_at), last_at = greatest(p.last_at, excluded.last_at)$sql$, partition, oldest);
END $$;
REVOKE EXECUTE ON FUNCTION shard.keep_past FROM PUBLIC;

-- Drops the partitions of months that began more than `keep` months before the current month, and returns their names. Their counts stay in
-- shard.people, shard.activity_15m and shard.past_hits, so it drops nothing while hits of these months wait for the judge. It waits at most 200 ms for readers; the caller tries again later.
CREATE FUNCTION shard.drop_months(keep integer) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '200ms' SET timezone = 'UTC' AS $$
DECLARE
  oldest timestamptz := date_trunc('month', now()) - make_interval(months => keep);
  partition text;
BEGIN
  IF keep < 1 THEN RAISE EXCEPTION 'keep must be at least 1 month'; END IF;
  IF NOT pg_try_advisory_xact_lock(hashtext('clickledger.judge')) THEN RETURN; END IF;
  IF EXISTS (SELECT FROM shard.delta CROSS JOIN LATERAL unnest(times) AS t WHERE to_timestamp(t::double precision / 1000) < oldest) THEN RETURN; END IF;
  IF EXISTS (SELECT FROM shard.event_default WHERE at < oldest) THEN
    PERFORM shard.keep_past('shard.event_default', oldest);
    DELETE FROM shard.event_default WHERE at < oldest;
  END IF;
  FOR partition IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'shard.event'::regclass AND c.relname ~ '^event_[0-9]{4}_[0-9]{2}$' AND to_date(c.relname, '"event_"YYYY_MM')::timestamptz < oldest
  LOOP
    PERFORM shard.keep_past(format('shard.%I', partition)::regclass, oldest);
    EXECUTE format('DROP TABLE shard.%I', partition);
    RETURN NEXT partition;
  END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION shard.drop_months FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.drop_months TO clickledger_worker;

-- Stores which recipients are test recipients or forgotten, as the catalog says. The hits of a new test recipient are taken out of the counts
-- and sets, and put back when the recipient is no longer one, as far as their events are kept.
CREATE FUNCTION shard.tell(ids bigint[], tests boolean[], tombstones boolean[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('clickledger.judge'));
  -- The hits that are merged: those of all events without those in deltas.
  INSERT INTO shard.hit_change (sign, at, recipient_id, link_id, campaign_id, kind, verdict, country, net, referrer, agent_id)
  WITH turned AS (
    SELECT input.recipient_id, CASE WHEN input.is_test THEN -1 ELSE 1 END AS sign
    FROM unnest(ids, tests) AS input (recipient_id, is_test) LEFT JOIN shard.recipient known USING (recipient_id)
    WHERE input.is_test <> coalesce(known.is_test, false)
  )
  SELECT turned.sign, e.at, e.recipient_id, e.link_id, e.campaign_id, e.kind, e.verdict, e.country, e.net, e.referrer, e.agent_id
  FROM turned JOIN shard.event e USING (recipient_id)
  UNION ALL
  SELECT -turned.sign, h.at, recipient_id, h.link_id, h.campaign_id, h.kind, h.verdict, h.country, h.net, h.referrer, h.agent_id
  FROM turned JOIN shard.any_delta_hit h USING (recipient_id);
  INSERT INTO shard.recipient AS known (recipient_id, is_test, forgotten) SELECT * FROM unnest(ids, tests, tombstones)
  ON CONFLICT (recipient_id) DO UPDATE SET is_test = excluded.is_test, forgotten = known.forgotten OR excluded.forgotten;
  PERFORM shard.apply_changes();
END $$;
REVOKE EXECUTE ON FUNCTION shard.tell FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.tell TO clickledger_author;
REVOKE INSERT, UPDATE ON shard.recipient FROM clickledger_author;
