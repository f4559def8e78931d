-- title: Devices
-- question: On which kinds of device were links clicked or letters opened, and by how many recipients?
-- parameter: campaign  number of the campaign; default: all campaigns
-- parameter: kind  click or open; default: click
-- parameter: limit  the most rows to show; default: 1000
-- chart: stacked-bar x=device y=human_hits,machine_hits
-- reach: yes
--
-- Each row counts a recipient once; a recipient who is in two rows counts in both. Hits of shared links have no recipient.

\if :{?kind} \else \set kind 'click' \endif
\if :{?limit} \else \set limit '1000' \endif
\set facet 'device'
\set column 'device'
\set empty 'unknown'
\ir shared/facet.sql
