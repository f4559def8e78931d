-- title: Machine traffic
-- question: Which machines clicked and opened: how were they detected, from which networks did they come, and how many recipients' links did they fetch?
-- parameter: campaign  name or number of the campaign; default: all campaigns
-- parameter: limit  maximum number of rows; default: all
-- chart: bar x=kind,verdict,network y=hits
-- reach: yes
--
-- The column verdict has the sign of the machine. If several signs were found, it has the first one of this list. These signs are enough alone:
-- head (a HEAD request), prefetch (a header announces a prefetch), privacy-proxy (a proxy that fetches every image), scanner-net (a network of mail
-- scanners), bot-ua (the user agent names a bot, or is missing), honeypot (a hit on the hidden link of the letter), near-honeypot (a click up to ten
-- seconds before or after such a hit), burst (five or more links within a second). The other signs are the verdict only together with a
-- further sign: short-burst (three or four links within a second), many-links (six links within a minute), even-steps (four links in equal
-- steps), many-visitors (three visitors within a minute), after-head (a click just after a HEAD request), echo (the same link again within a
-- minute, by another browser), hosting-net (a server of a hosting provider). The verdict unsure means that the signs are too weak to decide. A
-- program may have made the request, or for example a person behind a VPN. The column recipients has the number of recipients whose links or
-- pixels were requested. Each row counts a recipient once. A recipient with hits in two rows counts in both rows.

\if :{?campaign} \else \set campaign '' \endif
\if :{?limit} \else \set limit '' \endif

SELECT campaign_id, kind, verdict, coalesce(network, 'unknown') AS network, hits, recipients
FROM analytics.machine_traffic
WHERE (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
ORDER BY campaign_id DESC, hits DESC, kind, verdict, analytics.machine_traffic.network
LIMIT nullif(:'limit', '')::bigint;
