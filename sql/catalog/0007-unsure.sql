-- Verdicts follow from the sum of the weights of all signs, and a hit may be unsure.

-- A honeypot is a hidden link of a letter. Its kind and the time of sending decide signs, so workers read them.
ALTER TABLE catalog.link DROP CONSTRAINT link_kind_check, ADD CONSTRAINT link_kind_check CHECK (kind IN ('url', 'pixel', 'honeypot'));
GRANT SELECT (kind) ON catalog.link TO clickledger_worker;
GRANT SELECT (id, sent_at) ON catalog.campaign TO clickledger_worker;
COMMENT ON COLUMN analytics.links.kind IS 'url, pixel, or honeypot (the hidden link of a letter, which only machines follow).';

COMMENT ON COLUMN analytics.events.verdict IS 'human, unsure, or the first sign of a machine, e.g. head, bot-ua or burst.';
COMMENT ON COLUMN analytics.events.signals IS 'All signs that were found. The sum of their weights decides the verdict. proxied is a sign of a person.';
COMMENT ON COLUMN analytics.events.net IS 'Label of the network, if it is listed (hosting provider, proxy, mail service or scanner); otherwise null.';
COMMENT ON COLUMN analytics.activity_15m.verdict IS 'human, unsure, or the sign of a machine; see events.';
COMMENT ON VIEW analytics.facets IS 'Hits and recipients of a campaign by one property of its hits. Select one facet in a query.';
COMMENT ON COLUMN analytics.openers.is_human IS 'True if an open or a click was judged human, otherwise false.';
COMMENT ON VIEW analytics.machine_traffic IS 'Hits that were not judged human, by verdict and network.';
COMMENT ON COLUMN analytics.machine_traffic.verdict IS 'unsure, or the sign of the machine; see events.';
