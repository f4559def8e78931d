-- title: Devices
-- question: On which kinds of device were links clicked or letters opened, and by how many recipients?
-- parameter: campaign  name or number of the campaign; default: all campaigns
-- parameter: kind:click|open  click or open; default: click
-- parameter: limit  maximum number of rows; default: all
-- chart: stacked-bar x=device y=human_hits,machine_hits
-- reach: yes
--
-- Each row counts a recipient once. A recipient with hits in two rows counts in both rows. Hits of shared links have no recipient.

\if :{?kind} \else \set kind 'click' \endif
\if :{?limit} \else \set limit '' \endif
\set facet 'device'
\set column 'device'
\set empty 'unknown'
\ir shared/facet.sql
