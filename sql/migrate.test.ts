import { readdir } from 'node:fs/promises';
import pg from 'pg';
import { beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
// Makes pg read ids as numbers.
import '../core/postgres.ts';
import { evenShards, parseShards, shardUrl } from '../core/shards.ts';
import { parseSlugKeys } from '../core/slug.ts';
import { freePort } from '../stack/ports.ts';
import { OWNER, startPostgres } from '../stack/postgres.ts';
import { createDatabases, type Databases, describeDatabases } from '../test/support/databases.ts';
import { COUNT_ALL } from '../test/support/deltas.ts';
import { temporaryDirectory } from '../test/support/servers.ts';
import { migrate, type Role, ROLES } from './migrate.ts';

/** The migrations that a first run applies: all files of the catalog, then all files of the shards. */
async function everyMigration(shards: readonly string[]): Promise<{ database: string; name: string }[]> {
  const files = async (set: string) => (await readdir(new URL(`${set}/`, import.meta.url))).filter((name) => name.endsWith('.sql')).sort();
  const ofShard = await files('shard');
  return [
    ...(await files('catalog')).map((name) => ({ database: 'catalog', name })),
    ...shards.flatMap((shard) => ofShard.map((name) => ({ database: `shard ${shard}`, name }))),
  ];
}

async function connectTo(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

describe('migrate', () => {
  test('makes databases, roles and everything in them, and a second time finds nothing to do', async () => {
    const databases = describeDatabases(2);
    expect(await migrate(databases)).toEqual(await everyMigration(['a', 'b']));
    await databases.query('catalog', `INSERT INTO catalog.campaign (name) VALUES ('stays')`);
    await databases.query('a', `INSERT INTO shard.ledger (gen, committed) VALUES (gen_random_uuid(), '{[0,5)}')`);
    expect(await migrate(databases)).toEqual([]);
    expect(await databases.query('catalog', 'SELECT name FROM catalog.campaign')).toEqual([{ name: 'stays' }]);
    expect(await databases.query('a', 'SELECT committed::text AS committed FROM shard.ledger')).toEqual([{ committed: '{[0,5)}' }]);
    expect(await databases.query('b', 'SELECT name, shards FROM shard.identity')).toEqual([
      { name: 'b', shards: databases.shards.fingerprint },
    ]);
    const months = await databases.query<{ n: number }>(
      'a',
      `SELECT count(*)::int AS n FROM pg_inherits WHERE inhparent = 'shard.event'::regclass`,
    );
    expect(months).toEqual([{ n: 5 }]);
  });

  test('a shard whose events are read for long is no failure: the months ahead come later', async () => {
    const databases = await createDatabases(1);
    const months = () => databases.query('a', `SELECT inhrelid FROM pg_inherits WHERE inhparent = 'shard.event'::regclass`);
    const { length } = await months();
    const ahead = await databases.query<{ name: string }>(
      'a',
      `SELECT 'event_' || to_char(now() AT TIME ZONE 'UTC' + interval '2 months', 'YYYY_MM') AS name`,
    );
    await databases.query('a', `DROP TABLE shard.${ahead[0]?.name}`);
    const reader = await databases.begin('a', 'SELECT count(*) FROM shard.event');
    expect(await migrate(databases)).toEqual([]);
    expect(await months()).toHaveLength(length - 1);
    await reader.query('COMMIT');
    expect(await migrate(databases)).toEqual([]);
    expect(await months()).toHaveLength(length);
  });

  test('several at once wait for each other: each migration is applied once', async () => {
    const databases = describeDatabases(2);
    const applied = await Promise.all([migrate(databases), migrate(databases), migrate(databases)]);
    expect(applied.flat()).toHaveLength((await everyMigration(['a', 'b'])).length);
    expect(applied.flat()).toEqual(expect.arrayContaining(await everyMigration(['a', 'b'])));
  });

  test.each(['catalog', 'a'])('a newer database is left alone (%s)', async (where) => {
    const databases = await createDatabases(1);
    await databases.query(where, `INSERT INTO public.clickledger_migration (set, number, name) VALUES ($1, 9000, '9000-future.sql')`, [
      where === 'a' ? 'shard' : 'catalog',
    ]);
    await expect(migrate(databases)).rejects.toMatchObject({
      code: 'database-too-new',
      message: expect.stringContaining('9000-future.sql'),
    });
  });

  test.each(['catalog', 'a'])('a database that was made by other migrations is left alone (%s)', async (where) => {
    const databases = await createDatabases(1);
    await databases.query(where, `UPDATE public.clickledger_migration SET hash = md5(hash) WHERE number = 2`);
    await expect(migrate(databases)).rejects.toMatchObject({
      code: 'wrong-database',
      message: expect.stringContaining('0002-analytics.sql'),
    });
  });

  test('names and bounds of the shards are fixed, their addresses are not', async () => {
    const databases = await createDatabases(2);
    const changed = [
      databases.shardsText.replace('b=V0', 'b=V1'),
      databases.shardsText.replace('b=V0', 'c=V0'),
      databases.shardsText.replace(/,b=.*/, ''),
      `${databases.shardsText},c=k0=postgres://127.0.0.1/x`,
    ];
    for (const text of changed) {
      expect(text).not.toBe(databases.shardsText);
      // The list in the catalog is compared before any shard is changed.
      await expect(migrate({ ...databases, shards: parseShards(text) })).rejects.toMatchObject({
        code: 'wrong-database',
        message: expect.stringContaining('was initialised with a=00,b=V0'),
      });
    }
    const swapped = databases.shardsText.replace(/(_a)(,b=V0=[^,]*)_b$/, '_b$2_a');
    expect(swapped).not.toBe(databases.shardsText);
    await expect(migrate({ ...databases, shards: parseShards(swapped) })).rejects.toMatchObject({ code: 'wrong-database' });
    expect(await migrate(databases)).toEqual([]);

    const other = describeDatabases(3);
    await expect(
      migrate({
        ...other,
        shards: parseShards(evenShards(3, (name) => (name === 'a' ? databases.shards.first.url : `${databases.shards.first.url}${name}`))),
      }),
    ).rejects.toMatchObject({ code: 'wrong-database' });
  });

  test('keys are listed by their fingerprints, those of earlier runs stay', async () => {
    const databases = await createDatabases(1);
    const more = parseSlugKeys('77'.repeat(32));
    await migrate({ ...databases, keys: more });
    const listed = await databases.query<{ fingerprint: string }>('catalog', 'SELECT fingerprint FROM catalog.signing_key');
    expect(listed.map(({ fingerprint }) => fingerprint).sort()).toEqual(
      [...databases.keys, ...more].map(({ fingerprint }) => fingerprint).sort(),
    );
  });

  test('a role setting that names another user is refused', async () => {
    const databases = describeDatabases(1);
    const roleUrls = { ...databases.roleUrls, author: databases.roleUrls.author.replace('clickledger_author', 'postgres') };
    await expect(migrate({ ...databases, roleUrls })).rejects.toMatchObject({
      code: 'bad-settings',
      message: expect.stringContaining('AUTHOR_URL'),
    });
  });

  test('a shard may live in the database of the catalog', async () => {
    const databases = describeDatabases(1);
    const url = new URL(databases.ownerUrl);
    url.username = url.password = '';
    const shards = parseShards(`a=00=${url.toString()}`);
    expect(await migrate({ ...databases, shards })).toEqual(await everyMigration(['a']));
    expect(await migrate({ ...databases, shards })).toEqual([]);
    await databases.query(
      'catalog',
      `INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, agent_id, rules, kind, verdict)
       VALUES (now(), 0, gen_random_uuid(), gen_random_uuid(), 1, 1, 1, 1, 1, 'click', 'human')`,
    );
    await databases.query('catalog', COUNT_ALL);
    const analyst = await connectTo(databases.roleUrls.analyst);
    expect((await analyst.query("SELECT hits FROM analytics.campaign_totals WHERE kind = 'click'")).rows).toEqual([{ hits: 1 }]);
    for (const role of ['backend', 'author', 'analyst'] as const)
      await expect((await connectTo(databases.roleUrls[role])).query('SELECT FROM shard.event')).rejects.toMatchObject({ code: '42501' });
    for (const role of ['backend', 'author'] as const) {
      const client = await connectTo(databases.roleUrls[role]);
      await expect(client.query('SELECT FROM shard_analytics.events')).rejects.toMatchObject({ code: '42501' });
    }
  });

  test('the catalog may live in the database postgres, passwords may have any characters and may change', async () => {
    const directory = await temporaryDirectory();
    const port = await freePort();
    const server = await startPostgres({
      dataDir: `${directory}/data`,
      runDir: `${directory}/run`,
      port,
      ownerPassword: 'owner',
      durable: false,
    });
    onTestFinished(() => server.stop());
    const roleUrls = (password: string) =>
      Object.fromEntries(
        ROLES.map((role) => [role, `postgres://clickledger_${role}:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres`]),
      ) as Record<Role, string>;
    const options = {
      ownerUrl: `postgres://${OWNER}:owner@127.0.0.1:${port}/postgres`,
      shards: parseShards(`a=00=postgres://127.0.0.1:${port}/${encodeURIComponent(`Odd "name" 'x'`)}`),
      keys: parseSlugKeys('ab'.repeat(32)),
    };
    for (const password of [`it's "odd" \\ %41 @:/?#ü`, 'later']) {
      await migrate({ ...options, roleUrls: roleUrls(password) });
      for (const role of ROLES) {
        const client = new pg.Client({ connectionString: roleUrls(password)[role] });
        await client.connect();
        if (role === 'analyst') expect((await client.query('SELECT * FROM analytics.campaign_totals')).rows).toEqual([]);
        await client.end();
      }
    }
    const old = new pg.Client({ connectionString: roleUrls(`it's "odd" \\ %41 @:/?#ü`).worker });
    await expect(old.connect()).rejects.toMatchObject({ code: '28P01' });
  });
});

describe('rights', () => {
  let databases: Databases;

  beforeAll(async () => {
    databases = await createDatabases(1);
    await databases.query('catalog', `INSERT INTO catalog.campaign (name) VALUES ('c')`);
    await databases.query('catalog', `INSERT INTO catalog.link (campaign_id, kind, original) VALUES (1, 'url', 'http://x/')`);
    await databases.query('catalog', `INSERT INTO catalog.link_version (link_id, version, target) VALUES (1, 1, 'http://x/')`);
    await databases.query('catalog', `INSERT INTO catalog.recipient (email) VALUES ('a@example.com')`);
  });

  const EVENT = `INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, agent_id, rules, kind, verdict)
    VALUES (now(), 0, gen_random_uuid(), gen_random_uuid(), 1, 1, 1, 1, 1, 'click', 'human')`;

  const TEMPORARY = 'CREATE TEMPORARY TABLE mine (x int)';
  const ANYWHERE = [
    'CREATE TABLE public.mine (x int)',
    TEMPORARY,
    'CREATE SCHEMA mine',
    'CREATE ROLE mine',
    'SELECT * FROM pg_authid',
    'SELECT pg_read_file($$/etc/passwd$$)',
    `COPY (SELECT 1) TO PROGRAM 'true'`,
    `COPY (SELECT 1) TO '/tmp/mine'`,
    'SELECT lo_import($$/etc/passwd$$)',
    'CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql RETURN 1',
    `SET ROLE ${OWNER}`,
    `ALTER ROLE ${OWNER} PASSWORD 'mine'`,
    'SELECT * FROM public.clickledger_migration',
  ];

  const RIGHTS: Record<Role, { where: 'catalog' | 'a'; may: string[]; mayNot: string[] }[]> = {
    backend: [
      {
        where: 'catalog',
        may: [
          'SELECT id, campaign_id, kind, version, expires_at, disabled_at, changed FROM catalog.link',
          'SELECT id, fallback_url FROM catalog.campaign',
          'SELECT link_id, version, target FROM catalog.link_version',
          'SELECT name, link_id, changed FROM catalog.alias',
        ],
        mayNot: [
          'SELECT * FROM catalog.recipient',
          'SELECT FROM catalog.mailing',
          'SELECT name FROM catalog.campaign',
          'SELECT original FROM catalog.link',
          'SELECT * FROM catalog.signing_key',
          'INSERT INTO catalog.alias (name, link_id) VALUES ($$a-b$$, 1)',
          'UPDATE catalog.link SET version = 2',
          'UPDATE catalog.link_version SET target = $$http://evil/$$',
          'DELETE FROM catalog.link',
          'INSERT INTO catalog.recipient (email) VALUES ($$b@example.com$$)',
          'DROP TABLE catalog.link',
          'SELECT * FROM analytics.recipients',
          'SELECT * FROM fleet.events',
        ],
      },
    ],
    worker: [
      {
        where: 'catalog',
        may: ['SELECT id, campaign_id FROM catalog.link', 'SELECT fingerprint FROM catalog.signing_key'],
        mayNot: [
          'SELECT * FROM catalog.recipient',
          'SELECT original FROM catalog.link',
          'SELECT * FROM catalog.link_version',
          'SELECT * FROM catalog.campaign',
          'SELECT * FROM catalog.alias',
          'UPDATE catalog.link SET disabled_at = now()',
          'INSERT INTO catalog.signing_key (fingerprint) VALUES ($$x$$)',
          'DELETE FROM catalog.signing_key',
          'SELECT * FROM analytics.events',
        ],
      },
      {
        where: 'a',
        may: [
          EVENT,
          'SELECT name, shards FROM shard.identity',
          `INSERT INTO shard.ledger (gen, committed) VALUES (gen_random_uuid(), '{}')`,
          'UPDATE shard.ledger SET size = 5',
          'SELECT * FROM shard.ledger',
          `INSERT INTO shard.skipped VALUES (gen_random_uuid(), 'forged', 1)`,
          'UPDATE shard.skipped SET lines = lines + 1',
          `INSERT INTO shard.user_agent VALUES (1, '', '', '', '')`,
          `INSERT INTO shard.dead_letter (gen, off, reason, length, hash) VALUES (gen_random_uuid(), 1, 'torn', 1, '')`,
          `INSERT INTO shard.delta (campaign_id, hits, times, recipient_ids, link_ids, profiles, kinds, verdicts, countries, nets, referrers, agent_ids)
           VALUES (1, 1, '{1}', '{1}', '{1}', '{1}', '{click}', '{human}', '{NULL}', '{NULL}', '{NULL}', '{1}')`,
          `SELECT shard.next_deltas(1)`,
          `SELECT shard.take_deltas('{}')`,
          'SELECT shard.ensure_month(now())',
        ],
        mayNot: [
          'SELECT * FROM shard.event',
          'UPDATE shard.event SET recipient_id = 1',
          'DELETE FROM shard.event',
          'TRUNCATE shard.event',
          'DROP TABLE shard.event',
          'DROP TABLE shard.event_default',
          'ALTER TABLE shard.ledger DISABLE TRIGGER ALL',
          'DROP FUNCTION shard.next_deltas',
          'DELETE FROM shard.ledger',
          'TRUNCATE shard.ledger',
          'DELETE FROM shard.skipped',
          'UPDATE shard.user_agent SET client = $$x$$',
          'DELETE FROM shard.delta',
          'SELECT * FROM shard.people',
          'DELETE FROM shard.people',
          'INSERT INTO shard.hit_change SELECT * FROM shard.hit_change',
          'UPDATE shard.activity_15m SET hits = 0',
          `SELECT shard.tell('{1}', '{true}', '{false}')`,
          'DELETE FROM shard.dead_letter',
          'UPDATE shard.identity SET name = $$b$$',
          'SELECT * FROM shard_analytics.events',
          'INSERT INTO shard.event_default SELECT * FROM shard.event_default',
        ],
      },
    ],
    author: [
      {
        where: 'catalog',
        may: [
          `INSERT INTO catalog.campaign (name, fallback_url) VALUES ('d', 'http://x/')`,
          `UPDATE catalog.campaign SET fallback_url = 'http://y/', base_url = 'https://y', sent_at = now(), closed_at = now()`,
          `INSERT INTO catalog.link (campaign_id, kind, original) VALUES (1, 'url', 'http://y/')`,
          'UPDATE catalog.link SET position = 1, version = 1, expires_at = now(), disabled_at = now()',
          `INSERT INTO catalog.link_version (link_id, version, target) VALUES (1, 2, 'http://y/')`,
          `INSERT INTO catalog.alias (name, link_id) VALUES ('a-b', 1)`,
          `INSERT INTO catalog.recipient (email) VALUES ('b@example.com')`,
          'UPDATE catalog.recipient SET opted_out_at = now()',
          'UPDATE catalog.recipient SET email = NULL, external_id = NULL, forgotten_at = now()',
          'UPDATE catalog.recipient SET is_test = true',
          'INSERT INTO catalog.mailing (campaign_id, recipient_id) VALUES (1, 1)',
          'SELECT fingerprint FROM catalog.signing_key',
          'SELECT hash FROM catalog.api_key',
          'UPDATE catalog.api_key SET last_used_at = now()',
          `SELECT catalog.begin_write(NULL, 'campaign.create', 'campaign', '{}')`,
          `SELECT catalog.end_write(1, 200, '{}')`,
          'SELECT * FROM catalog.event_reader',
          'UPDATE catalog.event_reader SET version = 1, page = 1, used_at = now()',
          'DELETE FROM catalog.event_reader',
          `UPDATE catalog.event_reader_ledger SET delivered = delivered + pending, pending = '{}'`,
          'UPDATE catalog.event_reader_position SET change_id = 1',
          'SELECT FROM catalog.api_key FOR NO KEY UPDATE',
          'SELECT catalog.has_account()',
          `SELECT catalog.password_parameters('x'), catalog.open_session('x', '', sha256('x')), catalog.open_external_session('x', sha256('x'), 'oidc')`,
          `SELECT * FROM catalog.find_session(sha256('x'))`,
          `SELECT catalog.end_session(sha256('x')), catalog.open_share(sha256('x'))`,
          TEMPORARY,
        ],
        mayNot: [
          'DELETE FROM catalog.campaign',
          'DELETE FROM catalog.link',
          'DELETE FROM catalog.recipient',
          'TRUNCATE catalog.alias',
          'UPDATE catalog.campaign SET name = $$x$$',
          'UPDATE catalog.link SET original = $$x$$',
          'UPDATE catalog.link SET campaign_id = 1',
          'UPDATE catalog.link SET changed = $$1$$',
          'UPDATE catalog.link_version SET target = $$http://evil/$$',
          'UPDATE catalog.alias SET link_id = 1',
          'INSERT INTO catalog.signing_key (fingerprint) VALUES ($$x$$)',
          'INSERT INTO catalog.shard VALUES ($$z$$, $$zz$$)',
          'INSERT INTO catalog.api_key (id, name, role, hash, rate) VALUES ($$0123456789ab$$, $$x$$, $$analyst$$, sha256($$x$$), 1)',
          'UPDATE catalog.api_key SET revoked_at = NULL',
          'UPDATE catalog.api_key SET role = $$analyst$$',
          'DELETE FROM catalog.api_key',
          'SELECT * FROM catalog.audit_log',
          'INSERT INTO catalog.audit_log (action, object, details) VALUES ($$x$$, $$x$$, $${}$$)',
          'UPDATE catalog.audit_log SET status = 500',
          'DELETE FROM catalog.audit_log',
          'SELECT name FROM catalog.account',
          'SELECT password FROM catalog.account',
          'UPDATE catalog.account SET role = $$owner$$',
          'INSERT INTO catalog.account (name, role) VALUES ($$x$$, $$owner$$)',
          'DELETE FROM catalog.account',
          'SELECT hash FROM catalog.session',
          'SELECT * FROM catalog.live_session',
          'INSERT INTO catalog.session (hash, account_id) VALUES (sha256($$x$$), 1)',
          'DELETE FROM catalog.session',
          'SELECT * FROM catalog.share_link',
          'INSERT INTO catalog.share_link (hash, campaign_id, created_by, expires_at) VALUES (sha256($$x$$), 1, 1, $$infinity$$)',
          'UPDATE catalog.share_link SET revoked_at = NULL',
          `SELECT catalog.record_change(NULL, 'x', 'x', '{}')`,
          `SELECT catalog.add_session(1, sha256('x'), 'password')`,
          `SELECT catalog.acting(sha256('x'), 'owner')`,
          'SELECT catalog.disable(NULL, 1)',
          'SELECT catalog.end_sessions(NULL, 1, NULL)',
          'SELECT catalog.set_password(NULL, 1, NULL, NULL)',
          `SELECT catalog.revoke_key(NULL, 'x')`,
          'SELECT * FROM analytics.events',
          'SELECT * FROM fleet.events',
          `SELECT fleet.attach('a', 'evil', '1', 'x', 'y', 'z')`,
          `${TEMPORARY}; CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION catalog.touch_links()`,
        ],
      },
      {
        where: 'a',
        may: [`SELECT shard.tell('{1}', '{true}', '{false}')`, 'SELECT * FROM shard.recipient'],
        mayNot: [
          'DELETE FROM shard.recipient',
          'INSERT INTO shard.recipient (recipient_id, is_test) VALUES (1, true)',
          `SELECT shard.next_deltas(1)`,
          'SELECT * FROM shard.event',
          'SELECT * FROM shard.counted',
          'SELECT * FROM shard.ledger',
          'SELECT * FROM shard_analytics.events',
          EVENT,
          'SELECT shard.ensure_month(now())',
        ],
      },
    ],
    forwarder: [
      {
        where: 'catalog',
        may: [
          'SELECT * FROM catalog.subscription',
          'SELECT * FROM catalog.subscription_start',
          'UPDATE catalog.subscription SET paused_at = now(), pause_reason = $$x$$, holder = gen_random_uuid(), held_until = now()',
          'SELECT * FROM catalog.delivered',
          'SELECT * FROM catalog.delivered_change',
          'SELECT id, email, external_id FROM catalog.recipient',
        ],
        mayNot: [
          'UPDATE catalog.subscription SET target = $$http://evil/$$',
          'INSERT INTO catalog.subscription (name, target, kinds, wait_seconds, batch) VALUES ($$x$$, $$http://evil/$$, $${click}$$, 0, 1)',
          'DELETE FROM catalog.subscription',
          'DELETE FROM catalog.delivered',
          'DELETE FROM catalog.subscription_start',
          'UPDATE catalog.recipient SET email = NULL',
          'SELECT opted_out_at FROM catalog.recipient',
          'SELECT FROM catalog.link',
          'SELECT FROM catalog.mailing',
          'SELECT * FROM catalog.api_key',
          'SELECT * FROM catalog.signing_key',
          'SELECT * FROM catalog.event_reader',
          'SELECT * FROM analytics.events',
        ],
      },
      {
        where: 'a',
        may: [
          `SELECT * FROM shard.read_ledger('{}')`,
          `SELECT * FROM shard.read_events('{}', '{}', '{}', '{click}', NULL, NULL)`,
          `SELECT * FROM shard.read_changes(0, 'infinity', 1)`,
          'SELECT * FROM shard.last_change()',
          'SELECT * FROM shard.feed_state(now())',
        ],
        mayNot: [
          'SELECT * FROM shard.event',
          'SELECT * FROM shard.verdict_change',
          'SELECT * FROM shard.ledger',
          'UPDATE shard.ledger SET size = 5',
          'DELETE FROM shard.ledger',
          `SELECT shard.drop_changes('1 day')`,
          'SELECT * FROM shard.recipient',
          'SELECT * FROM shard_analytics.events',
          EVENT,
        ],
      },
    ],
    analyst: [
      {
        where: 'catalog',
        may: [
          'events',
          'campaigns',
          'links',
          'recipients',
          'activity_15m',
          'activity',
          'engagement',
          'openers',
          'first_hits',
          'hits_by_day',
          'campaign_totals',
          'campaign_rates',
          'completeness',
          'skipped',
          'dead_letters',
          'link_totals',
          'visitors',
          'passed_on',
          'first_human',
          'facets',
          'mailings',
          'human_clicks',
          'machine_traffic',
          'people',
          'people_hits',
          'people_first',
        ].map((view) => `SELECT * FROM analytics.${view}`),
        mayNot: [
          'SELECT * FROM catalog.recipient',
          'SELECT FROM catalog.link',
          'SELECT * FROM fleet.events',
          'SELECT * FROM fleet.events_a',
          `SELECT fleet.attach('a', 'evil', '1', 'x', 'y', 'z')`,
          'UPDATE analytics.recipients SET email = NULL',
          'DELETE FROM analytics.recipients',
          'INSERT INTO analytics.events SELECT * FROM analytics.events',
          'SELECT * FROM pg_user_mapping',
          'SELECT * FROM catalog.signing_key',
          'SELECT * FROM catalog.api_key',
          'SELECT * FROM catalog.audit_log',
          'SELECT * FROM catalog.event_reader',
          'DELETE FROM catalog.event_reader_ledger',
          'SELECT * FROM catalog.account',
          'SELECT catalog.has_account()',
          `CREATE SERVER mine FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'evil')`,
          `ALTER SERVER shard_a OPTIONS (SET host 'evil')`,
          'CREATE VIEW analytics.mine AS SELECT 1',
        ],
      },
      {
        where: 'a',
        may: [
          'SELECT * FROM shard_analytics.events',
          'SELECT * FROM shard_analytics.ledger',
          `SELECT * FROM shard.read_events('{}', '{}', '{}', '{click}', NULL, NULL)`,
          'SELECT * FROM shard.last_change()',
          'SELECT * FROM shard.feed_state(now())',
        ],
        mayNot: [
          'SELECT * FROM shard.event',
          'SELECT * FROM shard.ledger',
          'SELECT * FROM shard.identity',
          'SELECT * FROM shard.recipient',
          'DELETE FROM shard.event',
          'DELETE FROM shard_analytics.ledger',
          'SELECT shard.drop_months(1)',
          EVENT,
          'SELECT shard.ensure_month(now())',
        ],
      },
    ],
  };

  test.each(ROLES.flatMap((role) => RIGHTS[role].map((rights) => [role, rights.where, rights] as const)))(
    '%s on %s may do what it needs and nothing else',
    async (role, where, { may, mayNot }) => {
      const client = await connectTo(where === 'catalog' ? databases.roleUrls[role] : databases.shardUrlAs('a', role));
      const outcome = async (sql: string): Promise<string> => {
        await client.query('BEGIN');
        const code = await client.query(sql).then(
          () => 'done',
          (error: { code: string }) => error.code,
        );
        await client.query('ROLLBACK');
        return `${code}: ${sql}`;
      };
      for (const sql of may) expect(await outcome(sql)).toBe(`done: ${sql}`);
      const others = ROLES.filter((other) => other !== role).map((other) => `SET ROLE clickledger_${other}`);
      for (const sql of [...ANYWHERE, ...others, ...mayNot].filter((sql) => !may.includes(sql)))
        expect(await outcome(sql)).toBe(`42501: ${sql}`);
    },
  );

  test('a backend cannot even connect to a shard', async () => {
    const client = new pg.Client({ connectionString: databases.shardUrlAs('a', 'backend') });
    await expect(client.connect()).rejects.toMatchObject({ code: '42501' });
  });

  test('no role is more than a role, and the analyst is not shown the password of the foreign servers', async () => {
    const roles = await databases.query(
      'catalog',
      `SELECT rolname FROM pg_roles WHERE rolname LIKE 'clickledger\\_%' AND rolname <> 'clickledger_owner'
         AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)`,
    );
    expect(roles).toEqual([]);
    const analyst = await connectTo(databases.roleUrls.analyst);
    const { rows } = await analyst.query<{ umoptions: unknown }>('SELECT umoptions FROM pg_user_mappings');
    expect(rows).toEqual([{ umoptions: null }]);
  });

  test('a stranger cannot connect', async () => {
    const owner = await connectTo(`${inject('clusterUrl')}/postgres`);
    const name = `stranger_${databases.shards.fingerprint.slice(0, 4)}_${Date.now()}`;
    await owner.query(`CREATE ROLE ${name} LOGIN PASSWORD 'x'`);
    for (const base of [databases.ownerUrl, databases.shardUrlAs('a', 'owner')]) {
      const url = new URL(base);
      url.username = name;
      url.password = 'x';
      await expect(new pg.Client({ connectionString: url.toString() }).connect()).rejects.toMatchObject({ code: '42501' });
    }
    await owner.query(`DROP ROLE ${name}`);
  });
});

describe('analytics over two shards', () => {
  let databases: Databases;
  const gens = { g: '11111111-1111-1111-1111-111111111111', h: '22222222-2222-2222-2222-222222222222' };
  const asAnalyst = async <Row extends pg.QueryResultRow>(sql: string): Promise<Row[]> =>
    (await (await connectTo(databases.roleUrls.analyst)).query<Row>(sql)).rows;

  beforeAll(async () => {
    databases = await createDatabases(2);
    await databases.query('catalog', `INSERT INTO catalog.campaign (name) VALUES ('spring')`);
    await databases.query(
      'catalog',
      `INSERT INTO catalog.link (campaign_id, kind, original) VALUES (1, 'url', 'https://shop.example/'), (1, 'pixel', '')`,
    );
    // There are 100 recipients. Those with odd numbers are on shard a. Each clicks link 1 three times and loads the pixel once. The last
    // click is made by a machine.
    for (const [shard, parity] of [
      ['a', 1],
      ['b', 0],
    ] as const) {
      await databases.query(
        shard,
        `INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, agent_id, link_version, rules, kind, verdict, signals)
         SELECT '2026-03-01T12:00:00Z'::timestamptz + hit * interval '10 minutes', person * 10 + hit, '${gens.g}', gen_random_uuid(), person,
                CASE WHEN hit = 3 THEN 2 ELSE 1 END, 1, 7, 1, 1, CASE WHEN hit = 3 THEN 'open' ELSE 'click' END::shard.kind,
                CASE WHEN hit = 2 THEN 'bot-ua' ELSE 'human' END::shard.verdict, CASE WHEN hit = 2 THEN '{bot-ua}'::text[] END
         FROM generate_series(1, 100) person, generate_series(0, 3) hit WHERE person % 2 = ${parity}`,
      );
    }
    // Clicks on a shared link have no recipient. Half of these clicks are in another campaign.
    await databases.query(
      'a',
      `INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, agent_id, link_version, rules, kind, verdict)
       SELECT '2026-03-01T12:00:00Z', 5000 + n, '${gens.g}', gen_random_uuid(), 0, 1, n % 2 + 1, 8, 1, 1, 'click', 'human' FROM generate_series(1, 10) n`,
    );
    for (const shard of ['a', 'b']) await databases.query(shard, COUNT_ALL);
    await databases.query('a', `INSERT INTO shard.user_agent VALUES (7, 'Firefox', '140', 'Linux', 'desktop')`);
    await databases.query(
      'a',
      `INSERT INTO shard.ledger (gen, committed, size) VALUES ('${gens.g}', '{[0,100),[200,300)}', NULL), ('${gens.h}', '{[0,10)}', 10)`,
    );
    await databases.query('b', `INSERT INTO shard.ledger (gen, committed, size) VALUES ('${gens.g}', '{[0,50)}', 400)`);
    await databases.query('a', `INSERT INTO shard.skipped VALUES ('${gens.g}', 'forged', 3), ('${gens.h}', 'forged', 4)`);
    await databases.query('b', `INSERT INTO shard.skipped VALUES ('${gens.g}', 'forged', 5), ('${gens.g}', 'not-served', 1)`);
    await databases.query('b', `INSERT INTO shard.dead_letter (gen, off, reason, length, hash) VALUES ('${gens.g}', 9, 'torn', 3, 'ab')`);
  });

  test('totals add up, people once each', async () => {
    expect(await asAnalyst('SELECT * FROM analytics.campaign_totals ORDER BY campaign_id, kind')).toEqual([
      { campaign_id: 1, kind: 'click', hits: 305, human_hits: 205, recipients: 100, human_recipients: 100 },
      { campaign_id: 1, kind: 'open', hits: 100, human_hits: 100, recipients: 100, human_recipients: 100 },
      { campaign_id: 2, kind: 'click', hits: 5, human_hits: 5, recipients: 0, human_recipients: 0 },
    ]);
  });

  test('quarters of an hour add up over the shards', async () => {
    const rows = await asAnalyst(
      `SELECT to_char(quarter AT TIME ZONE 'UTC', 'HH24:MI') AS quarter, kind, verdict, hits FROM analytics.activity_15m WHERE campaign_id = 1 ORDER BY 1, 2, 3`,
    );
    expect(rows).toEqual([
      { quarter: '12:00', kind: 'click', verdict: 'human', hits: 205 },
      { quarter: '12:15', kind: 'click', verdict: 'bot-ua', hits: 100 },
      { quarter: '12:30', kind: 'open', verdict: 'human', hits: 100 },
    ]);
  });

  test('what each recipient did is told once, from whichever shard', async () => {
    const rows = await asAnalyst(
      `SELECT recipient_id, link_id, kind, human_hits, machine_hits, (last_at - first_at)::text AS span FROM analytics.activity ORDER BY recipient_id, kind`,
    );
    // An open has the link_id of the campaign's pixel: here 2.
    const expected = Array.from({ length: 100 }, (_, i) => [
      { recipient_id: i + 1, link_id: 1, kind: 'click', human_hits: 2, machine_hits: 1, span: '00:20:00' },
      { recipient_id: i + 1, link_id: 2, kind: 'open', human_hits: 1, machine_hits: 0, span: '00:00:00' },
    ]);
    expect(rows).toEqual(expected.flat());
  });

  test('events are all there, with their user agent where it is known', async () => {
    const rows = await asAnalyst(
      `SELECT shard, client, count(*)::int AS n, count(recipient_id)::int AS of_people, count(*) FILTER (WHERE signals = '{bot-ua}')::int AS bots
       FROM analytics.events GROUP BY shard, client ORDER BY shard, client`,
    );
    expect(rows).toEqual([
      { shard: 'a', client: 'Firefox', n: 200, of_people: 200, bots: 50 },
      { shard: 'a', client: null, n: 10, of_people: 0, bots: 0 },
      { shard: 'b', client: null, n: 200, of_people: 200, bots: 50 },
    ]);
  });

  test('completeness tells what is missing where, also on a shard that has heard nothing of a generation', async () => {
    const rows = await asAnalyst(
      'SELECT gen, shard, size, committed_bytes, missing_bytes, holes FROM analytics.completeness ORDER BY gen, shard',
    );
    expect(rows).toEqual([
      { gen: gens.g, shard: 'a', size: 400, committed_bytes: 200, missing_bytes: 200, holes: 2 },
      { gen: gens.g, shard: 'b', size: 400, committed_bytes: 50, missing_bytes: 350, holes: 1 },
      { gen: gens.h, shard: 'a', size: 10, committed_bytes: 10, missing_bytes: 0, holes: 0 },
      { gen: gens.h, shard: 'b', size: 10, committed_bytes: 0, missing_bytes: 10, holes: 1 },
    ]);
  });

  test('skipped lines and dead letters add up', async () => {
    expect(await asAnalyst('SELECT * FROM analytics.skipped ORDER BY reason')).toEqual([
      { reason: 'forged', lines: 12 },
      { reason: 'not-served', lines: 1 },
    ]);
    expect(await asAnalyst('SELECT shard, gen, off, reason FROM analytics.dead_letters')).toEqual([
      { shard: 'b', gen: gens.g, off: 9, reason: 'torn' },
    ]);
  });

  interface Plan {
    'Node Type': string;
    'Actual Rows': number;
    'Remote SQL'?: string;
    Plans?: Plan[];
  }

  test.each([
    ['campaign_totals', 'SELECT * FROM analytics.campaign_totals WHERE campaign_id = 1', 4],
    ['activity_15m', `SELECT sum(hits) FROM analytics.activity_15m WHERE campaign_id = 1`, 6],
  ])('a count over %s moves no event: each shard sums up its own', async (view, sql, mostRows) => {
    const client = await connectTo(databases.ownerUrl);
    const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(`EXPLAIN (ANALYZE, VERBOSE, FORMAT JSON) ${sql}`);
    const scans: Plan[] = [];
    const collect = (plan: Plan): void => {
      if (plan['Remote SQL']) scans.push(plan);
      plan.Plans?.forEach(collect);
    };
    collect((rows[0] as { 'QUERY PLAN': [{ Plan: Plan }] })['QUERY PLAN'][0].Plan);
    expect(scans).toHaveLength(2);
    for (const scan of scans) {
      expect(scan['Remote SQL']).toContain(`FROM shard_analytics.${view}`);
      expect(scan['Remote SQL']).toContain('campaign_id = 1');
    }
    expect(scans.reduce((sum, scan) => sum + scan['Actual Rows'], 0)).toBeLessThanOrEqual(mostRows);
  });

  test('what one recipient did is found on the shards by the index', async () => {
    const client = await connectTo(shardUrl(databases.shards.named('b'), databases.ownerUrl));
    await client.query('SET enable_seqscan = off');
    const { rows } = await client.query<{ 'QUERY PLAN': string }>('EXPLAIN SELECT * FROM shard_analytics.events WHERE recipient_id = 8');
    expect(rows.map((row) => row['QUERY PLAN']).join('\n')).not.toMatch(/Seq Scan on event/);
  });

  test('every view and every column says what it is', async () => {
    const silent = await databases.query(
      'catalog',
      `SELECT c.relname || coalesce('.' || a.attname, '') AS what
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'analytics'
       LEFT JOIN LATERAL (SELECT 0 AS attnum, NULL::name AS attname UNION ALL SELECT attnum, attname FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0) a ON true
       WHERE coalesce(length(CASE WHEN a.attnum = 0 THEN obj_description(c.oid, 'pg_class') ELSE col_description(c.oid, a.attnum) END), 0) < 5`,
    );
    expect(silent).toEqual([]);
    const views = await databases.query<{ n: number }>('catalog', `SELECT count(*)::int AS n FROM pg_views WHERE schemaname = 'analytics'`);
    expect(views[0]?.n).toBeGreaterThanOrEqual(10);
  });

  test('a shard that is down is an error, never a smaller number', async () => {
    const own = await createDatabases(2);
    const name = new URL(own.shards.named('b').url).pathname.slice(1);
    await own.query('catalog', `ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
    const analyst = await connectTo(own.roleUrls.analyst);
    await expect(analyst.query('SELECT * FROM analytics.campaign_totals')).rejects.toThrow('could not connect to server');
  });
});
