-- What happened: the events of one shard, and the ledger that says of which bytes of which log they are all here.
CREATE SCHEMA shard;

-- Which shard of which list this database is; a part that finds another name or list holds.
CREATE TABLE shard.identity (
  one    boolean PRIMARY KEY DEFAULT true CHECK (one),
  name   text NOT NULL,
  shards text NOT NULL
);

-- One row a generation: the byte ranges whose lines are accounted for here, and its length once it is final.
-- Rows and ranges change in one transaction. Never deleted: this, and no unique index, is what keeps events from being counted twice.
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
-- Takes what no month was made for, e.g. old logs that are shipped again. Without it such a row would fail for ever.
CREATE TABLE shard.event_default PARTITION OF shard.event DEFAULT;

-- Makes the partition of the month around a time, ahead of its first row. CREATE TABLE ... PARTITION OF would wait behind
-- every reader of shard.event; ATTACH only waits for readers of the default partition, and that not for long: the caller tries again later.
CREATE FUNCTION shard.ensure_month(around timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = 0 SET timezone = 'UTC' AS $$
DECLARE
  month timestamptz := date_trunc('month', around);
  partition text := 'event_' || to_char(month, 'YYYY_MM');
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('clickledger.ensure_month'));
  IF to_regclass('shard.' || partition) IS NOT NULL THEN RETURN false; END IF;
  -- Rows of that month that came before the partition stay where they are.
  IF EXISTS (SELECT FROM shard.event_default WHERE at >= month AND at < month + interval '1 month') THEN RETURN false; END IF;
  -- Waiting for another caller, who gives up soon, is not meant.
  SET LOCAL lock_timeout = '200ms';
  EXECUTE format('CREATE TABLE shard.%I (LIKE shard.event INCLUDING ALL)', partition);
  EXECUTE format('ALTER TABLE shard.event ATTACH PARTITION shard.%I FOR VALUES FROM (%L) TO (%L)', partition, month, month + interval '1 month');
  RETURN true;
END $$;
REVOKE EXECUTE ON FUNCTION shard.ensure_month FROM PUBLIC;

-- What is kept of user agents. The id is a hash of the other columns, so that a restored database and a caching worker cannot disagree.
CREATE TABLE shard.user_agent (
  id      bigint PRIMARY KEY,
  client  text NOT NULL,
  version text NOT NULL,
  system  text NOT NULL,
  device  text NOT NULL
);

-- The line itself stays in the log, at this offset of this generation.
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
GRANT EXECUTE ON FUNCTION shard.ensure_month TO clickledger_worker;
