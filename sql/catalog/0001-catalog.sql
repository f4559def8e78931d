-- The data of authors: campaigns, links and recipients. Backends keep all rows of the tables link and alias in memory.
CREATE SCHEMA catalog;

-- Backends poll for changes, because NOTIFY does not reach replicas. The column `changed` has the id of the last transaction that changed
-- the row in a way that backends must read. A poll reads all rows whose `changed` is not lower than the id of the oldest transaction that
-- was still running at the previous poll. So backends find every changed row, in whatever order the transactions commit.
CREATE FUNCTION catalog.mark_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.changed := pg_current_xact_id();
  RETURN NEW;
END $$;

CREATE TABLE catalog.campaign (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name         text NOT NULL UNIQUE CHECK (name <> ''),
  fallback_url text,
  created_at   timestamptz NOT NULL DEFAULT now(),
  sent_at      timestamptz,
  closed_at    timestamptz
);

CREATE TABLE catalog.link (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  campaign_id bigint NOT NULL REFERENCES catalog.campaign,
  kind        text NOT NULL CHECK (kind IN ('url', 'pixel')),
  -- The label distinguishes links of one letter that have the same URL.
  label       text NOT NULL DEFAULT '',
  -- The URL as it was first written in the letter; '' for a pixel. When the letter is prepared again, the link is found by this URL. A URL
  -- can be too long for an index, so the index has its hash.
  original    text NOT NULL,
  -- The place of the link among the links of a letter, counted from 1: the links of the HTML part come first, then those of the text part.
  -- The letter is the last prepared letter that contains the link. Null if no prepared letter contains the link.
  position    integer CHECK (position > 0),
  version     integer NOT NULL DEFAULT 1 CHECK (version > 0),
  created_at  timestamptz NOT NULL DEFAULT now(),
  expires_at  timestamptz,
  disabled_at timestamptz,
  changed     xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE UNIQUE INDEX link_by_original ON catalog.link (campaign_id, kind, label, md5(original));
-- A campaign has one pixel, because opens are counted by campaign.
CREATE UNIQUE INDEX link_pixel ON catalog.link (campaign_id) WHERE kind = 'pixel';
CREATE INDEX link_by_changed ON catalog.link (changed);
-- A change of the position does not set `changed`, because backends do not read the position.
CREATE TRIGGER mark_changed BEFORE UPDATE OF version, expires_at, disabled_at ON catalog.link FOR EACH ROW EXECUTE FUNCTION catalog.mark_changed();

-- Every target that a link has or had. An event stores the version of the target that was served; 0 means the fallback URL of the campaign.
CREATE TABLE catalog.link_version (
  link_id    bigint NOT NULL REFERENCES catalog.link,
  version    integer NOT NULL CHECK (version > 0),
  target     text NOT NULL CHECK (target ~* '^https?://' AND target !~ '[[:cntrl:]]'),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (link_id, version)
);

CREATE TABLE catalog.alias (
  name       text PRIMARY KEY CHECK (name ~ '^[0-9A-Za-z][0-9A-Za-z_-]{0,63}$' AND name ~ '[-_]'),
  link_id    bigint NOT NULL REFERENCES catalog.link,
  created_at timestamptz NOT NULL DEFAULT now(),
  changed    xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX alias_by_changed ON catalog.alias (changed);
CREATE TRIGGER mark_changed BEFORE UPDATE ON catalog.alias FOR EACH ROW EXECUTE FUNCTION catalog.mark_changed();

-- Backends read the fallback URL of the campaign together with each link. So when the fallback URL changes, all links of the campaign are
-- marked as changed.
CREATE FUNCTION catalog.touch_links() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  UPDATE catalog.link SET changed = pg_current_xact_id() WHERE campaign_id = NEW.id;
  RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION catalog.touch_links FROM PUBLIC;
CREATE TRIGGER touch_links AFTER UPDATE OF fallback_url ON catalog.campaign FOR EACH ROW
  WHEN (OLD.fallback_url IS DISTINCT FROM NEW.fallback_url) EXECUTE FUNCTION catalog.touch_links();

CREATE TABLE catalog.recipient (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  email        text CHECK (email = lower(email)),
  external_id  text UNIQUE,
  created_at   timestamptz NOT NULL DEFAULT now(),
  opted_out_at timestamptz,
  -- The time when the recipient was forgotten. The row stays, so that its id is never used again, but all data that identify the person are
  -- deleted.
  forgotten_at timestamptz CHECK (forgotten_at IS NULL OR (email IS NULL AND external_id IS NULL))
);
CREATE UNIQUE INDEX recipient_by_email ON catalog.recipient (email);

CREATE TABLE catalog.mailing (
  campaign_id  bigint NOT NULL REFERENCES catalog.campaign,
  recipient_id bigint NOT NULL REFERENCES catalog.recipient,
  prepared_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (campaign_id, recipient_id)
);

-- A key is listed here before it signs the first slug. A worker that lacks a listed key cannot distinguish forged slugs from valid slugs,
-- so it stops.
CREATE TABLE catalog.signing_key (
  fingerprint text PRIMARY KEY,
  added_at    timestamptz NOT NULL DEFAULT now()
);

-- The shard list. It does not change after the system was initialised.
CREATE TABLE catalog.shard (
  name     text PRIMARY KEY,
  from_tag text COLLATE "C" NOT NULL UNIQUE
);

GRANT USAGE ON SCHEMA catalog TO clickledger_backend, clickledger_worker, clickledger_author;

GRANT SELECT (id, fallback_url) ON catalog.campaign TO clickledger_backend;
GRANT SELECT (id, campaign_id, kind, version, expires_at, disabled_at, changed) ON catalog.link TO clickledger_backend;
GRANT SELECT (link_id, version, target) ON catalog.link_version TO clickledger_backend;
GRANT SELECT (name, link_id, changed) ON catalog.alias TO clickledger_backend;

GRANT SELECT (id, campaign_id) ON catalog.link TO clickledger_worker;
GRANT SELECT ON catalog.signing_key TO clickledger_worker, clickledger_author;

GRANT SELECT, INSERT ON catalog.campaign, catalog.link, catalog.link_version, catalog.alias, catalog.recipient, catalog.mailing TO clickledger_author;
GRANT UPDATE (fallback_url, sent_at, closed_at) ON catalog.campaign TO clickledger_author;
GRANT UPDATE (position, version, expires_at, disabled_at) ON catalog.link TO clickledger_author;
GRANT UPDATE (email, external_id, opted_out_at, forgotten_at) ON catalog.recipient TO clickledger_author;
