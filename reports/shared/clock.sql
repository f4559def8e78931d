-- The time zone of the reports that show times or have a period.
-- parameter: timezone  the time zone of all times, a name such as Asia/Kolkata; default: UTC

\if :{?timezone} \else \set timezone 'UTC' \endif
-- After this statement, Postgres reads and shows times without an offset in this time zone.
SET TimeZone = :'timezone';

-- The variable `twice` is a condition: whether the local time of the column moment comes twice, because clocks are put back by half an
-- hour, one hour or two hours. Postgres reads such a local time as the second of the two moments.
\set twice '(moment::timestamp::timestamptz <> moment OR moment::timestamp IN ((moment - interval ''30 minutes'')::timestamp, (moment - interval ''1 hour'')::timestamp, (moment - interval ''2 hours'')::timestamp))'
-- The variable `offset` is the offset of such a time, and empty for other times. Without the offset, both moments would look the same.
\set offset '(CASE WHEN ' :twice ' THEN to_char(moment, ''TZH:TZM'') ELSE '''' END)'
