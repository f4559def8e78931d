-- Readings of `GET /api/v1/events`. A reading is one more ledger, as a subscription is: the byte ranges of each generation that its client has got.
--
--   no page ──issue──► page waits for its acknowledgement ──acknowledge──► no page ─ …
--
-- The desk stores a page before it sends it. The cursor of a page acknowledges it: then its ranges count as delivered.
CREATE TABLE catalog.event_reader (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- The SHA-256 hash of the secret in the cursors. The secret itself is stored nowhere: it decrypts `content`.
  secret_hash  bytea NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
  key_id       text NOT NULL REFERENCES catalog.api_key,
  kinds        text[] NOT NULL CHECK (kinds <> '{}'),
  -- Null: all.
  campaigns    bigint[] CHECK (campaigns <> '{}'),
  verdicts     text[] CHECK (verdicts <> '{}'),
  -- Earlier events are left out. Null: none.
  since        timestamptz,
  -- The age that a click must have before it is delivered.
  wait_seconds integer NOT NULL CHECK (wait_seconds >= 0),
  created_at   timestamptz NOT NULL DEFAULT now(),
  used_at      timestamptz NOT NULL DEFAULT now(),
  -- Counts the changes of the reading. A request that finds another version than it has read begins anew.
  version      bigint NOT NULL DEFAULT 0,
  -- The number of the last page.
  page         bigint NOT NULL DEFAULT 0,
  -- Random texts that are in the cursors of the last page and of the page before it. After the catalog was restored from a backup, a page gets a number
  -- that another page had before, but not its text.
  page_check   text NOT NULL,
  -- Null: the last page was acknowledged.
  before_check text,
  -- The last page, compressed and encrypted. Null: it was acknowledged. It is encrypted because an author may not read events.
  content      bytea
);
ALTER TABLE catalog.event_reader ALTER content SET STORAGE EXTERNAL;
CREATE INDEX event_reader_by_key ON catalog.event_reader (key_id);
CREATE INDEX event_reader_by_use ON catalog.event_reader (used_at);

CREATE TABLE catalog.event_reader_ledger (
  reader_id bigint NOT NULL REFERENCES catalog.event_reader ON DELETE CASCADE,
  shard     text NOT NULL,
  gen       uuid NOT NULL,
  -- The ranges before the start of the reading. They are never delivered.
  before    int8multirange NOT NULL DEFAULT '{}',
  delivered int8multirange NOT NULL DEFAULT '{}',
  -- The ranges of the page that is not acknowledged yet.
  pending   int8multirange NOT NULL DEFAULT '{}',
  PRIMARY KEY (reader_id, shard, gen)
);

-- The last change of a verdict that was delivered (shard.read_changes), and the last one of the page that is not acknowledged yet.
CREATE TABLE catalog.event_reader_position (
  reader_id          bigint NOT NULL REFERENCES catalog.event_reader ON DELETE CASCADE,
  shard              text NOT NULL,
  change_id          bigint NOT NULL,
  changed_at         timestamptz NOT NULL,
  pending_id         bigint,
  pending_changed_at timestamptz,
  PRIMARY KEY (reader_id, shard)
);

-- The desk uses the role of the author.
GRANT SELECT, INSERT, UPDATE, DELETE ON catalog.event_reader, catalog.event_reader_ledger, catalog.event_reader_position TO clickledger_author;
