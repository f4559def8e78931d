-- The accounts of the desk, their sessions, and the links that share a campaign.
CREATE TABLE catalog.account (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name         text NOT NULL CHECK (name ~ '\S' AND length(name) <= 254 AND name !~ '[[:cntrl:]]'),
  role         text NOT NULL CHECK (role IN ('owner', 'author', 'analyst')),
  -- Parameters of scrypt, salt, and the SHA-256 hash of the key that scrypt derives (core/password.ts). Null: the account signs in by OpenID Connect or by the
  -- header of a proxy.
  password     text CHECK (password ~ '^scrypt(\$[0-9]+){3}\$[0-9a-f]{32}\$[0-9a-f]{64}$'),
  created_at   timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz,
  disabled_at  timestamptz
);
-- The collation "C" folds only the letters of ASCII. Others fold, e.g., the Kelvin sign to k, and then a person with one mail address could sign in as the
-- owner of another one.
CREATE UNIQUE INDEX account_by_name ON catalog.account (lower(name COLLATE "C"));

CREATE TABLE catalog.session (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- The SHA-256 hash of the token in the cookie. The token has 256 random bits, so a slow hash would add nothing.
  hash         bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
  account_id   bigint NOT NULL REFERENCES catalog.account,
  created_at   timestamptz NOT NULL DEFAULT now(),
  -- It is at most a minute too old.
  last_used_at timestamptz NOT NULL DEFAULT now(),
  expires_at   timestamptz NOT NULL DEFAULT now() + interval '30 days'
);
CREATE INDEX session_by_account ON catalog.session (account_id);

CREATE TABLE catalog.share_link (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  hash         bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
  campaign_id  bigint NOT NULL REFERENCES catalog.campaign,
  created_by   bigint NOT NULL REFERENCES catalog.account,
  created_at   timestamptz NOT NULL DEFAULT now(),
  expires_at   timestamptz NOT NULL CHECK (expires_at > created_at),
  last_used_at timestamptz,
  revoked_at   timestamptz
);
CREATE INDEX share_link_by_campaign ON catalog.share_link (campaign_id);

-- Who made a change: a key, an account, or, if both are null, the command line.
ALTER TABLE catalog.audit_log ADD account_id bigint REFERENCES catalog.account;

-- The desk works with the role of the author, and authors who use the command line have the password of this role. So the role cannot read or change these
-- tables. It has only the functions at the end of this file. They take the hash of the session of the person who acts, and they check the role of this
-- account themselves. Without the token of an owner's session, this role can do nothing that needs an owner.
--
-- One limit remains: the role can open a session of an account without a password (catalog.open_external_session), because the desk, and not the catalog,
-- checks what the provider of OpenID Connect or the proxy says.

CREATE FUNCTION catalog.record_change(actor bigint, action text, object text, details jsonb) RETURNS void LANGUAGE sql SET search_path = pg_catalog AS $$
  -- The change is in the same transaction, so the row gets its status at once.
  INSERT INTO catalog.audit_log (account_id, action, object, details, status) VALUES (actor, action, object, details, 200)
$$;

-- The sessions that are still valid. A session ends after 30 days, and after 7 days without a request.
CREATE VIEW catalog.live_session AS
  SELECT s.id, s.hash, s.account_id, s.created_at, s.last_used_at, s.expires_at, a.name, a.role, a.password
  FROM catalog.session s JOIN catalog.account a ON a.id = s.account_id
  WHERE s.expires_at > now() AND s.last_used_at > now() - interval '7 days' AND a.disabled_at IS NULL;

-- Returns the account of a session. Raises CL403 if the session has ended, or if its account has none of the roles.
CREATE FUNCTION catalog.acting(session_hash bytea, VARIADIC roles text[]) RETURNS bigint LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
DECLARE
  found_account bigint;
BEGIN
  SELECT account_id INTO found_account FROM catalog.live_session WHERE hash = session_hash AND role = ANY (roles);
  IF found_account IS NULL THEN
    RAISE 'the session has ended, or its account may not do this' USING ERRCODE = 'CL403';
  END IF;
  RETURN found_account;
END
$$;

-- The changes of accounts and keys. The commands call them as the owner of the catalog, with the actor null. The functions for the desk call them for an
-- account.

