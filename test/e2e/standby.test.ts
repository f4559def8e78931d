import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { ensureCampaign } from '../../authoring/campaigns.ts';
import { ensureLink, retarget } from '../../authoring/links.ts';
import { distinctServers, readServers } from '../../core/database-servers.ts';
import { createPool, type Pool } from '../../core/postgres.ts';
import { parseShards } from '../../core/shards.ts';
import { connect } from '../../sql/connect.ts';
import { migrate, ROLES, type RoleUrls } from '../../sql/migrate.ts';
import { describeDatabases, type Databases } from '../support/databases.ts';
import { startTestBackend } from '../support/backends.ts';
import { type Replicas, type ReplicatedServer, startReplicas } from '../support/replicas.ts';
import { eventually } from '../support/servers.ts';

// One primary and one standby: which of them a connection reaches, and what a backend knows that reads the standby.

let replicas: Replicas;
let primary: ReplicatedServer;
let standby: ReplicatedServer;
let databases: Databases;

const urlFor = (role: string, hosts: string, attrs: string): string =>
  `postgres://clickledger_${role}:of-${role}@${hosts}/clickledger?target_session_attrs=${attrs}`;

beforeAll(async () => {
  replicas = await startReplicas(1, afterAll);
  [primary, standby] = replicas.servers as [ReplicatedServer, ReplicatedServer];
  const { settings } = replicas;
  const roleUrls = Object.fromEntries(ROLES.map((role) => [role, settings[`${role.toUpperCase()}_URL`]])) as RoleUrls;
  databases = { ...describeDatabases(), ownerUrl: settings['CATALOG_URL'] ?? '', roleUrls, shards: parseShards(settings['SHARDS'] ?? '') };
  await migrate(databases);
}, 120_000);

function poolOf(hosts: string, attrs: string, role = 'author'): Pool {
  const pool = createPool(urlFor(role, hosts, attrs), { max: 2, name: 'test' });
  onTestFinished(() => pool.end());
  return pool;
}

const portOf = async (pool: Pool): Promise<number> =>
  (await pool.query<{ port: number }>('SELECT inet_server_port() AS port')).rows[0]?.port ?? 0;

describe('a connection to several hosts', () => {
  let hosts: string[];
  beforeEach(() => {
    hosts = [replicas.hosts, replicas.hosts.split(',').reverse().join(',')];
  });

  test.each([
    ['read-write', 'primary'],
    ['primary', 'primary'],
    ['read-only', 'standby'],
    ['standby', 'standby'],
    ['prefer-standby', 'standby'],
  ] as const)('with %s reaches the %s, in any order of the hosts', async (attrs, wanted) => {
    for (const list of hosts) expect(await portOf(poolOf(list, attrs))).toBe({ primary, standby }[wanted].port);
  });

  test('with any reaches the first that answers', async () => {
    expect(await portOf(poolOf(replicas.hosts, 'any'))).toBe(primary.port);
    expect(await portOf(poolOf(`127.0.0.1:1,${replicas.hosts}`, 'any'))).toBe(primary.port);
  });

  test('is also made by migrations, to the primary', async () => {
    const client = await connect(urlFor('author', hosts[1] ?? '', 'read-write'));
    expect((await client.query<{ port: number }>('SELECT inet_server_port() AS port')).rows[0]?.port).toBe(primary.port);
    await client.end();
  });

  test('fails at once with a wrong password, and with a reason if no server is the wanted one', async () => {
    const wrong = createPool(urlFor('author', replicas.hosts, 'read-write').replace('of-author', 'other'), { max: 1, name: 'test' });
    onTestFinished(() => wrong.end());
    await expect(wrong.query('SELECT 1')).rejects.toMatchObject({ code: '28P01' });
    await expect(poolOf(`127.0.0.1:${standby.port},127.0.0.1:1`, 'read-write').query('SELECT 1')).rejects.toThrow();
    await expect(poolOf(`127.0.0.1:${standby.port}`, 'primary').query('SELECT 1')).rejects.toThrow(
      'no database server in the URL is primary',
    );
  });

  test('through a callback works, too', async () => {
    const pool = poolOf(replicas.hosts, 'read-write');
    const port = await new Promise((resolve, reject) => {
      pool.query('SELECT inet_server_port() AS port', (error: Error | null, result) =>
        error ? reject(error) : resolve(result.rows[0].port),
      );
    });
    expect(port).toBe(primary.port);
  });
});

