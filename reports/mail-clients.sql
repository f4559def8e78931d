-- title: Mail clients
-- question: With which mail clients or browsers was a campaign opened, and by how many recipients?
-- parameter: campaign  number of the campaign; default: all of them
-- parameter: limit  how many rows at most; default: 1000
-- chart: stacked-bar x=mail_client y=human_hits,machine_hits
-- reach: yes
--
-- A proxy that fetches for readers hides what they read with; what the proxy says of itself is what stands here.
-- Recipients are different ones of that row: who is in two rows counts in both. Hits of shared links are of no recipient.

\if :{?limit} \else \set limit '1000' \endif
\set kind 'open'
\set facet 'client'
\set column 'mail_client'
\set empty 'unknown'
\ir shared/facet.sql