CREATE FUNCTION catalog.end_sessions(actor bigint, target bigint, kept_hash bytea) RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  ended bigint;
BEGIN
  DELETE FROM catalog.session WHERE account_id = target AND hash IS DISTINCT FROM kept_hash;
  GET DIAGNOSTICS ended = ROW_COUNT;
  PERFORM catalog.record_change(actor, 'account.end-sessions', 'account ' || target, jsonb_build_object('sessions', ended));
  RETURN ended;
END
$$;

CREATE FUNCTION catalog.disable(actor bigint, target bigint) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  UPDATE catalog.account SET disabled_at = coalesce(disabled_at, now()) WHERE id = target;
  DELETE FROM catalog.session WHERE account_id = target;
  PERFORM catalog.record_change(actor, 'account.disable', 'account ' || target, '{}');
END
$$;

CREATE FUNCTION catalog.set_password(actor bigint, target bigint, new_password text, kept_hash bytea) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  UPDATE catalog.account SET password = new_password WHERE id = target;
  DELETE FROM catalog.session WHERE account_id = target AND hash IS DISTINCT FROM kept_hash;
  PERFORM catalog.record_change(actor, 'account.password', 'account ' || target, jsonb_build_object('has_password', new_password IS NOT NULL));
END
$$;

-- Revokes a key by its name or its id, and returns it. A revoked key is found by its id, and stays revoked since its first time. Returns null if there is none.
CREATE FUNCTION catalog.revoke_key(actor bigint, name_or_id text) RETURNS catalog.api_key LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  revoked catalog.api_key;
BEGIN
  UPDATE catalog.api_key SET revoked_at = coalesce(revoked_at, now())
  WHERE id = (SELECT id FROM catalog.api_key WHERE (name = name_or_id AND revoked_at IS NULL) OR id = name_or_id
              ORDER BY (name = name_or_id) DESC LIMIT 1)
  RETURNING * INTO revoked;
  IF revoked.id IS NOT NULL THEN
    PERFORM catalog.record_change(actor, 'key.revoke', 'key ' || revoked.id, jsonb_build_object('name', revoked.name));
  END IF;
  RETURN revoked;
END
$$;

-- The functions of the desk. `session_hash` is the hash of the session of the person who acts.

CREATE FUNCTION catalog.has_account() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT EXISTS (SELECT FROM catalog.account)
$$;

-- The parameters and the salt of a password, without its hash. Null: there is no such account, or it has no password.
CREATE FUNCTION catalog.password_parameters(account_name text) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT regexp_replace(password, '\$[0-9a-f]+$', '') FROM catalog.account WHERE lower(name COLLATE "C") = lower(account_name COLLATE "C")
$$;

