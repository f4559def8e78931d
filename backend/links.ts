import { ClickledgerError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Pool } from '../core/postgres.ts';
import { sleep, withTimeout } from '../core/time.ts';
import { readChanges, readLink } from './catalog.ts';
import { emptyRoutes, type Route, type Routes } from './routes.ts';
import { readSnapshot, writeSnapshot } from './snapshot.ts';

// Keeps the routes fresh and finds what is not among them yet.
//
//   loading ──first look──► fresh ──a look fails──► stale (goes on with what it knows) ──a look succeeds──► fresh
//      └──no database, but a snapshot──► stale
//
// A look asks for what changed since the one before; there is one every `pollMs`. A verified slug of an unknown link is asked for
// at once, each link once at a time. An unknown alias, which anybody can make up, only waits for the next look.

export interface LinkStore {
  /** Loads everything, from the database or else from the snapshot; fails only if it has neither. */
  load(): Promise<void>;
  /** Polls until aborted. */
  keepFresh(signal: AbortSignal): Promise<void>;
  known(link: number): Route | undefined;
  knownAlias(name: string): number | undefined;
  /** A link that a verified slug names and that is not known: created a moment ago, if it exists. Rejects if that cannot be found out now. */
  find(link: number): Promise<Route | undefined>;
  findAlias(name: string): Promise<number | undefined>;
  /** How long ago, in milliseconds, the catalog last said what the links are. */
  ageMs(): number;
  /** Whether the last look succeeded, and not long ago: one that hangs has not. */
  fresh(): boolean;
  /** Whether the last snapshot could be written. */
  saved(): boolean;
  size(): { links: number; aliases: number };
}

// Beyond this many requests waiting for one look, unknown aliases are answered as unknown at once.
const MAX_WAITING = 1000;
const MISS_MEMORY_MS = 1000;
// Shorter than nginx' proxy_read_timeout: what a frozen Postgres delays is answered, not dropped.
const PATIENCE_MS = 1500;
const STALE_MS = 10_000;
/** A snapshot that could not be written is tried again this much later; it takes its time where there are many links. */
const SAVE_AGAIN_MS = 60_000;

export function createLinkStore(deps: { pool: Pool; stateDir: string; log: Logger; pollMs?: number }): LinkStore {
  const { pool, stateDir, log, pollMs = 1000 } = deps;
  let routes: Routes = emptyRoutes();
  let since = 0n;
  let fresh = false;
  let lookedMs = Number.NEGATIVE_INFINITY;
  let saveFailedMs: number | undefined;
  /** There is something that the snapshot lacks. */
  let unsaved = false;
  let waiting: (() => void)[] = [];
  const lookups = new Map<number, Promise<Route | undefined>>();
  const misses = new Map<number, number>();

  async function look(): Promise<void> {
    const beganMs = performance.now();
    let changes = await readChanges(pool, since);
    // Transaction ids that went backwards: another cluster, e.g. one restored from a dump. What we know may be too new.
    if (changes.nextSince < since) {
      changes = await readChanges(pool, 0n);
      routes = emptyRoutes();
    }
    for (const route of changes.routes) {
      unsaved ||= JSON.stringify(routes.links.get(route.link)) !== JSON.stringify(route);
      routes.links.set(route.link, route);
    }
    for (const { name, link } of changes.aliases) {
      unsaved ||= routes.aliases.get(name) !== link;
      routes.aliases.set(name, link);
    }
    since = changes.nextSince;
    lookedMs = beganMs;
  }

  async function save(): Promise<void> {
    unsaved = false;
    try {
      await writeSnapshot(stateDir, routes);
      saveFailedMs = undefined;
    } catch (error) {
      saveFailedMs = performance.now();
      log.warn({ err: error }, 'could not write the snapshot of the links; it would be needed to start while Postgres is down');
    }
  }

  async function lookUp(link: number): Promise<Route | undefined> {
    try {
      const route = await withTimeout(readLink(pool, link), PATIENCE_MS);
      // A look may have brought a later version meanwhile; an earlier one is put right by the next look.
      if (route && !routes.links.has(link)) {
        routes.links.set(link, route);
        unsaved = true;
      }
      if (!route) misses.set(link, Date.now());
      return routes.links.get(link);
    } catch (error) {
      log.warn({ err: error }, 'could not look up a link');
      throw error;
    } finally {
      lookups.delete(link);
    }
  }

  return {
    async load() {
      try {
        await look();
        fresh = true;
        await save();
      } catch (error) {
        const snapshot = await readSnapshot(stateDir);
        if (!snapshot) {
          throw new ClickledgerError(
            'unavailable',
            `Postgres does not answer, and there is no readable snapshot of the links in ${stateDir} to start with`,
            { cause: error },
          );
        }
        routes = snapshot.routes;
        // At most: the snapshot is written again only when something has changed.
        lookedMs = performance.now() - (Date.now() - snapshot.writtenMs);
        log.warn({ err: error, links: routes.links.size }, 'Postgres does not answer; starting with the snapshot of the links');
      }
    },
    async keepFresh(signal) {
      while (!signal.aborted) {
        await sleep(pollMs, signal);
        const released = waiting;
        waiting = [];
        try {
          await look();
          if (!fresh) log.info('the links are fresh again');
          fresh = true;
          if (unsaved || (saveFailedMs !== undefined && performance.now() - saveFailedMs > SAVE_AGAIN_MS)) await save();
        } catch (error) {
          if (fresh) log.warn({ err: error }, 'Postgres does not answer; going on with the links as they were');
          fresh = false;
        }
        for (const [link, at] of misses) if (Date.now() - at > MISS_MEMORY_MS) misses.delete(link);
        for (const release of released) release();
      }
      for (const release of waiting) release();
    },
    known: (link) => routes.links.get(link),
    knownAlias: (name) => routes.aliases.get(name),
    async find(link) {
      if (misses.has(link)) return undefined;
      const running = lookups.get(link) ?? lookUp(link);
      lookups.set(link, running);
      return running;
    },
    async findAlias(name) {
      if (!fresh || waiting.length >= MAX_WAITING) return undefined;
      await withTimeout(new Promise<void>((resolve) => waiting.push(resolve)), PATIENCE_MS);
      return routes.aliases.get(name);
    },
    ageMs: () => performance.now() - lookedMs,
    fresh: () => fresh && performance.now() - lookedMs < STALE_MS,
    saved: () => saveFailedMs === undefined,
    size: () => ({ links: routes.links.size, aliases: routes.aliases.size }),
  };
}
