-- Whether backends add the query of a request (utm_source, fbclid, ...) to the destinations of the links of the campaign.
ALTER TABLE catalog.campaign ADD COLUMN pass_query boolean NOT NULL DEFAULT false;

GRANT SELECT (pass_query) ON catalog.campaign TO clickledger_backend;
GRANT UPDATE (pass_query) ON catalog.campaign TO clickledger_author;

-- Backends read pass_query together with each link, like the fallback URL. So when pass_query changes, all links of the campaign are marked
-- as changed.
DROP TRIGGER touch_links ON catalog.campaign;
CREATE TRIGGER touch_links AFTER UPDATE OF fallback_url, pass_query ON catalog.campaign FOR EACH ROW
  WHEN (OLD.fallback_url IS DISTINCT FROM NEW.fallback_url OR OLD.pass_query IS DISTINCT FROM NEW.pass_query)
  EXECUTE FUNCTION catalog.touch_links();
