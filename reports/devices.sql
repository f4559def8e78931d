-- title: Devices
-- question: On which kinds of device were links clicked or letters opened, and by how many recipients?
-- parameter: campaign  number of the campaign; default: all of them
-- parameter: kind  click or open; default: click
-- parameter: limit  how many rows at most; default: 1000
-- chart: stacked-bar x=device y=human_hits,machine_hits
-- reach: yes
--
-- Recipients are different ones of that row: who is in two rows counts in both. Hits of shared links are of no recipient.

\if :{?kind} \else \set kind 'click' \endif
\if :{?limit} \else \set limit '1000' \endif
\set facet 'device'
\set column 'device'
\set empty 'unknown'
\ir shared/facet.sql
