import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { AUTHOR_FUNCTIONS, KEPT_FUNCTIONS, REVOKED_FUNCTIONS } from './functions.ts';
import { migrate, prepareUpgrade, type Role, ROLES } from './migrate.ts';

const namesOf = (lists: Record<string, readonly string[]>): string[] => Object.values(lists).flat();
const KEPT = namesOf(KEPT_FUNCTIONS);
const REVOKED = namesOf(REVOKED_FUNCTIONS);

/** The roles with the databases to which they may connect. */
const PLACES = ROLES.flatMap((role) => (role === 'backend' ? ['catalog'] : ['catalog', 'a']).map((where) => ({ role, where })));

/** Return types of functions that a query cannot call: triggers and handlers. */
const NOT_CALLABLE = `('trigger', 'event_trigger', 'language_handler', 'index_am_handler', 'table_am_handler', 'tsm_handler')`;

let databases: Databases;
const open: pg.Client[] = [];

async function connectAs(role: Role, where: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: where === 'catalog' ? databases.roleUrls[role] : databases.shardUrlAs(where, role),
  });
  await client.connect();
  open.push(client);
  return client;
}

beforeAll(async () => {
  databases = await createDatabases(1);
});

afterAll(() => Promise.all(open.map((client) => client.end())));

describe('the functions of Postgres', () => {
  test('each volatile one is in one list: who runs a newer Postgres decides about what it adds', async () => {
    const rows = await databases.query<{ name: string }>(
      'a',
      `SELECT DISTINCT proname AS name FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND provolatile = 'v'
       AND prokind = 'f' AND prorettype::regtype::text NOT IN ${NOT_CALLABLE}`,
    );
    expect(rows.length).toBeGreaterThan(200);
    expect(rows.map(({ name }) => name).filter((name) => !KEPT.includes(name) && !REVOKED.includes(name))).toEqual([]);
    expect([...KEPT, ...REVOKED].filter((name, i, all) => all.indexOf(name) !== i)).toEqual([]);
  });

  test.each(PLACES)('$role may execute none of the revoked ones, and all others, in $where', async ({ role, where }) => {
    const exceptions = role === 'author' && where === 'catalog' ? AUTHOR_FUNCTIONS.split(', ') : [];
    const rows = await databases.query<{ name: string; may: boolean; is_revoked: boolean }>(
      where,
      `SELECT oid::regprocedure::text AS name, has_function_privilege($1, oid, 'EXECUTE') AS may, proname = ANY ($2) AS is_revoked FROM pg_proc
       WHERE pronamespace = 'pg_catalog'::regnamespace AND (proname = ANY ($2) OR proname = ANY ($3))`,
      [`clickledger_${role}`, REVOKED, KEPT],
    );
    expect(
      rows
        .filter(({ may, is_revoked }) => may && is_revoked)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(exceptions.toSorted());
    expect(rows.filter(({ may, is_revoked }) => !may && !is_revoked)).toEqual([]);
  });

  test.each(PLACES)('no other schema has a function for $role that changes anything, in $where', async ({ role, where }) => {
    const rows = await databases.query<{ name: string }>(
      where,
      `SELECT oid::regprocedure::text AS name FROM pg_proc
       WHERE pronamespace <> 'pg_catalog'::regnamespace AND provolatile = 'v' AND prorettype::regtype::text NOT IN ${NOT_CALLABLE}
         AND has_schema_privilege($1, pronamespace, 'USAGE') AND has_function_privilege($1, oid, 'EXECUTE') ORDER BY 1`,
      [`clickledger_${role}`],
    );
    const own: Record<string, string[]> = {
      'worker catalog': ['catalog.end_long_queries(interval)'],
      'worker a': [
        'shard.add_activity(bigint[],bigint[],bigint[],shard.kind[],shard.verdict[],bigint[])',
        'shard.add_hit_counts(bigint[],bigint[],text[])',
        'shard.add_judged_hits(jsonb)',
        'shard.add_people(bigint[],shard.facet[],text[],bigint[],shard.kind[],bigint[],bigint[],bigint[],text[],text[])',
        'shard.admit(text,integer,bigint[],text[],date[])',
        'shard.apply_changes()',
        'shard.change_hits(bigint[],integer)',
        'shard.clicks_to_judge(bigint[],bigint[],bigint[],double precision[],double precision[],interval,integer,text[],text[],interval)',
        'shard.deltas_of(bigint)',
        'shard.drop_changes(interval)',
        'shard.drop_months(integer)',
        'shard.drop_site_events(integer)',
        'shard.end_long_queries(interval)',
        'shard.ensure_month(timestamp with time zone)',
        'shard.enter(bigint)',
        'shard.next_deltas(integer)',
        'shard.take_deltas(bigint[])',
        'shard.take_visits(integer,interval)',
      ],
      'author catalog': [
        'catalog.add_site(text)',
        'catalog.begin_account_write(bytea,text,text)',
        'catalog.begin_write(text,text,text,jsonb)',
        'catalog.change_own_password(bytea,bytea,text)',
        'catalog.disable_account(bytea,bigint)',
        'catalog.end_account_sessions(bytea,bigint)',
        'catalog.end_other_sessions(bytea)',
        'catalog.end_own_session(bytea,bigint)',
        'catalog.end_session(bytea)',
        'catalog.end_write(bigint,integer,jsonb)',
        'catalog.find_session(bytea)',
        'catalog.open_external_session(text,bytea,text)',
        'catalog.open_session(text,bytea,bytea)',
        'catalog.open_share(bytea)',
        'catalog.revoke_api_key(bytea,text)',
        'catalog.revoke_share(bytea,bigint,bigint)',
        'catalog.share_campaign(bytea,bigint,bytea,integer)',
      ],
      'author a': ['shard.tell(bigint[],boolean[],boolean[])'],
    };
    expect(rows.map(({ name }) => name)).toEqual(own[`${role} ${where}`] ?? []);
  });

  test.each([
    { role: 'analyst' as const, where: 'catalog' },
    { role: 'analyst' as const, where: 'a' },
    { role: 'backend' as const, where: 'catalog' },
    { role: 'worker' as const, where: 'a' },
  ])('$role is refused each revoked one when it calls it in $where, also in DO blocks', async ({ role, where }) => {
    const client = await connectAs(role, where);
    const { rows } = await client.query<{ call: string }>(
      `SELECT format('SELECT pg_catalog.%I(%s)', proname,
                     (SELECT string_agg(CASE WHEN type = '"any"'::regtype THEN 'NULL' ELSE format('%s(SELECT NULL::%s)', CASE WHEN provariadic <> 0 AND n = pronargs THEN 'VARIADIC ' END, type::regtype) END, ', ' ORDER BY n)
                      FROM unnest(proargtypes::oid[]) WITH ORDINALITY AS argument (type, n))) AS call
       FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND proname = ANY ($1)`,
      [REVOKED],
    );
    expect(rows.length).toBeGreaterThan(120);
    const codes = new Map<string, string>();
    for (const { call } of rows)
      codes.set(
        call,
        await client.query(call).then(
          () => 'called',
          (error: { code: string }) => error.code,
        ),
      );
    expect([...codes].filter(([, code]) => code !== '42501')).toEqual([]);
    for (const statement of [
      'DO $$ BEGIN LOOP END LOOP; END $$',
      'CREATE TEMPORARY TABLE mine (x int)',
      `COPY (SELECT 1) TO PROGRAM 'true'`,
    ])
      await expect(client.query(statement), statement).rejects.toMatchObject({ code: '42501' });
  });

  test('what an analyst may still call takes no lock, no transaction id and no space, whether Postgres calls it volatile or not', async () => {
    const client = await connectAs('analyst', 'a');
    // Values for the most common types of arguments. Arguments of other types are null.
    const { rows } = await client.query<{ call: string }>(
      `WITH value (type, text) AS (VALUES ('integer', '1'), ('bigint', '1::bigint'), ('smallint', '1::smallint'), ('oid', '1::oid'), ('text', $$'x'::text$$),
                                    ('name', $$'x'::name$$), ('boolean', 'true'), ('double precision', '0.001::float8'), ('interval', $$interval '1 ms'$$),
                                    ('regclass', $$'pg_class'::regclass$$), ('bytea', $$'x'::bytea$$), ('xid8', $$'3'::xid8$$))
       SELECT format('SELECT pg_catalog.%I(%s)', proname,
                     (SELECT string_agg(coalesce(text, 'NULL'), ', ' ORDER BY n)
                      FROM unnest(proargtypes::oid[]) WITH ORDINALITY AS argument (oid, n) LEFT JOIN value ON value.type::regtype = argument.oid)) AS call
       FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND provolatile IN ('v', 's') AND pronargs <= 4
         AND has_function_privilege(oid, 'EXECUTE') AND prorettype::regtype::text NOT IN ${NOT_CALLABLE} AND 'internal'::regtype <> ALL (proargtypes)
         AND proname <> 'set_config'`,
    );
    expect(rows.length).toBeGreaterThan(500);
    const writers: string[] = [];
    let called = 0;
    for (const { call } of rows) {
      const results = await client
        .query(
          `BEGIN; ${call}; SELECT pg_current_xact_id_if_assigned() IS NOT NULL OR EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory') AS wrote`,
        )
        .catch(() => undefined);
      const last = (results as unknown as pg.QueryResult<{ wrote: boolean }>[] | undefined)?.at(-1)?.rows[0];
      if (last) called++;
      if (last?.wrote) writers.push(call);
      await client.query('ROLLBACK');
    }
    expect(called).toBeGreaterThan(300);
    expect(writers).toEqual([]);
    // Shows that the check above finds such a call: the owner may call this function.
    const [row] = await databases.query<{ wrote: boolean }>(
      'a',
      'SELECT pg_current_xact_id() IS NOT NULL AND pg_current_xact_id_if_assigned() IS NOT NULL AS wrote',
    );
    expect(row).toEqual({ wrote: true });
  });

  test('have the rights of the installation again before pg_upgrade, and are limited again after it', async () => {
    const own = await createDatabases(1);
    // The functions whose rights differ from those after the installation. pg_dump, which pg_upgrade runs, writes statements for them.
    const changed = async (where: string): Promise<string[]> => {
      const rows = await own.query<{ name: string }>(
        where,
        `SELECT p.oid::regprocedure::text AS name
         FROM pg_proc p LEFT JOIN pg_init_privs i ON i.classoid = 'pg_proc'::regclass AND i.objoid = p.oid AND i.objsubid = 0,
           LATERAL (SELECT coalesce(p.proacl, acldefault('f', p.proowner)), coalesce(i.initprivs, acldefault('f', p.proowner))) AS rights (now, first)
         WHERE p.pronamespace = 'pg_catalog'::regnamespace AND NOT (now @> first AND first @> now)`,
      );
      return rows.map(({ name }) => name).sort();
    };
    for (const where of ['catalog', 'a']) {
      const limited = await changed(where);
      expect(limited.length).toBeGreaterThan(50);
      await prepareUpgrade({ ownerUrl: own.ownerUrl, shards: own.shards });
      expect(await changed(where)).toEqual([]);
      await migrate(own);
      expect(await changed(where)).toEqual(limited);
    }
  });
});
