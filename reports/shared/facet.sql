-- The query of the reports countries, devices, mail-clients and referrers. These reports set four variables: `facet`, `column` (the name of
-- the column), `empty` (the text for an empty value), and `kind`.

\if :{?campaign} \else \set campaign '' \endif

SELECT campaign_id, coalesce(nullif(value, ''), :'empty') AS :"column", hits, human_hits, hits - human_hits AS machine_hits, recipients, human_recipients
FROM analytics.facets
WHERE facet = :'facet' AND kind = :'kind' AND (:'campaign' = '' OR campaign_id = nullif(:'campaign', '')::bigint)
ORDER BY campaign_id DESC, human_hits DESC, hits DESC, :"column"
LIMIT nullif(:'limit', '')::bigint;
