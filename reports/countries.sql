-- title: Countries
-- question: From which countries do the clicks or opens of a campaign come, and from how many recipients?
-- parameter: campaign  name or number of the campaign; default: all campaigns
-- parameter: kind:click|open  click or open; default: click
-- parameter: limit  maximum number of rows; default: all
-- chart: stacked-bar x=country y=human_hits,machine_hits
-- reach: yes
--
-- The country is that of the network address. Some mail clients open letters through a proxy, and then it is the country of the proxy. Each
-- row counts a recipient once. A recipient with hits in two rows counts in both rows. Hits of shared links have no recipient.

\if :{?kind} \else \set kind 'click' \endif
\if :{?limit} \else \set limit '' \endif
\set facet 'country'
\set column 'country'
\set empty 'unknown'
\ir shared/facet.sql
