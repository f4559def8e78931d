import { mkdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { beforeEach, describe, expect, test } from 'vitest';
import { createSlugCodec, parseSlugKeys } from '../core/slug.ts';
import type { Pool } from '../core/postgres.ts';
import { startTestBackend } from '../test/support/backends.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { eventually, temporaryDirectory } from '../test/support/servers.ts';
import { backendHealth } from './health.ts';

const NEVER_MS = 3_600_000;
let databases: Databases;

beforeEach(async () => {
  databases = await createDatabases(1);
  await databases.query('catalog', `INSERT INTO catalog.campaign (name) VALUES ('c')`);
});

async function addLink(
  target: string,
  execute: (sql: string, values: unknown[]) => Promise<unknown> = (sql, values) => databases.query('catalog', sql, values),
): Promise<number> {
  await execute(
    `WITH created AS (INSERT INTO catalog.link (campaign_id, kind, label, original) VALUES (1, 'url', $1, $1) RETURNING id)
     INSERT INTO catalog.link_version (link_id, version, target) SELECT id, 1, $1 FROM created`,
    [target],
  );
  const [row] = await databases.query<{ id: number }>(
    'catalog',
    `SELECT coalesce(max(id), 0) AS id FROM catalog.link WHERE original = $1`,
    [target],
  );
  return Number(row?.id);
}

async function retarget(link: number, target: string): Promise<void> {
  await databases.query(
    'catalog',
    `WITH next AS (UPDATE catalog.link SET version = version + 1 WHERE id = $1 RETURNING id, version)
     INSERT INTO catalog.link_version (link_id, version, target) SELECT id, version, $2 FROM next`,
    [link, target],
  );
}

/** Makes the catalog database refuse all connections until `restart`. */
async function stopCatalog(): Promise<{ restart(): Promise<void> }> {
  const name = new URL(databases.ownerUrl).pathname.slice(1);
  await databases.query('a', `ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
  await databases.query('a', 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name]);
  return { restart: async () => void (await databases.query('a', `ALTER DATABASE ${name} ALLOW_CONNECTIONS true`)) };
}

const isPoll = (sql: string) => sql.includes('changed >=') || sql.includes('pg_snapshot_xmin');
const countPolls = (queries: string[]) => queries.filter((sql) => sql.includes('pg_snapshot_xmin')).length;

describe('changes of the catalog', () => {
  test('a link made a moment ago is found at once, without waiting for a look', async () => {
    const backend = await startTestBackend(databases, { pollMs: NEVER_MS });
    const link = await addLink('http://x/new');
    const { status, headers } = await backend.get(`/u/${backend.slugs.encode({ link, recipient: 1 })}`);
    expect([status, headers['location']]).toEqual([302, 'http://x/new']);
  });

  test('a link whose address is committed after it is served once it has one', async () => {
    const backend = await startTestBackend(databases);
    await databases.query('catalog', `INSERT INTO catalog.link (campaign_id, kind, original) VALUES (1, 'url', 'http://x/late')`);
    const path = `/u/${backend.slugs.encode({ link: 1, recipient: 1 })}`;
    const before = countPolls(backend.queries);
    await eventually('two more polls', () => countPolls(backend.queries) > before + 1);
    expect((await backend.get(path)).status).toBe(404);
    await databases.query('catalog', `INSERT INTO catalog.link_version (link_id, version, target) VALUES (1, 1, 'http://x/late')`);
    await eventually('it is served', async () => (await backend.get(path)).status === 302);
  });

  test('a changed address, an end, a new alias and a new fallback are served after the next look', async () => {
    const link = await addLink('http://x/old');
    const backend = await startTestBackend(databases);
    const path = `/u/${backend.slugs.encode({ link, recipient: 1 })}`;
    const leadsTo = (target: string, xLink: string) =>
      eventually(`it leads to ${target}`, async () => {
        const { headers } = await backend.get(path);
        return headers['location'] === target && headers['x-link'] === xLink;
      });
    await leadsTo('http://x/old', `${link}.1`);
    await retarget(link, 'http://x/new');
    await leadsTo('http://x/new', `${link}.2`);
    await databases.query('catalog', `UPDATE catalog.link SET disabled_at = now() - interval '1 second' WHERE id = $1`, [link]);
    await eventually('it is gone', async () => (await backend.get(path)).status === 410);
    await databases.query('catalog', `UPDATE catalog.campaign SET fallback_url = 'http://x/fallback'`);
    await leadsTo('http://x/fallback', `${link}.0`);
    await databases.query('catalog', 'UPDATE catalog.link SET disabled_at = NULL WHERE id = $1', [link]);
    await databases.query('catalog', 'UPDATE catalog.campaign SET pass_query = true');
    await eventually('queries are passed on', async () => (await backend.get(`${path}?a=1`)).headers['location'] === 'http://x/new?a=1');
    await databases.query('catalog', 'UPDATE catalog.campaign SET pass_query = false');
    await eventually('they are dropped', async () => (await backend.get(`${path}?a=1`)).headers['location'] === 'http://x/new');
    await databases.query('catalog', `INSERT INTO catalog.alias (name, link_id) VALUES ('new-name', $1)`, [link]);
    await eventually('the alias leads there', async () => (await backend.get('/u/new-name')).headers['location'] === 'http://x/new');
  });

  test('a transaction that began before a look and ends after later ones is not missed', async () => {
    const [slow, quick] = [await addLink('http://x/slow'), await addLink('http://x/quick')];
    const backend = await startTestBackend(databases);
    const served = async (link: number) => (await backend.get(`/u/${backend.slugs.encode({ link, recipient: 1 })}`)).headers['x-link'];
    const late = await databases.begin('catalog');
    await late.query('UPDATE catalog.link SET version = 2 WHERE id = $1', [slow]);
    await late.query(`INSERT INTO catalog.link_version (link_id, version, target) VALUES ($1, 2, 'http://x/slow2')`, [slow]);
    await retarget(quick, 'http://x/quick2');
    await eventually('the quick one is served', async () => (await served(quick)) === `${quick}.2`);
    const before = countPolls(backend.queries);
    await eventually('some more polls', () => countPolls(backend.queries) > before + 3);
    expect(await served(slow)).toBe(`${slow}.1`);
    await late.query('COMMIT');
    await eventually('the slow one is served', async () => (await served(slow)) === `${slow}.2`);
  });

  test('a look brings again what an older transaction could still add to, and nothing once there is none', async () => {
    const older = await databases.begin('catalog', 'SELECT pg_current_xact_id()');
    await addLink('http://x/1');
    const found: number[] = [];
    await startTestBackend(databases, {
      wrap: (query) =>
        (async (...args: unknown[]) => {
          const result = (await (query as (...a: unknown[]) => Promise<pg.QueryResult>)(...args)) as pg.QueryResult;
          if (String(args[0]).includes('catalog.link_version') && String(args[0]).includes('changed >=')) found.push(result.rows.length);
          return result;
        }) as unknown as Pool['query'],
    });
    await eventually('some polls', () => found.length > 3);
    expect(new Set(found)).toEqual(new Set([1]));
    await older.query('COMMIT');
    // While transactions of other tests run on the same cluster, polls read the same rows again. So the test waits.
    await eventually('polls read no more rows', () => found.length > 3 && found.slice(-3).every((rows) => rows === 0));
  });
});

describe('what requests cost', () => {
  test('known links, forged slugs and nonsense cost no query at all', async () => {
    const link = await addLink('http://x/1');
    const backend = await startTestBackend(databases, { pollMs: NEVER_MS });
    const stranger = createSlugCodec(parseSlugKeys('12'.repeat(32)));
    const before = backend.queries.length;
    for (let i = 1; i <= 100; i++) {
      expect((await backend.get(`/u/${backend.slugs.encode({ link, recipient: i })}`)).status).toBe(302);
      expect((await backend.get(`/u/${stranger.encode({ link, recipient: i })}`)).status).toBe(404);
      expect((await backend.get(`/u/nonsense${i}`)).status).toBe(404);
    }
    expect(backend.queries.length).toBe(before);
  });

  test('unknown aliases wait for the next look and cost no query of their own', async () => {
    const backend = await startTestBackend(databases);
    const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => backend.get(`/u/made-up-${i}`)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([404]));
    expect(backend.queries.filter((sql) => !isPoll(sql))).toEqual([]);
    expect(backend.queries.length).toBeLessThanOrEqual(3 * countPolls(backend.queries));
  });

  test('an alias made just now is found by the request that waited for the look', async () => {
    const link = await addLink('http://x/1');
    const backend = await startTestBackend(databases, { pollMs: 300 });
    // The lock makes a poll that starts before the commit wait until the alias is committed.
    const creating = await databases.begin('catalog', 'LOCK TABLE catalog.alias IN ACCESS EXCLUSIVE MODE');
    const answer = backend.get('/u/just-now');
    await creating.query(`INSERT INTO catalog.alias (name, link_id) VALUES ('just-now', $1)`, [link]);
    await creating.query('COMMIT');
    const { status, headers } = await answer;
    expect([status, headers['location']]).toEqual([302, 'http://x/1']);
  });

  test('more than a thousand waiting aliases are not collected: the rest is answered at once', async () => {
    const backend = await startTestBackend(databases, { pollMs: NEVER_MS });
    const waiting = Array.from({ length: 1000 }, (_, i) => backend.links.findAlias(`a-${i}`));
    expect(await backend.links.findAlias('one-more')).toBeUndefined();
    await backend.stop();
    expect(await Promise.all(waiting)).toEqual(Array.from({ length: 1000 }, () => undefined));
  });

  test('a signed slug of a link that does not exist is asked for once, however many ask', async () => {
    const backend = await startTestBackend(databases, { pollMs: NEVER_MS });
    const path = `/u/${backend.slugs.encode({ link: 4711, recipient: 1 })}`;
    await Promise.all(Array.from({ length: 50 }, () => backend.get(path)));
    for (let i = 0; i < 10; i++) expect((await backend.get(path)).status).toBe(404);
    expect(backend.queries.filter((sql) => !isPoll(sql))).toHaveLength(1);
  });

  test('a link that did not exist a moment ago is served once it does', async () => {
    const backend = await startTestBackend(databases);
    const path = `/u/${backend.slugs.encode({ link: 1, recipient: 1 })}`;
    expect((await backend.get(path)).status).toBe(404);
    expect(await addLink('http://x/1')).toBe(1);
    await eventually('it is served', async () => (await backend.get(path)).status === 302);
  });
});

describe('look-ups and looks at the same time', () => {
  test('what a look-up brings late does not take the place of what a look has brought meanwhile', async () => {
    let release: (() => void) | undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const backend = await startTestBackend(databases, {
      wrap: (query) =>
        (async (...args: unknown[]) => {
          const result: unknown = await (query as (...a: unknown[]) => Promise<unknown>)(...args);
          if (!isPoll(String(args[0]))) await held;
          return result;
        }) as unknown as Pool['query'],
    });
    // A poll that runs while the link is created could cache it before the request arrives.
    const late = await databases.begin('catalog', 'LOCK TABLE catalog.alias IN ACCESS EXCLUSIVE MODE');
    const link = await addLink('http://x/1');
    const path = `/u/${backend.slugs.encode({ link, recipient: 1 })}`;
    const known = backend.links.cachedRoute(link);
    const first = backend.get(path);
    if (known === undefined) await eventually('it is looked up', () => backend.queries.some((sql) => !isPoll(sql)));
    await retarget(link, 'http://x/2');
    await late.query('COMMIT');
    await eventually('a poll has read the change', () => backend.links.cachedRoute(link)?.version === 2);
    release?.();
    await first;
    expect(backend.links.cachedRoute(link)?.version).toBe(2);
    expect((await backend.get(path)).headers['location']).toBe('http://x/2');
  });
});

describe('while Postgres is gone', () => {
  test('known links are served, it says that it is stale, and it recovers by itself', async () => {
    const link = await addLink('http://x/1');
    const backend = await startTestBackend(databases);
    const path = `/u/${backend.slugs.encode({ link, recipient: 1 })}`;
    expect(backend.links.fresh()).toBe(true);
    const catalog = await stopCatalog();
    await eventually('it notices', () => !backend.links.fresh());
    expect((await backend.get(path)).headers['location']).toBe('http://x/1');
    expect((await backend.get('/u/no-such-alias')).status).toBe(404);
    const unknown = await backend.get(`/u/${backend.slugs.encode({ link: 4711, recipient: 1 })}`);
    expect([unknown.status, unknown.headers['retry-after']]).toEqual([503, '5']);
    await catalog.restart();
    await retarget(link, 'http://x/2');
    await eventually('it is fresh again', () => backend.links.fresh());
    await eventually('the change is served', async () => (await backend.get(path)).headers['location'] === 'http://x/2');
  });

  test('a link that could not be looked up is looked up again when Postgres is back', async () => {
    const backend = await startTestBackend(databases, { pollMs: NEVER_MS });
    const link = await addLink('http://x/1');
    const path = `/u/${backend.slugs.encode({ link, recipient: 1 })}`;
    const catalog = await stopCatalog();
    expect((await backend.get(path)).status).toBe(503);
    await catalog.restart();
    expect((await backend.get(path)).status).toBe(302);
  });

  test('what is known survives a Postgres that counts its transactions anew and fails in that very look', async () => {
    const link = await addLink('http://x/1');
    let ahead = true;
    let failures = 0;
    const backend = await startTestBackend(databases, {
      wrap: (query) =>
        (async (...args: unknown[]) => {
          if (String(args[0]).includes('pg_snapshot_xmin') && ahead) {
            ahead = false;
            return { rows: [{ xmin: '999999999999' }] };
          }
          const values = args[1] as string[] | undefined;
          if (failures > 0 && values?.[0] === '0') {
            failures--;
            throw new Error('gone');
          }
          return (query as (...a: unknown[]) => Promise<unknown>)(...args);
        }) as unknown as Pool['query'],
    });
    failures = 3;
    await eventually('the polls have failed', () => failures === 0);
    expect(backend.links.cachedRoute(link)).toBeDefined();
    await eventually('it is fresh again', () => backend.links.fresh());
    expect(backend.links.cachedRoute(link)).toBeDefined();
  });

  test('it starts from the snapshot, also with links that were looked up, and recovers', async () => {
    const stateDir = await temporaryDirectory();
    const link = await addLink('http://x/ü');
    await databases.query('catalog', `INSERT INTO catalog.alias (name, link_id) VALUES ('an-alias', $1)`, [link]);
    const before = await startTestBackend(databases, { stateDir, pollMs: 200 });
    const second = await addLink('http://x/2');
    expect((await before.get(`/u/${before.slugs.encode({ link: second, recipient: 1 })}`)).status).toBe(302);
    await databases.query('catalog', 'UPDATE catalog.campaign SET pass_query = true');
    await eventually('both pass queries on', () => [link, second].every((id) => before.links.cachedRoute(id)?.passQuery));
    await eventually('the snapshot has both', async () =>
      (await readFile(join(stateDir, 'routes.json'), 'utf8')).includes(`"passQuery":[${link},${second}]`),
    );
    await eventually('the snapshot has it', async () => (await readFile(join(stateDir, 'routes.json'), 'utf8')).includes('http://x/2'));
    await before.stop();

    const hourAgo = new Date(Date.now() - 3600_000);
    await utimes(join(stateDir, 'routes.json'), hourAgo, hourAgo);
    const catalog = await stopCatalog();
    const backend = await startTestBackend(databases, { stateDir });
    expect(backend.links.fresh()).toBe(false);
    expect(backend.links.ageMs()).toBeGreaterThanOrEqual(3600_000);
    expect(backendHealth(backend.links, true).degraded).toMatchObject([{ code: 'links-stale' }]);
    for (const id of [link, second]) expect((await backend.get(`/u/${backend.slugs.encode({ link: id, recipient: 1 })}`)).status).toBe(302);
    expect([link, second].every((id) => backend.links.cachedRoute(id)?.passQuery)).toBe(true);
    const { headers } = await backend.get('/u/an-alias');
    expect(Buffer.from(String(headers['location']), 'latin1').toString()).toBe('http://x/ü');
    await catalog.restart();
    await eventually('it is fresh again', () => backend.links.fresh());
    expect(backend.links.ageMs()).toBeLessThan(3600_000);
  });

  test('a snapshot that an older version wrote is read', async () => {
    const stateDir = await temporaryDirectory();
    await writeFile(join(stateDir, 'routes.json'), '{"v":1,"links":[[1,2,"http://x/",null,null,null]],"aliases":[]}');
    await stopCatalog();
    const backend = await startTestBackend(databases, { stateDir });
    expect(backend.links.cachedRoute(1)).toMatchObject({ target: 'http://x/', passQuery: false });
  });

  test('a snapshot that cannot be written only degrades it', async () => {
    const directory = await temporaryDirectory();
    const stateDir = join(directory, 'state');
    const backend = await startTestBackend(databases, { stateDir });
    expect(backendHealth(backend.links, true).degraded).toMatchObject([{ code: 'snapshot-unwritable' }]);
    await mkdir(stateDir);
    await addLink('http://x/new');
    await eventually('it is well once it can be', () => backendHealth(backend.links, true).degraded.length === 0);
  });

  test.each([
    ['no snapshot', undefined],
    ['half a snapshot', '{"v":1,"links":[[1,1,"http://x/'],
    ['an empty one', ''],
    ['one of another version', '{"v":2,"links":[],"aliases":[]}'],
    ['one with a wrong type', '{"v":1,"links":[["1",1,null,null,null,null]],"aliases":[]}'],
  ])('with %s it does not start, and says why in one line', async (_, content) => {
    const stateDir = await temporaryDirectory();
    if (content !== undefined) await writeFile(join(stateDir, 'routes.json'), content);
    await stopCatalog();
    const failure = await startTestBackend(databases, { stateDir }).then(
      () => undefined,
      (error: unknown) => error as Error & { code?: string },
    );
    expect(failure).toMatchObject({ name: 'ClickledgerError', code: 'unavailable' });
    expect(failure?.message).toContain('snapshot');
    expect(failure?.message).not.toContain('\n');
  });

  test('a snapshot that cannot be read is no reason not to start while Postgres is there', async () => {
    const stateDir = await temporaryDirectory();
    await writeFile(join(stateDir, 'routes.json'), 'garbage');
    const link = await addLink('http://x/1');
    const backend = await startTestBackend(databases, { stateDir });
    expect(backend.links.cachedRoute(link)).toBeDefined();
    expect(await readFile(join(stateDir, 'routes.json'), 'utf8')).toContain('http://x/1');
  });
});

test('after the polling has ended nobody waits for ever for a look that will not come', async () => {
  const backend = await startTestBackend(databases);
  const running = backend.get('/u/asked-before');
  await backend.stop();
  expect((await running).status).toBe(404);
  expect((await backend.get('/u/asked-after')).status).toBe(503);
});
