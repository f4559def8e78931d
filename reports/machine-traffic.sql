-- title: Machine traffic
-- question: Which machines clicked and opened: what gave them away, where did they come from, and how many recipients had them?
-- parameter: campaign  number of the campaign; default: all of them
-- parameter: limit  how many rows at most; default: 1000
-- chart: bar x=kind,verdict,network y=machine_hits
-- reach: yes
--
-- verdict: head (asked for no content), prefetch (said that it fetches ahead), privacy-proxy (fetches every image), scanner-net (a network of mail
-- scanners), bot-ua (names itself, or nothing), burst (clicked many links of one letter at once); the first of them that fits.
-- recipients are those whose links were fetched, different ones of that row: who is in two rows counts in both.

\if :{?campaign} \else \set campaign '' \endif
\if :{?limit} \else \set limit '1000' \endif

SELECT campaign_id, kind, verdict, coalesce(network, 'unknown') AS network, hits AS machine_hits, recipients
FROM analytics.machine_traffic
WHERE (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
ORDER BY campaign_id DESC, machine_hits DESC, kind, verdict, analytics.machine_traffic.network
LIMIT :'limit'::bigint;
