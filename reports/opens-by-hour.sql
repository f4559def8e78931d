-- title: Opens by hour
-- question: How many opens came in each hour, from people and from machines?
-- chart: stacked-bar x=hour y=human_hits,machine_hits
-- reach: yes
--
-- The report counts opens, not recipients. An hour without opens also has a row, if it is between the first and the last hour with opens.
-- When clocks are put back, the repeated hour has two rows, in the order of time.

\set kind 'open'
\ir shared/hits-by-hour.sql
