-- title: Clicks by hour
-- question: How many clicks came in each hour, from people and from machines?
-- chart: stacked-bar x=hour y=human_hits,machine_hits
-- reach: yes
--
-- The report counts clicks, not recipients. An hour without clicks also has a row, if it is between the first and the last hour with
-- clicks. When clocks are put back, the repeated hour has two rows, in the order of time.

\set kind 'click'
\ir shared/hits-by-hour.sql
