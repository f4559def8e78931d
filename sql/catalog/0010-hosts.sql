-- The base URL with which new URLs of the campaign are made. Null: the setting BASE_URL. It is not part of a slug, so URLs that were sent work
-- with every base URL.
ALTER TABLE catalog.campaign ADD COLUMN base_url text
  CONSTRAINT base_url_is_url CHECK (base_url ~* '^https?://[^/]' AND base_url !~ '/$' AND base_url !~ '[[:cntrl:]]');
GRANT UPDATE (base_url) ON catalog.campaign TO clickledger_author;
