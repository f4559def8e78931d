-- The database of a shard may be on several hosts: a primary and its standbys. postgres_fdw passes the lists of hosts and ports to libpq, which
-- then needs to know which of them it shall use. The timeouts are for hosts that have disappeared from the network.
DROP FUNCTION fleet.attach;
CREATE FUNCTION fleet.attach(shard text, host text, port text, dbname text, analyst text, password text, sslmode text DEFAULT NULL, sslrootcert text DEFAULT NULL, session_attrs text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  server text := 'shard_' || shard;
  relation text;
  change text;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_foreign_server WHERE srvname = server) THEN
    EXECUTE format('CREATE SERVER %I FOREIGN DATA WRAPPER postgres_fdw OPTIONS (fetch_size ''10000'', async_capable ''true'', keepalives_idle ''10'')', server);
    EXECUTE format('CREATE USER MAPPING FOR CURRENT_USER SERVER %I OPTIONS (user %L, password %L)', server, analyst, password);
  END IF;
  FOR change IN
    SELECT CASE WHEN known.option_name IS NULL THEN format('ADD %I %L', name, value) WHEN value IS NULL THEN format('DROP %I', name) ELSE format('SET %I %L', name, value) END
    FROM (VALUES ('host', host), ('port', port), ('dbname', dbname), ('sslmode', sslmode), ('sslrootcert', sslrootcert), ('target_session_attrs', session_attrs),
                 ('connect_timeout', '5'), ('tcp_user_timeout', '20000')) AS wanted (name, value)
    LEFT JOIN (SELECT option_name FROM pg_foreign_server, pg_options_to_table(srvoptions) WHERE srvname = server) known ON known.option_name = name
    WHERE known.option_name IS NOT NULL OR value IS NOT NULL
  LOOP
    EXECUTE format('ALTER SERVER %I OPTIONS (%s)', server, change);
  END LOOP;
  EXECUTE format('ALTER USER MAPPING FOR CURRENT_USER SERVER %I OPTIONS (SET user %L, SET password %L)', server, analyst, password);
  FOR relation IN SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'fleet' AND c.relkind = 'p' LOOP
    EXECUTE format('CREATE FOREIGN TABLE IF NOT EXISTS fleet.%I PARTITION OF fleet.%I FOR VALUES IN (%L) SERVER %I OPTIONS (schema_name ''shard_analytics'', table_name %L)',
                   relation || '_' || shard, relation, shard, server, relation);
  END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION fleet.attach FROM PUBLIC;

-- The time of the primary. Workers write it every few seconds. So a backend that reads a standby knows how old its copy is.
CREATE TABLE catalog.heartbeat (
  id   boolean PRIMARY KEY DEFAULT true CHECK (id),
  at   timestamptz NOT NULL
) WITH (fillfactor = 10);
INSERT INTO catalog.heartbeat (at) VALUES (now());
GRANT SELECT ON catalog.heartbeat TO clickledger_backend, clickledger_worker;
GRANT UPDATE (at) ON catalog.heartbeat TO clickledger_worker;
