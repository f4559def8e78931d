-- The events of one shard, and the ledger. The ledger has the byte ranges of the logs whose events are all stored in this database.
CREATE SCHEMA shard;

-- The name of this shard and the fingerprint of its shard list. A worker that expects another name or list does not write to this database.
CREATE TABLE shard.identity (
  one    boolean PRIMARY KEY DEFAULT true CHECK (one),
  name   text NOT NULL,
  shards text NOT NULL
);

-- One row for each generation: the byte ranges whose lines are accounted for in this database, and the length of the generation in bytes
-- when it is final. Events and their ranges are committed in one transaction. Rows are never deleted, because the ledger prevents that
-- events are counted twice. The events have no unique index for this.
CREATE TABLE shard.ledger (
  gen        uuid PRIMARY KEY,
  committed  int8multirange NOT NULL,
  size       bigint,
  first_at   timestamptz NOT NULL DEFAULT now(),
  last_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TYPE shard.kind AS ENUM ('click', 'open');
CREATE TYPE shard.verdict AS ENUM ('human', 'head', 'prefetch', 'bot-ua');

CREATE TABLE shard.event (
  at           timestamptz NOT NULL,
  off          bigint NOT NULL,
  gen          uuid NOT NULL,
  rid          uuid NOT NULL,
  recipient_id bigint NOT NULL,
  link_id      bigint NOT NULL,
  campaign_id  bigint NOT NULL,
  visitor      bigint,
  agent_id     bigint NOT NULL,
  link_version integer,
  rules        smallint NOT NULL,
  kind         shard.kind NOT NULL,
  verdict      shard.verdict NOT NULL,
  country      text,
  net          text,
  referrer     text,
  signals      text[]
) PARTITION BY RANGE (at);
CREATE INDEX event_by_recipient ON shard.event (recipient_id, at);
CREATE INDEX event_by_time ON shard.event USING brin (at) WITH (autosummarize);
-- This partition stores the events of months that have no partition of their own, e.g. the events of old logs that are shipped again.
-- Without this partition, such an event could never be inserted.
CREATE TABLE shard.event_default PARTITION OF shard.event DEFAULT;

-- Creates the partition of the month that contains `around`. It is called before the first event of the month arrives. Returns whether the
-- partition was created. CREATE TABLE ... PARTITION OF would wait for all readers of shard.event. ATTACH waits only for readers of the
-- default partition. If it waits for more than 200 ms, the function fails, and the caller tries again later.
CREATE FUNCTION shard.ensure_month(around timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = 0 SET timezone = 'UTC' AS $$
DECLARE
  month timestamptz := date_trunc('month', around);
  partition text := 'event_' || to_char(month, 'YYYY_MM');
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('clickledger.ensure_month'));
  IF to_regclass('shard.' || partition) IS NOT NULL THEN RETURN false; END IF;
  -- If the default partition already has rows of the month, they stay there. Then the month cannot get its own partition.
  IF EXISTS (SELECT FROM shard.event_default WHERE at >= month AND at < month + interval '1 month') THEN RETURN false; END IF;
  -- The limit does not apply to the advisory lock above. Waiting for the advisory lock is short, because the other caller of this function
  -- waits for at most 200 ms.
  SET LOCAL lock_timeout = '200ms';
  EXECUTE format('CREATE TABLE shard.%I (LIKE shard.event INCLUDING ALL)', partition);
  EXECUTE format('ALTER TABLE shard.event ATTACH PARTITION shard.%I FOR VALUES FROM (%L) TO (%L)', partition, month, month + interval '1 month');
  RETURN true;
END $$;
REVOKE EXECUTE ON FUNCTION shard.ensure_month FROM PUBLIC;

-- The stored parts of user agents. The id is a hash of the other columns, so the ids in the cache of a worker are still correct after this
-- database was restored.
CREATE TABLE shard.user_agent (
  id      bigint PRIMARY KEY,
  client  text NOT NULL,
  version text NOT NULL,
  system  text NOT NULL,
  device  text NOT NULL
);

-- The admitted values from clients: referrers for each campaign, and user agents with a version. A client can send any text, so the number
-- of values is limited. A hit with another value is stored with '(other)' instead.
CREATE TABLE shard.outside_value (
  kind  text NOT NULL,
  -- The id of the campaign of a referrer; 0 for user agents.
  scope bigint NOT NULL,
  text  text NOT NULL,
  -- The UTC day of the hit with which the value was admitted.
  day   date NOT NULL,
  PRIMARY KEY (kind, scope, text)
);

-- Admits new values: at most `most` for each scope, and at most a fifth of `most` for each scope and day. So a client that invents values
-- on one day does not use up the room of later days. Returns those of the passed values that are admitted now or were admitted before. If
-- there is not enough room, the first values in the arrays are admitted.
CREATE FUNCTION shard.admit(kind text, most integer, scopes bigint[], texts text[], days date[]) RETURNS TABLE (scope bigint, text text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
BEGIN
  -- Without this lock, two workers could together admit too many values. The statement after the lock sees the values that the other worker
  -- has added.
  PERFORM pg_advisory_xact_lock(hashtext('clickledger.admit'));
  RETURN QUERY
  WITH wanted AS (
    SELECT t.scope, t.text, min(t.day) AS day, min(t.n) AS n FROM unnest(scopes, texts, days) WITH ORDINALITY AS t (scope, text, day, n) GROUP BY t.scope, t.text
  ),
  new AS (
    SELECT w.*, row_number() OVER (PARTITION BY w.scope ORDER BY w.n) AS n_in_all, row_number() OVER (PARTITION BY w.scope, w.day ORDER BY w.n) AS n_on_day
    FROM wanted w WHERE NOT EXISTS (SELECT FROM shard.outside_value v WHERE v.kind = admit.kind AND v.scope = w.scope AND v.text = w.text)
  ),
  known AS (
    SELECT v.scope, v.day, count(*) AS n FROM shard.outside_value v WHERE v.kind = admit.kind AND v.scope IN (SELECT new.scope FROM new) GROUP BY v.scope, v.day
  ),
  added AS (
    INSERT INTO shard.outside_value (kind, scope, text, day)
    SELECT admit.kind, new.scope, new.text, new.day FROM new
    WHERE n_in_all <= most - (SELECT coalesce(sum(known.n), 0) FROM known WHERE known.scope = new.scope)
      AND n_on_day <= ceil(most / 5.0) - coalesce((SELECT known.n FROM known WHERE known.scope = new.scope AND known.day = new.day), 0)
    RETURNING scope, text
  )
  SELECT w.scope, w.text FROM wanted w WHERE NOT EXISTS (SELECT FROM new WHERE new.scope = w.scope AND new.text = w.text)
  UNION ALL SELECT added.scope, added.text FROM added;
END $$;
REVOKE EXECUTE ON FUNCTION shard.admit FROM PUBLIC;

-- Lines that could not be parsed. The text of the line is only in the log, at the offset `off` of the generation `gen`.
CREATE TABLE shard.dead_letter (
  gen    uuid NOT NULL,
  off    bigint NOT NULL,
  reason text NOT NULL,
  length bigint NOT NULL,
  hash   text NOT NULL,
  at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX dead_letter_by_place ON shard.dead_letter (gen, off);

CREATE TABLE shard.skipped (
  gen    uuid NOT NULL,
  reason text NOT NULL,
  lines  bigint NOT NULL,
  PRIMARY KEY (gen, reason)
);

GRANT USAGE ON SCHEMA shard TO clickledger_worker;
GRANT SELECT ON shard.identity TO clickledger_worker;
GRANT INSERT ON shard.event, shard.dead_letter TO clickledger_worker;
GRANT SELECT, INSERT, UPDATE ON shard.ledger, shard.skipped TO clickledger_worker;
GRANT SELECT, INSERT ON shard.user_agent TO clickledger_worker;
GRANT EXECUTE ON FUNCTION shard.ensure_month, shard.admit TO clickledger_worker;
