-- How many marks wait for the judge, for a worker that may write them and not read them. It stops counting at a million: it is asked for
-- often, and by then it is plain that the judge is behind.
CREATE FUNCTION shard.waiting_marks() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS
$$ SELECT count(*) FROM (SELECT FROM shard.mark LIMIT 1000000) AS waiting $$;
REVOKE EXECUTE ON FUNCTION shard.waiting_marks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.waiting_marks TO clickledger_worker;
