import { Gauge, type Registry } from 'prom-client';
import { type DatabaseServer, distinctServers, formerPrimaries, problemsOfServers, readServers } from '../core/database-servers.ts';
import type { Problem } from '../core/health.ts';
import { sleep } from '../core/time.ts';

// Watches the servers of the databases that have several hosts: whether there is exactly one primary, and how far the standbys are behind.

const INTERVAL_MS = 5_000;
/** A state must be seen that often in a row to be a problem. During a failover, there is no primary for a moment. */
const CONSECUTIVE = 3;

export interface DatabaseWatch {
  /** Reads the servers repeatedly until `signal` aborts. Ends at once if every URL has one host. */
  run(signal: AbortSignal): Promise<void>;
  problems(): Problem[];
}

/**
 * `urls` have the credentials of the worker. Adds the gauges of the servers to `registry`. Calls `onFormerPrimary` with a host, as in the URL, at
 * each reading in which it is a former primary.
 */
export function createDatabaseWatch(urls: readonly string[], registry: Registry, onFormerPrimary: (host: string) => void): DatabaseWatch {
  const groups = distinctServers(urls);
  /** The last readings of each group, the newest first. */
  const readings = new Map<string, DatabaseServer[][]>();
  addGauges(registry, readings);

  return {
    async run(signal) {
      while (!signal.aborted && groups.length > 0) {
        await Promise.all(
          groups.map(async ({ hosts, url }) => {
            const servers = await readServers(url);
            readings.set(hosts, [servers, ...(readings.get(hosts) ?? [])].slice(0, CONSECUTIVE));
            for (const { host } of formerPrimaries(servers)) onFormerPrimary(host);
          }),
        );
        await sleep(INTERVAL_MS, signal);
      }
    },
    problems: () =>
      Array.from(readings).flatMap(([hosts, all]) => {
        const [newest = [], ...earlier] = all.map((servers) => problemsOfServers(hosts, servers));
        if (all.length < CONSECUTIVE) return [];
        return newest.filter(({ code, about }) =>
          earlier.every((found) => found.some((other) => other.code === code && other.about === about)),
        );
      }),
  };
}

function addGauges(registry: Registry, readings: ReadonlyMap<string, DatabaseServer[][]>): void {
  const servers = (): DatabaseServer[] => [...readings.values()].flatMap(([newest = []]) => newest);
  new Gauge({
    name: 'clickledger_worker_primaries',
    help: 'Servers that are a primary, of those in one list of hosts; it must be 1',
    labelNames: ['hosts'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [hosts, [newest = []]] of readings) this.set({ hosts }, newest.filter(({ state }) => state === 'primary').length);
    },
  });
  new Gauge({
    name: 'clickledger_worker_database_up',
    help: 'Whether a database server answers: 1 or 0',
    labelNames: ['host'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { host, state } of servers()) this.set({ host }, state === 'silent' ? 0 : 1);
    },
  });
  new Gauge({
    name: 'clickledger_worker_standby_behind_bytes',
    help: 'Bytes of the write-ahead log of the primary that a standby has not applied yet',
    labelNames: ['host'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { host, behind_bytes: behind } of servers()) if (behind !== null) this.set({ host }, behind);
    },
  });
}
