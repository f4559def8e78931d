-- The period of a report. It includes the moment `begins` and excludes the moment `ends`.
\ir clock.sql
-- parameter: from  the first day or time, e.g. 2030-05-01, '2030-05-01 08:30' or 2030-05-01T08:30Z, in whole quarters of an hour; default: the first hit
-- parameter: to  the last day, or the time before which the report ends; default: the last hit

\if :{?from} \else \set from '' \endif
\if :{?to} \else \set to '' \endif

\set begins '(SELECT coalesce(nullif(:''from'', '''')::timestamptz, ''-infinity''))'
-- If `to` is a day, the period ends at the end of this day.
\set ends '(SELECT CASE WHEN :''to'' LIKE ''____-__-__'' THEN (nullif(:''to'', '''')::date + 1)::timestamptz ELSE coalesce(nullif(:''to'', '''')::timestamptz, ''infinity'') END)'
