-- Letters as they were prepared, for the page that shows a letter with its clicks. They are templates: the names of columns stay in them, and the
-- values of people are not stored.
CREATE TABLE catalog.letter (
  campaign_id bigint NOT NULL REFERENCES catalog.campaign,
  -- The SHA-256 hash of both parts.
  hash        bytea NOT NULL CHECK (length(hash) = 32),
  html        text,
  text        text,
  -- The places of the tracked links in each part: [from, to, link] in UTF-16 code units, in the order of the part.
  html_links  jsonb NOT NULL,
  text_links  jsonb NOT NULL,
  prepared_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (campaign_id, hash)
);
GRANT SELECT, INSERT, DELETE ON catalog.letter TO clickledger_author;
GRANT UPDATE (html_links, text_links, prepared_at) ON catalog.letter TO clickledger_author;

CREATE VIEW analytics.letters AS SELECT campaign_id, encode(hash, 'hex') AS letter, html, text, html_links, text_links, prepared_at FROM catalog.letter;
COMMENT ON VIEW analytics.letters IS 'The last letters of each campaign, as they were prepared for a list. The values of people are not in them.';
COMMENT ON COLUMN analytics.letters.campaign_id IS 'The campaign.';
COMMENT ON COLUMN analytics.letters.letter IS 'A hash of the letter.';
COMMENT ON COLUMN analytics.letters.html IS 'Its HTML part; null if it has none.';
COMMENT ON COLUMN analytics.letters.text IS 'Its text part; null if it has none.';
COMMENT ON COLUMN analytics.letters.html_links IS 'The places of the tracked links in html: [from, to, link_id] in UTF-16 code units.';
COMMENT ON COLUMN analytics.letters.text_links IS 'The same for text.';
COMMENT ON COLUMN analytics.letters.prepared_at IS 'Time at which it was last prepared.';
GRANT SELECT ON analytics.letters TO clickledger_analyst;
