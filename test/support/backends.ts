import type { FastifyInstance } from 'fastify';
import { onTestFinished } from 'vitest';
import { createApp } from '../../backend/app.ts';
import { createLinkStore, type LinkStore } from '../../backend/links.ts';
import { createLogger } from '../../core/log.ts';
import { createPool, type Pool, type PoolClient } from '../../core/postgres.ts';
import { createSlugCodec, type SlugCodec } from '../../core/slug.ts';
import type { Databases } from './databases.ts';
import { temporaryDirectory } from './servers.ts';

export interface TestBackend {
  app: FastifyInstance;
  links: LinkStore;
  slugs: SlugCodec;
  /** The text of every query that was sent to Postgres. */
  queries: string[];
  outcomes: string[];
  clock: { nowMs: number | undefined };
  get(path: string, method?: 'GET' | 'HEAD'): Promise<{ status: number; headers: Record<string, unknown>; body: string }>;
  /** Stops polling and closes the pool, as a shutdown does. */
  stop(): Promise<void>;
}

/** Connects the modules of the backend in the same way as its main.ts. The connection pool records its queries. */
export async function startTestBackend(
  databases: Databases,
  options: { stateDir?: string; pollMs?: number; wrap?: (query: Pool['query']) => Pool['query'] } = {},
): Promise<TestBackend> {
  const stateDir = options.stateDir ?? (await temporaryDirectory());
  const pool = createPool(databases.roleUrls.backend, { max: 2, name: 'test backend' });
  const queries: string[] = [];
  const wrapQuery = (target: { query: Pool['query'] }): void => {
    const original = target.query.bind(target) as (...args: unknown[]) => unknown;
    const recorded = ((...args: unknown[]) => {
      queries.push(String(args[0]));
      return original(...args);
    }) as Pool['query'];
    target.query = options.wrap ? options.wrap(recorded) : recorded;
  };
  wrapQuery(pool);
  // A poll takes a connection of its own. `pool.query` calls `connect` with a callback, and its queries are recorded already.
  const connect = pool.connect.bind(pool) as (...args: unknown[]) => Promise<PoolClient>;
  pool.connect = (async (...args: unknown[]) => {
    if (args.length > 0) return connect(...args);
    const client = await connect();
    // The pool gives the same client again later, so its own method is put back when it is released.
    const own = Object.getOwnPropertyDescriptor(client, 'query');
    const release = client.release.bind(client);
    wrapQuery(client as unknown as { query: Pool['query'] });
    client.release = (error) => {
      if (own) Object.defineProperty(client, 'query', own);
      else Reflect.deleteProperty(client, 'query');
      release(error);
    };
    return client;
  }) as Pool['connect'];
  const links = createLinkStore({ pool, stateDir, log: createLogger('test', 'silent'), pollMs: options.pollMs ?? 50 });
  const slugs = createSlugCodec(databases.keys);
  const outcomes: string[] = [];
  const clock: TestBackend['clock'] = { nowMs: undefined };
  const app = createApp({ slugs, links, now: () => clock.nowMs ?? Date.now(), onOutcome: (kind) => outcomes.push(kind) });
  const controller = new AbortController();
  let polling: Promise<void> | undefined;
  let stopping: Promise<void> | undefined;
  const stop = () =>
    (stopping ??= (async () => {
      controller.abort();
      await polling;
      await pool.end();
    })());
  onTestFinished(async () => {
    await stop();
    await app.close();
  });
  await links.load();
  polling = links.keepFresh(controller.signal);
  return {
    app,
    links,
    slugs,
    queries,
    outcomes,
    clock,
    stop,
    async get(path, method = 'GET') {
      const response = await app.inject({ method, url: path });
      return { status: response.statusCode, headers: response.headers, body: response.body };
    },
  };
}
