-- The clock of the reports that show or cut time.
-- parameter: timezone  the time zone of all times, a name such as Asia/Kolkata; default: UTC

\if :{?timezone} \else \set timezone 'UTC' \endif
-- Times without an offset are now read and shown by this clock.
SET TimeZone = :'timezone';

-- :twice is whether the clock shows the time of the column moment twice, because it is put back by half an hour, one hour or two. Postgres reads
-- such a time as the second one.
\set twice '(moment::timestamp::timestamptz <> moment OR moment::timestamp IN ((moment - interval ''30 minutes'')::timestamp, (moment - interval ''1 hour'')::timestamp, (moment - interval ''2 hours'')::timestamp))'
-- :offset is the offset of such a time. Without it two times would look the same.
\set offset '(CASE WHEN ' :twice ' THEN to_char(moment, ''TZH:TZM'') ELSE '''' END)'