test('the servers are known: who is the primary, and how far the standby is behind', async () => {
  const [group] = distinctServers([urlFor('analyst', replicas.hosts, 'any'), urlFor('worker', replicas.hosts, 'read-write')]);
  const url = group?.url ?? '';
  const [first, second] = replicas.hosts.split(',');
  await eventually('the standby has everything', async () => (await readServers(url))[1]?.behind_bytes === 0);
  expect(await readServers(url)).toEqual([
    { host: first, state: 'primary', behind_bytes: null, timeline: 1 },
    { host: second, state: 'standby', behind_bytes: 0, timeline: null },
  ]);
  expect(await readServers(url.replace(first ?? '', '127.0.0.1:1'))).toMatchObject([
    { state: 'silent' },
    { state: 'standby', behind_bytes: null },
  ]);
});

describe('a backend that reads the standby', () => {
  test('serves new and changed links, and answers 503 for a link that the standby does not have yet', async () => {
    const author = poolOf(replicas.hosts, 'read-write');
    const backend = await startTestBackend(databases);
    const { id } = await ensureCampaign(author, 'standby');
    const link = await ensureLink(author, id, { kind: 'url', target: 'https://www.example.com/1' });
    const path = `/u/${backend.slugs.encode({ link, recipient: 1 })}`;
    await eventually('the link is served', async () => (await backend.get(path)).status === 302);
    await retarget(author, link, 'https://www.example.com/2');
    await eventually('the change is served', async () => (await backend.get(path)).headers['location'] === 'https://www.example.com/2');
    expect((await backend.get(`/u/${backend.slugs.encode({ link: 4711, recipient: 1 })}`)).status).toBe(503);
    expect(backend.links.fresh()).toBe(true);
  });

  test('says how old its copy is', async () => {
    const backend = await startTestBackend(databases);
    await primary.query('clickledger', `UPDATE catalog.heartbeat SET at = now() - interval '1 hour'`);
    await eventually('the copy is an hour old', () => backend.links.ageMs() >= 3_600_000);
    expect(backend.links.fresh()).toBe(false);
    await primary.query('clickledger', 'UPDATE catalog.heartbeat SET at = now()');
    await eventually('the copy is fresh again', () => backend.links.fresh());
  });
});

test('after the primary has died and the standby was promoted, the same pools go on, and backends have all links', async () => {
  const author = poolOf(replicas.hosts, 'read-write');
  const backend = await startTestBackend(databases);
  const { id } = await ensureCampaign(author, 'promoted');
  const linkTo = async (target: string): Promise<string> => {
    const link = await ensureLink(author, id, { kind: 'url', target });
    return `/u/${backend.slugs.encode({ link, recipient: 1 })}`;
  };
  const known = await linkTo('https://www.example.com/known');
  await eventually('the link is served', async () => (await backend.get(known)).status === 302);
  // The standby does not get this link, but the backend has it from the primary in memory.
  await standby.stopReplication();
  await primary.kill();
  expect((await backend.get(known)).status).toBe(302);
  await standby.promote();
  await eventually('the new primary accepts a link', () =>
    linkTo('https://www.example.com/new').then(
      () => true,
      () => false,
    ),
  );
  expect(await portOf(author)).toBe(standby.port);
  const later = await linkTo('https://www.example.com/later');
  await eventually('the later link is served', async () => (await backend.get(later)).status === 302);
  expect((await backend.get(known)).status).toBe(302);
  await eventually('the backend is fresh', () => backend.links.fresh());
});
