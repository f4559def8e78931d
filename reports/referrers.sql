-- title: Referrers
-- question: From which sites did clicks come, and from how many recipients?
-- parameter: campaign  number of the campaign; default: all of them
-- parameter: limit  how many rows at most; default: 100
-- chart: stacked-bar x=referrer y=human_hits,machine_hits
-- reach: yes
--
-- A click in a mail program names no site, and neither does much webmail.
-- Recipients are different ones of that row: who is in two rows counts in both. Hits of shared links are of no recipient.

\if :{?limit} \else \set limit '100' \endif
\set kind 'click'
\set facet 'referrer'
\set column 'referrer'
\set empty 'none named'
\ir shared/facet.sql
