-- The keys of the HTTP API, and the log of what was changed with them.
CREATE TABLE catalog.api_key (
  -- The public part of the key. It is not secret.
  id           text PRIMARY KEY CHECK (id ~ '^[0-9a-f]{12}$'),
  name         text NOT NULL CHECK (name <> ''),
  role         text NOT NULL CHECK (role IN ('author', 'analyst')),
  -- The SHA-256 hash of the whole key. The key has 256 random bits, so a slow hash would add nothing.
  hash         bytea NOT NULL CHECK (length(hash) = 32),
  -- Requests per second.
  rate         integer NOT NULL CHECK (rate > 0),
  created_at   timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz,
  revoked_at   timestamptz
);
CREATE UNIQUE INDEX api_key_by_name ON catalog.api_key (name) WHERE revoked_at IS NULL;

-- One row for each request that may change something. The row is written before the change. `status` is null until the request ends, so a
-- row without a status means that the desk died while it worked.
CREATE TABLE catalog.audit_log (
  id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Null: the command line.
  key_id  text REFERENCES catalog.api_key,
  action  text NOT NULL,
  -- What was changed, e.g. `campaign 17`. Never a mail address.
  object  text NOT NULL,
  details jsonb NOT NULL,
  -- The HTTP status of the answer.
  status  integer
);

-- The desk uses the role of the author. This role can add rows to the log and give them a status once. It cannot read, change or delete
-- the log, and it cannot create keys.
CREATE FUNCTION catalog.begin_write(key text, action text, object text, details jsonb) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  INSERT INTO catalog.audit_log (key_id, action, object, details) VALUES (key, action, object, details) RETURNING id
$$;
CREATE FUNCTION catalog.end_write(entry bigint, new_status integer, more jsonb) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  UPDATE catalog.audit_log SET status = new_status, details = details || more WHERE id = entry AND status IS NULL
$$;
REVOKE EXECUTE ON FUNCTION catalog.begin_write, catalog.end_write FROM PUBLIC;
GRANT EXECUTE ON FUNCTION catalog.begin_write, catalog.end_write TO clickledger_author;

GRANT SELECT ON catalog.api_key TO clickledger_author;
GRANT UPDATE (last_used_at) ON catalog.api_key TO clickledger_author;
