-- title: Mail clients
-- question: With which mail clients or browsers was a campaign opened, and by how many recipients?
-- parameter: campaign  name or number of the campaign; default: all campaigns
-- parameter: limit  maximum number of rows; default: all
-- chart: stacked-bar x=mail_client y=human_hits,machine_hits
-- reach: yes
--
-- If a proxy fetches the images of a letter, it hides the mail client of the reader, and the report shows the proxy. Each row counts a
-- recipient once. A recipient with hits in two rows counts in both rows. Hits of shared links have no recipient.

\if :{?limit} \else \set limit '' \endif
\set kind 'open'
\set facet 'client'
\set column 'mail_client'
\set empty 'unknown'
\ir shared/facet.sql
