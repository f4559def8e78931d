-- title: Pages
-- question: Which pages of a site were visited, and how often?
-- chart: stacked-bar x=page y=human_visits,machine_visits
-- reach: yes
-- page: link
--
-- `sessions` is the number of tabs of browsers with a visit of the page that was judged human. A page is a host and a path, without what follows
-- the question mark.

\set column 'page'
\ir shared/visits-by.sql
