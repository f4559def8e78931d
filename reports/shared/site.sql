-- The site of the reports about visits and goals.
-- parameter: site  host name of the site; default: all sites

\if :{?site} \else \set site '' \endif
-- The variable `of_site` is a condition: whether the column site_id is the site that was asked for.
\set of_site '(:''site'' = '''' OR site_id = ANY (ARRAY(SELECT site_id FROM analytics.sites WHERE host = lower(:''site''))))'
