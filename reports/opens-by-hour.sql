-- title: Opens by hour
-- question: When, hour by hour, did opens come, from people and from machines?
-- chart: stacked-bar x=hour y=human_hits,machine_hits
-- reach: yes
--
-- Every open counts, not every recipient; hours between the first and the last are there, even if nothing came.
-- In the night in which clocks are put back an hour of the clock is there twice, in its order.

\set kind 'open'
\ir shared/hits-by-hour.sql
