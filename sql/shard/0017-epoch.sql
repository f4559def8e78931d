-- The epoch of a shard tells a primary from a former primary. It rises each time this database becomes another one: when a standby is
-- promoted, or the database is restored or moved. Agents remember the highest epoch that they have seen, and send it with every batch and every
-- question. A database with a lower epoch is a former primary that is still running, so it refuses to commit and to answer.
ALTER TABLE shard.identity
  ADD COLUMN epoch bigint NOT NULL DEFAULT 0,
  -- The timeline of Postgres for which the epoch holds. A promotion begins a new timeline.
  ADD COLUMN timeline bigint,
  -- False if this epoch was chosen before any agent had shown what it knows. Then it may rise once more.
  ADD COLUMN is_settled boolean NOT NULL DEFAULT false;

-- The timeline of this primary. Some managed servers do not have these functions; there, the epoch never changes by itself.
CREATE FUNCTION shard.timeline() RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
BEGIN
  RETURN ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint;
EXCEPTION WHEN OTHERS THEN
  RETURN 0;
END $$;
REVOKE EXECUTE ON FUNCTION shard.timeline FROM PUBLIC;

-- Returns the epoch of this database. `known` is the highest epoch that an agent has shown, or 0. Raises CL001 if this database is a former
-- primary. The last 20 bits of an epoch are random. So two standbys that were promoted at the same time have different epochs, and everybody
-- agrees which of them is the later one.
CREATE FUNCTION shard.enter(known bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  line bigint := shard.timeline();
  mine shard.identity;
BEGIN
  SELECT * INTO mine FROM shard.identity;
  IF mine.timeline = line AND (known < mine.epoch OR known = mine.epoch AND mine.is_settled) THEN RETURN mine.epoch; END IF;
  SELECT * INTO mine FROM shard.identity FOR UPDATE;
  IF mine.timeline IS DISTINCT FROM line OR (known > mine.epoch AND NOT mine.is_settled) THEN
    UPDATE shard.identity
      SET epoch = (((greatest(mine.epoch, known) >> 20) + 1) << 20) + floor(random() * 1048576)::bigint, timeline = line, is_settled = known > 0
      RETURNING * INTO mine;
  ELSIF known > mine.epoch THEN
    RAISE EXCEPTION 'this database of shard % is a former primary: its epoch is %, and the agents have seen %', mine.name, mine.epoch >> 20, known >> 20
      USING ERRCODE = 'CL001';
  ELSIF known = mine.epoch THEN
    UPDATE shard.identity SET is_settled = true;
  END IF;
  RETURN mine.epoch;
END $$;
REVOKE EXECUTE ON FUNCTION shard.enter FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.enter TO clickledger_worker;
