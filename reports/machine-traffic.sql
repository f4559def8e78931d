-- title: Machine traffic
-- question: Which machines clicked and opened: how were they detected, from which networks did they come, and how many recipients' links did they fetch?
-- parameter: campaign  name or number of the campaign; default: all campaigns
-- parameter: limit  the most rows to show; default: all
-- chart: bar x=kind,verdict,network y=hits
-- reach: yes
--
-- The column verdict has the first of these signs that was found: head (a HEAD request), prefetch (a header announces a prefetch),
-- privacy-proxy (a proxy that fetches every image), scanner-net (a network of mail scanners), bot-ua (the user agent names a bot, or is
-- missing), honeypot (the hidden link of the letter), near-honeypot (just before or after it), burst (many links of one letter were clicked at once).
-- Other signs are the verdict only with a further sign, e.g. the network of a hosting provider: short-burst (three or four links), many-links (six links
-- within a minute), even-steps (links in order, in equal steps), many-visitors (three addresses within a minute), after-head (just after a HEAD
-- request), echo (the same link again within a minute, by another browser), hosting-net (a server of a hosting provider). The verdict unsure means that the signs are too weak to decide: a program made the request, or, for example, a person behind a VPN. The column recipients has the number of
-- recipients whose links or pixels were requested. Each row counts a recipient once. A recipient with hits in two rows counts in both rows.

\if :{?campaign} \else \set campaign '' \endif
\if :{?limit} \else \set limit '' \endif

SELECT campaign_id, kind, verdict, coalesce(network, 'unknown') AS network, hits, recipients
FROM analytics.machine_traffic
WHERE (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
ORDER BY campaign_id DESC, hits DESC, kind, verdict, analytics.machine_traffic.network
LIMIT nullif(:'limit', '')::bigint;
