-- Subscriptions: the systems to which events are delivered, each with a ledger of the byte ranges that were delivered.
CREATE TABLE catalog.subscription (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- What a receiver that keeps the ledger itself knows the subscription by. A subscription with the same name that was removed, or of another system, has
  -- another one.
  identity       uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
  name           text NOT NULL UNIQUE CHECK (name ~ '^[a-z][a-z0-9-]{0,62}$'),
  -- The URL of the receiver, with its credentials. Its protocol decides the kind of the receiver.
  target         text NOT NULL,
  -- The secrets with which a webhook is signed, the newest first. Empty for other receivers.
  secrets        text[] NOT NULL DEFAULT '{}',
  kinds          text[] NOT NULL CHECK (kinds <> '{}'),
  -- Null: all.
  campaigns      bigint[] CHECK (campaigns <> '{}'),
  verdicts       text[] CHECK (verdicts <> '{}'),
  -- Earlier events are left out. Null: none.
  since          timestamptz,
  -- The age that a click must have before it is delivered.
  wait_seconds   integer NOT NULL CHECK (wait_seconds >= 0),
  -- The largest number of events in one delivery.
  batch          integer NOT NULL CHECK (batch BETWEEN 1 AND 10000),
  -- Whether mail addresses and external ids are delivered.
  with_addresses boolean NOT NULL DEFAULT false,
  created_at     timestamptz NOT NULL DEFAULT now(),
  paused_at      timestamptz,
  pause_reason   text,
  -- The forwarder that delivers it, until the lease ends.
  holder         uuid,
  held_until     timestamptz
);

-- The ranges that were committed when the subscription began. They are never delivered.
CREATE TABLE catalog.subscription_start (
  subscription_id bigint NOT NULL REFERENCES catalog.subscription ON DELETE CASCADE,
  shard           text NOT NULL,
  gen             uuid NOT NULL,
  ranges          int8multirange NOT NULL,
  PRIMARY KEY (subscription_id, shard, gen)
);

-- The ranges that were delivered. Receivers that can keep their ledger themselves have no rows here.
CREATE TABLE catalog.delivered (
  subscription_id bigint NOT NULL REFERENCES catalog.subscription ON DELETE CASCADE,
  shard           text NOT NULL,
  gen             uuid NOT NULL,
  ranges          int8multirange NOT NULL,
  PRIMARY KEY (subscription_id, shard, gen)
);

-- The ranges whose delivery to a webhook has begun. If the forwarder dies before it knows the answer, the receiver may have their events, with the verdicts
-- of that time.
CREATE TABLE catalog.delivery_attempt (
  subscription_id bigint NOT NULL REFERENCES catalog.subscription ON DELETE CASCADE,
  shard           text NOT NULL,
  gens            uuid[] NOT NULL,
  ranges          int8multirange[] NOT NULL,
  PRIMARY KEY (subscription_id, shard)
);

-- The last change of a verdict that was delivered (shard.read_changes).
CREATE TABLE catalog.delivered_change (
  subscription_id bigint NOT NULL REFERENCES catalog.subscription ON DELETE CASCADE,
  shard           text NOT NULL,
  change_id       bigint NOT NULL,
  changed_at      timestamptz NOT NULL,
  PRIMARY KEY (subscription_id, shard)
);

-- What the forwarder last reported of each subscription and shard, for people.
CREATE TABLE catalog.subscription_report (
  subscription_id bigint NOT NULL REFERENCES catalog.subscription ON DELETE CASCADE,
  shard           text NOT NULL,
  reported_at     timestamptz NOT NULL,
  -- Events and changes of verdicts that were delivered so far. Only an estimate: what was delivered twice counts twice.
  delivered       bigint NOT NULL,
  due_bytes       bigint NOT NULL,
  -- How long the oldest range has been due.
  lag_seconds     double precision NOT NULL,
  succeeded_at    timestamptz,
  -- Since when all deliveries fail. Null: the last one succeeded.
  failing_since   timestamptz,
  last_error      text,
  PRIMARY KEY (subscription_id, shard)
);

-- The forwarder reads everything of a subscription. It can change only the pause and the lease.
GRANT USAGE ON SCHEMA catalog TO clickledger_forwarder;
GRANT SELECT ON catalog.subscription, catalog.subscription_start TO clickledger_forwarder;
GRANT UPDATE (paused_at, pause_reason, holder, held_until) ON catalog.subscription TO clickledger_forwarder;
GRANT SELECT, INSERT, UPDATE ON catalog.delivered, catalog.delivered_change, catalog.delivery_attempt, catalog.subscription_report TO clickledger_forwarder;
GRANT SELECT (id, email, external_id) ON catalog.recipient TO clickledger_forwarder;
