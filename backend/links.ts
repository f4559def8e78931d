import { ClickledgerError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { type Pool, type PoolClient, withClient } from '../core/postgres.ts';
import { sleep, withTimeout } from '../core/time.ts';
import { readChanges, readRoute } from './catalog.ts';
import { emptyRoutes, type Route, type Routes } from './routes.ts';
import { readSnapshot, writeSnapshot } from './snapshot.ts';

// Keeps all routes in memory and up to date, and finds new links.
//
//   loading ──first poll──► fresh ──a poll fails──► stale (serves the routes in memory) ──a poll succeeds──► fresh
//      └──no database, but a snapshot──► stale
//
// A poll reads the changes since the previous poll, every `pollMs`. For a verified slug of an unknown link, the backend queries the link at
// once, with at most one query per link at a time. Anybody can invent an alias, so an unknown alias causes no query. Such a request waits
// for the next poll.

export interface LinkStore {
  /** Loads all routes from the database, or from the snapshot if the database does not answer. Rejects if neither can be read. */
  load(): Promise<void>;
  /** Polls the catalog until `signal` aborts. */
  keepFresh(signal: AbortSignal): Promise<void>;
  cachedRoute(link: number): Route | undefined;
  cachedAlias(name: string): number | undefined;
  /** Queries the link of a verified slug that is not in memory, because the link may be new. Rejects if Postgres does not answer. */
  findRoute(link: number): Promise<Route | undefined>;
  /**
   * Waits for the next poll and returns the link of an alias that was not in memory. Returns undefined at once if the links are stale or
   * too many requests wait. Rejects if it is not there, and the copy of the standby is late.
   */
  findAlias(name: string): Promise<number | undefined>;
  /**
   * Milliseconds since the start of the last successful poll, and the age of the copy if it read a standby. Before the first poll,
   * milliseconds since the snapshot was written.
   */
  ageMs(): number;
  /** Whether the last poll succeeded, is recent, and did not read an old copy. The age is checked too, because a poll may hang. */
  fresh(): boolean;
  /** Whether the last attempt to write the snapshot succeeded. */
  snapshotWritten(): boolean;
  size(): { links: number; aliases: number };
}

// The maximum number of requests that wait for one poll. Further requests for unknown aliases are answered with 404 at once.
const MAX_WAITING_REQUESTS = 1000;
const MISS_CACHE_MS = 1000;
// The maximum time that a request waits for Postgres. It is shorter than proxy_read_timeout in nginx, so that a request still gets an
// answer when Postgres is frozen.
const MAX_WAIT_MS = 1500;
const STALE_AFTER_MS = 10_000;
/** The copy of a standby may be that old. It includes the time between two heartbeats. */
const STALE_COPY_MS = 30_000;
/** A copy that is older than this lacks changes: the heartbeat comes every 5 s. */
const LATE_COPY_MS = 10_000;
/** The pause after a snapshot could not be written. Writing takes long if there are many links. */
const SNAPSHOT_RETRY_MS = 60_000;

export function createLinkStore(deps: { pool: Pool; stateDir: string; log: Logger; pollMs?: number }): LinkStore {
  const { pool, stateDir, log, pollMs = 1000 } = deps;
  let routes: Routes = emptyRoutes();
  let since = 0n;
  let server: string | undefined;
  let copyAgeMs = 0;
  let fresh = false;
  let polledMs = Number.NEGATIVE_INFINITY;
  let snapshotFailedMs: number | undefined;
  /** Whether the routes in memory differ from the snapshot. */
  let snapshotOutdated = false;
  let waiting: (() => void)[] = [];
  const runningQueries = new Map<number, Promise<Route | undefined>>();
  const misses = new Map<number, number>();

  async function poll(client: PoolClient): Promise<void> {
    const startedMs = performance.now();
    let changes = await readChanges(client, since);
    // Another server may count its transactions differently: a standby that was promoted, or a cluster that was restored from a dump. So all
    // rows are read. Routes that it does not have stay in memory: it may be a standby that gets them in a moment, and if they are lost there,
    // recipients still have their links.
    if (changes.nextSince < since || (server !== undefined && changes.server !== server)) changes = await readChanges(client, 0n);
    for (const route of changes.routes) {
      snapshotOutdated ||= JSON.stringify(routes.links.get(route.link)) !== JSON.stringify(route);
      routes.links.set(route.link, route);
    }
    for (const { name, link } of changes.aliases) {
      snapshotOutdated ||= routes.aliases.get(name) !== link;
      routes.aliases.set(name, link);
    }
    since = changes.nextSince;
    server = changes.server;
    copyAgeMs = changes.copyAgeMs;
    polledMs = startedMs;
  }

  async function saveSnapshot(): Promise<void> {
    snapshotOutdated = false;
    try {
      await writeSnapshot(stateDir, routes);
      snapshotFailedMs = undefined;
    } catch (error) {
      snapshotFailedMs = performance.now();
      log.warn({ err: error }, 'cannot write the snapshot of the links, which a start without Postgres needs; check STATE_DIR');
    }
  }

  async function queryRoute(link: number): Promise<Route | undefined> {
    try {
      const route = await withTimeout(readRoute(pool, link), MAX_WAIT_MS);
      // A poll may have read a later version in the meantime. If the queried version is outdated, the next poll corrects it.
      if (route && !routes.links.has(link)) {
        routes.links.set(link, route);
        snapshotOutdated = true;
      }
      if (!route) misses.set(link, Date.now());
      return routes.links.get(link);
    } catch (error) {
      log.warn({ err: error }, 'cannot look up a link in Postgres; clicks on it are answered with 503');
      throw error;
    } finally {
      runningQueries.delete(link);
    }
  }

  return {
    async load() {
      try {
        await withClient(pool, poll);
        fresh = true;
        await saveSnapshot();
      } catch (error) {
        const snapshot = await readSnapshot(stateDir);
        if (!snapshot) {
          throw new ClickledgerError(
            'unavailable',
            `Postgres does not answer, and there is no readable snapshot of the links in ${stateDir}: start Postgres or check BACKEND_URL`,
            { cause: error },
          );
        }
        routes = snapshot.routes;
        // This age is an upper bound, because the snapshot is written again only after a change.
        polledMs = performance.now() - (Date.now() - snapshot.writtenMs);
        log.warn({ err: error, links: routes.links.size }, 'Postgres does not answer; starting with the snapshot of the links');
      }
    },
    async keepFresh(signal) {
      while (!signal.aborted) {
        await sleep(pollMs, signal);
        const served = waiting;
        waiting = [];
        try {
          await withClient(pool, poll);
          if (!fresh) log.info('Postgres answers again; the links are up to date');
          fresh = true;
          if (snapshotOutdated || (snapshotFailedMs !== undefined && performance.now() - snapshotFailedMs > SNAPSHOT_RETRY_MS))
            await saveSnapshot();
        } catch (error) {
          if (fresh) log.warn({ err: error }, 'Postgres does not answer; serving the links as last read');
          fresh = false;
        }
        for (const [link, at] of misses) if (Date.now() - at > MISS_CACHE_MS) misses.delete(link);
        for (const release of served) release();
      }
      for (const release of waiting) release();
    },
    cachedRoute: (link) => routes.links.get(link),
    cachedAlias: (name) => routes.aliases.get(name),
    async findRoute(link) {
      if (misses.has(link)) return undefined;
      const running = runningQueries.get(link) ?? queryRoute(link);
      runningQueries.set(link, running);
      return running;
    },
    async findAlias(name) {
      if (!fresh || waiting.length >= MAX_WAITING_REQUESTS) return undefined;
      await withTimeout(new Promise<void>((resolve) => waiting.push(resolve)), MAX_WAIT_MS);
      const link = routes.aliases.get(name);
      if (link === undefined && copyAgeMs > LATE_COPY_MS) throw new Error('the standby may not have this alias yet');
      return link;
    },
    ageMs: () => performance.now() - polledMs + copyAgeMs,
    fresh: () => fresh && performance.now() - polledMs < STALE_AFTER_MS && copyAgeMs < STALE_COPY_MS,
    snapshotWritten: () => snapshotFailedMs === undefined,
    size: () => ({ links: routes.links.size, aliases: routes.aliases.size }),
  };
}
