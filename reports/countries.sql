-- title: Countries
-- question: From which countries do the clicks or opens of a campaign come, and from how many recipients?
-- parameter: campaign  number of the campaign; default: all of them
-- parameter: kind  click or open; default: click
-- parameter: limit  how many rows at most; default: 1000
-- chart: stacked-bar x=country y=human_hits,machine_hits
-- reach: yes
--
-- By the network address, which is a proxy's for opens in some mail clients.
-- Recipients are different ones of that row: who is in two rows counts in both. Hits of shared links are of no recipient.

\if :{?kind} \else \set kind 'click' \endif
\if :{?limit} \else \set limit '1000' \endif
\set facet 'country'
\set column 'country'
\set empty 'unknown'
\ir shared/facet.sql
