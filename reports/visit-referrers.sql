-- title: Referrers of visits
-- question: From which other sites did visits come?
-- chart: stacked-bar x=referrer y=human_visits,machine_visits
-- reach: yes
-- page: link
--
-- Only the first visit of a tab can come from another site. A visit by a link in a letter usually has no referrer.

\set column 'referrer'
\ir shared/visits-by.sql
