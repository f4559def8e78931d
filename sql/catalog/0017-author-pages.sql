-- The log of what authors change on the pages of the desk. As with catalog.begin_write, the row is written before the change, and catalog.end_write gives it its
-- status. The function finds the account by its session, so the role of the desk cannot write a row in the name of another account.
CREATE FUNCTION catalog.begin_account_write(session_hash bytea, action text, object text) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  INSERT INTO catalog.audit_log (account_id, action, object, details)
  VALUES (catalog.acting(session_hash, 'owner', 'author'), action, object, '{}') RETURNING id
$$;
REVOKE EXECUTE ON FUNCTION catalog.begin_account_write FROM PUBLIC;
GRANT EXECUTE ON FUNCTION catalog.begin_account_write TO clickledger_author;
