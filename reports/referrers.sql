-- title: Referrers
-- question: From which sites did clicks come, and from how many recipients?
-- parameter: campaign  name or number of the campaign; default: all campaigns
-- parameter: limit  maximum number of rows; default: all
-- chart: stacked-bar x=referrer y=human_hits,machine_hits
-- reach: yes
--
-- A click in a mail program has no referrer. A click in many webmail sites has none, either. Each row counts a recipient once. A recipient
-- with hits in two rows counts in both rows. Hits of shared links have no recipient.

\if :{?limit} \else \set limit '' \endif
\set kind 'click'
\set facet 'referrer'
\set column 'referrer'
\set empty 'none named'
\ir shared/facet.sql
