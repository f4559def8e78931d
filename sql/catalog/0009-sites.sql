-- The authors' own sites, whose visits and goals are counted. A site has a number that no link has, because a slug of this number is its id. Its
-- number comes from the sequence of the links.
CREATE TABLE catalog.site (
  id         bigint PRIMARY KEY DEFAULT nextval('catalog.link_id_seq'),
  host       text NOT NULL UNIQUE CHECK (host = lower(host) AND host <> ''),
  created_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT ON catalog.site TO clickledger_author;
GRANT SELECT (id) ON catalog.site TO clickledger_worker;

-- Adds a site unless it exists. Authors have no right to use the function nextval, so the owner runs this one for them.
CREATE FUNCTION catalog.add_site(new_host text) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  INSERT INTO catalog.site (host) SELECT new_host WHERE NOT EXISTS (SELECT FROM catalog.site WHERE host = new_host) ON CONFLICT DO NOTHING RETURNING id
$$;
REVOKE EXECUTE ON FUNCTION catalog.add_site FROM PUBLIC;
GRANT EXECUTE ON FUNCTION catalog.add_site TO clickledger_author;

-- The hosts to whose addresses backends add `cl=<slug>`, so that a visit can name its click. Null: to none. Backends read the hosts together
-- with each link, so when they change, all links of the campaign are marked as changed.
ALTER TABLE catalog.campaign ADD COLUMN follow_hosts text[];
GRANT SELECT (follow_hosts) ON catalog.campaign TO clickledger_backend;
GRANT UPDATE (follow_hosts) ON catalog.campaign TO clickledger_author;
DROP TRIGGER touch_links ON catalog.campaign;
CREATE TRIGGER touch_links AFTER UPDATE OF fallback_url, pass_query, follow_hosts ON catalog.campaign FOR EACH ROW
  WHEN ((OLD.fallback_url, OLD.pass_query, OLD.follow_hosts) IS DISTINCT FROM (NEW.fallback_url, NEW.pass_query, NEW.follow_hosts))
  EXECUTE FUNCTION catalog.touch_links();

CREATE VIEW analytics.sites AS SELECT id AS site_id, host, created_at FROM catalog.site;
COMMENT ON VIEW analytics.sites IS 'One row for each site of the authors whose visits and goals are counted.';
COMMENT ON COLUMN analytics.sites.site_id IS 'Number of the site.';
COMMENT ON COLUMN analytics.sites.host IS 'Its host name.';
COMMENT ON COLUMN analytics.sites.created_at IS 'Time at which it was added.';

CREATE TABLE fleet.site_events (
  shard text, at timestamptz, kind text, site_id bigint, name text, session bigint, recipient_id bigint, link_id bigint, campaign_id bigint, visitor bigint,
  country text, net text, referrer text, client text, system text, device text, verdict text, signals text[], rules smallint, page text, value numeric,
  currency text, properties jsonb, dropped integer, request_id uuid, gen uuid, off bigint
) PARTITION BY LIST (shard);
CREATE TABLE fleet.goals (
  LIKE fleet.site_events, click_at timestamptz, click_verdict text, click_link_id bigint, click_campaign_id bigint
) PARTITION BY LIST (shard);

CREATE VIEW analytics.visits AS
  SELECT shard, at, site_id, page, referrer, session, visitor, recipient_id, link_id, campaign_id, country, net, client, system, device, verdict, signals,
         rules, properties, dropped, request_id, gen, off
  FROM fleet.site_events WHERE kind = 'visit';
COMMENT ON VIEW analytics.visits IS 'One row for each visit of a page of a site. Visits of test recipients are left out.';
COMMENT ON COLUMN analytics.visits.shard IS 'The shard that stores the visit.';
COMMENT ON COLUMN analytics.visits.at IS 'Time at which nginx answered.';
COMMENT ON COLUMN analytics.visits.site_id IS 'The site; see sites.';
COMMENT ON COLUMN analytics.visits.page IS 'Host and path of the page; null if the request named none.';
COMMENT ON COLUMN analytics.visits.referrer IS 'Host name of the page before; null if the browser named none.';
COMMENT ON COLUMN analytics.visits.session IS 'The same number means the same tab of a browser. Null if the visit did not come from the script.';
COMMENT ON COLUMN analytics.visits.visitor IS 'The same number means the same network address and browser on the same UTC day. Null if it could not be computed.';
COMMENT ON COLUMN analytics.visits.recipient_id IS 'The recipient whose click led here; null if the visit names no click, or the click of a shared link.';
COMMENT ON COLUMN analytics.visits.link_id IS 'The link of the click that led here; null if the visit names no click.';
COMMENT ON COLUMN analytics.visits.campaign_id IS 'The campaign of this link.';
COMMENT ON COLUMN analytics.visits.country IS 'Country of the network address, ISO 3166-1 alpha-2; null if unknown.';
COMMENT ON COLUMN analytics.visits.net IS 'Label of a known network; null otherwise.';
COMMENT ON COLUMN analytics.visits.client IS 'Browser.';
COMMENT ON COLUMN analytics.visits.system IS 'Operating system.';
COMMENT ON COLUMN analytics.visits.device IS 'desktop, mobile, tablet, tv, bot or unknown.';
COMMENT ON COLUMN analytics.visits.verdict IS 'human, unsure, or the sign of a machine: prefetch, scanner-net, bot-ua.';
COMMENT ON COLUMN analytics.visits.signals IS 'All signs of a machine that were found.';
COMMENT ON COLUMN analytics.visits.rules IS 'Version of the rules that decided the verdict.';
COMMENT ON COLUMN analytics.visits.properties IS 'Properties that the site sent; null if none.';
COMMENT ON COLUMN analytics.visits.dropped IS 'Number of parameters that were left out, because they were malformed, too long or too many.';
COMMENT ON COLUMN analytics.visits.request_id IS 'Id that nginx gave the request.';
COMMENT ON COLUMN analytics.visits.gen IS 'Generation of the access log that has the line of the visit.';
COMMENT ON COLUMN analytics.visits.off IS 'Byte offset of that line in the generation.';

-- The number of days in which a goal counts for a click before it (setting GOAL_DAYS).
CREATE FUNCTION analytics.goal_days() RETURNS integer LANGUAGE sql STABLE AS
  $$ SELECT coalesce(nullif(current_setting('clickledger.goal_days', true), '')::integer, 30) $$;
COMMENT ON FUNCTION analytics.goal_days() IS 'The number of days in which a goal counts for a click before it: clickledger.goal_days, or 30.';
GRANT EXECUTE ON FUNCTION analytics.goal_days() TO clickledger_analyst;

CREATE VIEW analytics.goals AS
  SELECT shard, at, site_id, name, value, currency, properties, page, referrer, session, visitor, recipient_id, click_at, click_verdict,
         CASE WHEN counts THEN click_link_id END AS link_id, CASE WHEN counts THEN click_campaign_id END AS campaign_id,
         country, net, client, system, device, verdict, signals, rules, dropped, request_id, gen, off
  FROM (SELECT *, click_at IS NULL OR click_at > at - make_interval(days => analytics.goal_days()) AS counts FROM fleet.goals) AS g;
COMMENT ON VIEW analytics.goals IS 'One row for each goal, with the link that it counts for: that of the last click of the recipient before it, by a person, in the days of analytics.goal_days(). Goals of test recipients are left out.';
COMMENT ON COLUMN analytics.goals.shard IS 'The shard that stores the goal.';
COMMENT ON COLUMN analytics.goals.at IS 'Time at which nginx answered.';
COMMENT ON COLUMN analytics.goals.site_id IS 'The site; see sites.';
COMMENT ON COLUMN analytics.goals.name IS 'Name of the goal, e.g. signup.';
COMMENT ON COLUMN analytics.goals.value IS 'Value that the site sent; null if none.';
COMMENT ON COLUMN analytics.goals.currency IS 'Currency of the value, ISO 4217; null if none.';
COMMENT ON COLUMN analytics.goals.properties IS 'Properties that the site sent; null if none.';
COMMENT ON COLUMN analytics.goals.page IS 'Host and path of the page; null if the request named none.';
COMMENT ON COLUMN analytics.goals.referrer IS 'Host name of the page before; null if none.';
COMMENT ON COLUMN analytics.goals.session IS 'The same number means the same tab of a browser. Null if a server sent the goal.';
COMMENT ON COLUMN analytics.goals.visitor IS 'The same number means the same network address and browser on the same UTC day. Null if it could not be computed.';
COMMENT ON COLUMN analytics.goals.recipient_id IS 'The recipient; null if the goal names no click, or the click of a shared link.';
COMMENT ON COLUMN analytics.goals.click_at IS 'Time of the last click of this recipient before the goal, by a person; null if there is none.';
COMMENT ON COLUMN analytics.goals.click_verdict IS 'Verdict of this click: human or unsure.';
COMMENT ON COLUMN analytics.goals.link_id IS 'The link that the goal counts for; null if none. If no click by a person is stored, it is the link that the goal names.';
COMMENT ON COLUMN analytics.goals.campaign_id IS 'The campaign of this link.';
COMMENT ON COLUMN analytics.goals.country IS 'Country of the network address, ISO 3166-1 alpha-2; null if unknown.';
COMMENT ON COLUMN analytics.goals.net IS 'Label of a known network; null otherwise.';
COMMENT ON COLUMN analytics.goals.client IS 'Browser.';
COMMENT ON COLUMN analytics.goals.system IS 'Operating system.';
COMMENT ON COLUMN analytics.goals.device IS 'desktop, mobile, tablet, tv, bot or unknown.';
COMMENT ON COLUMN analytics.goals.verdict IS 'human, unsure, or the sign of a machine: prefetch, scanner-net, bot-ua. A goal that a server sent is human.';
COMMENT ON COLUMN analytics.goals.signals IS 'All signs of a machine that were found.';
COMMENT ON COLUMN analytics.goals.rules IS 'Version of the rules that decided the verdict.';
COMMENT ON COLUMN analytics.goals.dropped IS 'Number of parameters that were left out, because they were malformed, too long or too many.';
COMMENT ON COLUMN analytics.goals.request_id IS 'Id that nginx gave the request.';
COMMENT ON COLUMN analytics.goals.gen IS 'Generation of the access log that has the line of the goal.';
COMMENT ON COLUMN analytics.goals.off IS 'Byte offset of that line in the generation.';
GRANT SELECT ON analytics.sites, analytics.visits, analytics.goals TO clickledger_analyst;

COMMENT ON COLUMN analytics.skipped.reason IS 'not-tracking (another URL), not-served (nginx answered with an error), malformed-slug, malformed-name (a visit or goal without a usable name), or forged (the signature of the slug is invalid).';