-- Adds a session and deletes those that have ended. An account has at most 100 sessions, so that a client that keeps no cookies cannot fill the table.
CREATE FUNCTION catalog.add_session(target bigint, new_hash bytea, way text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  DELETE FROM catalog.session WHERE expires_at <= now() OR last_used_at <= now() - interval '7 days';
  DELETE FROM catalog.session WHERE id IN (SELECT id FROM catalog.session WHERE account_id = target ORDER BY last_used_at DESC, id DESC OFFSET 99);
  INSERT INTO catalog.session (hash, account_id) VALUES (new_hash, target);
  UPDATE catalog.account SET last_used_at = now() WHERE id = target;
  PERFORM catalog.record_change(target, 'session.open', 'account ' || target, jsonb_build_object('by', way));
END
$$;

-- Opens a session with the key that scrypt derives from the password. The catalog compares the key itself, so the desk never has the stored hash. Returns the
-- account, or null if the name or the key is wrong or the account is disabled.
CREATE FUNCTION catalog.open_session(account_name text, derived_key bytea, new_hash bytea) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  target bigint;
BEGIN
  SELECT id INTO target FROM catalog.account
  WHERE lower(name COLLATE "C") = lower(account_name COLLATE "C") AND disabled_at IS NULL
    AND right(password, 64) = encode(sha256(derived_key), 'hex');
  IF target IS NOT NULL THEN
    PERFORM catalog.add_session(target, new_hash, 'password');
  END IF;
  RETURN target;
END
$$;

-- Opens a session of an account without a password. The desk has checked the person with OpenID Connect (`oidc`) or by the header of a proxy (`header`).
-- Accounts with a password are refused, so that who has only the credentials of the role cannot take them over.
CREATE FUNCTION catalog.open_external_session(account_name text, new_hash bytea, way text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  target bigint;
BEGIN
  SELECT id INTO target FROM catalog.account
  WHERE lower(name COLLATE "C") = lower(account_name COLLATE "C") AND disabled_at IS NULL AND password IS NULL;
  IF target IS NOT NULL THEN
    PERFORM catalog.add_session(target, new_hash, way);
  END IF;
  RETURN target;
END
$$;

-- Finds a valid session by its hash, and records its use at most once a minute.
CREATE FUNCTION catalog.find_session(session_hash bytea) RETURNS TABLE (account_id bigint, name text, role text, has_password boolean)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  WITH used AS (
    UPDATE catalog.session SET last_used_at = now()
    WHERE id = (SELECT id FROM catalog.live_session WHERE hash = session_hash AND last_used_at < now() - interval '1 minute') RETURNING account_id
  ), account AS (
    UPDATE catalog.account SET last_used_at = now() WHERE id IN (SELECT account_id FROM used)
  )
  SELECT account_id, name, role, password IS NOT NULL FROM catalog.live_session WHERE hash = session_hash
$$;

CREATE FUNCTION catalog.end_session(session_hash bytea) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  DELETE FROM catalog.session WHERE hash = session_hash
$$;

CREATE FUNCTION catalog.own_sessions(session_hash bytea)
RETURNS TABLE (id bigint, created_at timestamptz, last_used_at timestamptz, expires_at timestamptz, is_this boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT id, created_at, last_used_at, expires_at, hash = session_hash FROM catalog.live_session
  WHERE account_id = catalog.acting(session_hash, 'owner', 'author', 'analyst') ORDER BY last_used_at DESC, id DESC
$$;

-- Ends one of one's own sessions. Returns whether it existed.
CREATE FUNCTION catalog.end_own_session(session_hash bytea, ended_id bigint) RETURNS boolean LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  WITH ended AS (
    DELETE FROM catalog.session WHERE id = ended_id AND account_id = catalog.acting(session_hash, 'owner', 'author', 'analyst') RETURNING id
  )
  SELECT EXISTS (SELECT FROM ended)
$$;

CREATE FUNCTION catalog.end_other_sessions(session_hash bytea) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT catalog.end_sessions(actor, actor, session_hash) FROM catalog.acting(session_hash, 'owner', 'author', 'analyst') AS actor
$$;

-- Changes one's own password and ends one's other sessions. `derived_key` is from the current password. Returns whether this key was right.
CREATE FUNCTION catalog.change_own_password(session_hash bytea, derived_key bytea, new_password text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  actor bigint := catalog.acting(session_hash, 'owner', 'author', 'analyst');
BEGIN
  -- A condition in the UPDATE alone would not be enough: the other sessions end, too.
  PERFORM FROM catalog.account WHERE id = actor AND right(password, 64) = encode(sha256(derived_key), 'hex') FOR UPDATE;
  IF NOT FOUND OR new_password IS NULL THEN
    RETURN false;
  END IF;
  PERFORM catalog.set_password(actor, actor, new_password, session_hash);
  RETURN true;
END
$$;

CREATE FUNCTION catalog.list_accounts(session_hash bytea)
RETURNS TABLE (id bigint, name text, role text, has_password boolean, sessions bigint, created_at timestamptz, last_used_at timestamptz, disabled_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT a.id, a.name, a.role, a.password IS NOT NULL, (SELECT count(*) FROM catalog.live_session s WHERE s.account_id = a.id),
         a.created_at, a.last_used_at, a.disabled_at
  FROM catalog.acting(session_hash, 'owner') CROSS JOIN catalog.account a ORDER BY a.disabled_at IS NOT NULL, lower(a.name), a.id
$$;

-- Disables another account. An owner cannot disable the own account, so at least one owner always remains.
CREATE FUNCTION catalog.disable_account(session_hash bytea, target bigint) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  actor bigint := catalog.acting(session_hash, 'owner');
BEGIN
  IF actor = target OR NOT EXISTS (SELECT FROM catalog.account WHERE id = target) THEN
    RETURN false;
  END IF;
  PERFORM catalog.disable(actor, target);
  RETURN true;
END
$$;

CREATE FUNCTION catalog.end_account_sessions(session_hash bytea, target bigint) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT catalog.end_sessions(actor, a.id, session_hash) FROM catalog.acting(session_hash, 'owner') AS actor JOIN catalog.account a ON a.id = target
$$;

CREATE FUNCTION catalog.revoke_api_key(session_hash bytea, key_id text) RETURNS boolean LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT revoked.id IS NOT NULL FROM catalog.acting(session_hash, 'owner') AS actor, catalog.revoke_key(actor, key_id) AS revoked
$$;

-- The latest rows of the log, of one action or, with null, of all.
CREATE FUNCTION catalog.read_audit_log(session_hash bytea, only_action text, max_rows integer)
RETURNS TABLE (id bigint, at timestamptz, key text, account text, action text, object text, details jsonb, status integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT l.id, l.at, k.name, a.name, l.action, l.object, l.details, l.status
  FROM catalog.acting(session_hash, 'owner') CROSS JOIN catalog.audit_log l
  LEFT JOIN catalog.api_key k ON k.id = l.key_id LEFT JOIN catalog.account a ON a.id = l.account_id
  WHERE only_action IS NULL OR l.action = only_action ORDER BY l.id DESC LIMIT max_rows
$$;

CREATE FUNCTION catalog.audit_actions(session_hash bytea) RETURNS TABLE (action text) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT DISTINCT l.action FROM catalog.acting(session_hash, 'owner') CROSS JOIN catalog.audit_log l ORDER BY 1
$$;

CREATE FUNCTION catalog.share_campaign(session_hash bytea, campaign bigint, link_hash bytea, days integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  actor bigint := catalog.acting(session_hash, 'owner', 'author');
  new_id bigint;
BEGIN
  INSERT INTO catalog.share_link (hash, campaign_id, created_by, expires_at)
  VALUES (link_hash, campaign, actor, now() + make_interval(days => least(days, 90))) RETURNING id INTO new_id;
  PERFORM catalog.record_change(actor, 'share.create', 'campaign ' || campaign, jsonb_build_object('share', new_id, 'days', least(days, 90)));
  RETURN new_id;
END
$$;

CREATE FUNCTION catalog.list_shares(session_hash bytea, campaign bigint)
RETURNS TABLE (id bigint, created_by text, created_at timestamptz, expires_at timestamptz, last_used_at timestamptz, revoked_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT s.id, a.name, s.created_at, s.expires_at, s.last_used_at, s.revoked_at
  FROM catalog.acting(session_hash, 'owner', 'author') CROSS JOIN catalog.share_link s JOIN catalog.account a ON a.id = s.created_by
  WHERE s.campaign_id = campaign ORDER BY s.id DESC
$$;

CREATE FUNCTION catalog.revoke_share(session_hash bytea, campaign bigint, share bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  actor bigint := catalog.acting(session_hash, 'owner', 'author');
BEGIN
  UPDATE catalog.share_link SET revoked_at = coalesce(revoked_at, now()) WHERE id = share AND campaign_id = campaign;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM catalog.record_change(actor, 'share.revoke', 'campaign ' || campaign, jsonb_build_object('share', share));
  RETURN true;
END
$$;

-- Returns the campaign of a link that is neither expired nor revoked, and records the use of the link at most once a minute.
CREATE FUNCTION catalog.open_share(link_hash bytea) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  WITH used AS (
    UPDATE catalog.share_link SET last_used_at = now()
    WHERE hash = link_hash AND expires_at > now() AND revoked_at IS NULL AND coalesce(last_used_at < now() - interval '1 minute', true)
  )
  SELECT campaign_id FROM catalog.share_link WHERE hash = link_hash AND expires_at > now() AND revoked_at IS NULL
$$;

REVOKE EXECUTE ON FUNCTION catalog.record_change, catalog.acting, catalog.end_sessions, catalog.disable, catalog.set_password, catalog.revoke_key,
  catalog.add_session, catalog.has_account, catalog.password_parameters, catalog.open_session, catalog.open_external_session, catalog.find_session,
  catalog.end_session, catalog.own_sessions, catalog.end_own_session, catalog.end_other_sessions, catalog.change_own_password, catalog.list_accounts,
  catalog.disable_account, catalog.end_account_sessions, catalog.revoke_api_key, catalog.read_audit_log, catalog.audit_actions, catalog.share_campaign,
  catalog.list_shares, catalog.revoke_share, catalog.open_share FROM PUBLIC;
GRANT EXECUTE ON FUNCTION catalog.has_account, catalog.password_parameters, catalog.open_session, catalog.open_external_session, catalog.find_session,
  catalog.end_session, catalog.own_sessions, catalog.end_own_session, catalog.end_other_sessions, catalog.change_own_password, catalog.list_accounts,
  catalog.disable_account, catalog.end_account_sessions, catalog.revoke_api_key, catalog.read_audit_log, catalog.audit_actions, catalog.share_campaign,
  catalog.list_shares, catalog.revoke_share, catalog.open_share TO clickledger_author;
