import { Gauge, type Registry } from 'prom-client';

// Gauges whose values are read when Prometheus scrapes them. A value that cannot be read at that time is left out of the response, because
// the previous value would look like a current value.

type Maybe<T> = T | undefined | Promise<T | undefined>;

/** Adds a gauge. `read` returns its current value, or undefined if there is none. */
export function addGauge(registry: Registry, name: string, help: string, read: () => Maybe<number>): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    async collect() {
      const value = await valueOrUndefined(read);
      if (value === undefined) this.remove();
      else this.set(value);
    },
  });
}

/** Adds a gauge with the label `shard`. `read` returns pairs of shard name and value; a shard may be missing. */
export function addShardGauge(
  registry: Registry,
  name: string,
  help: string,
  read: () => Maybe<Iterable<readonly [string, number]>>,
): void {
  new Gauge({
    name,
    help,
    labelNames: ['shard'],
    registers: [registry],
    async collect() {
      const values = await valueOrUndefined(read);
      this.reset();
      for (const [shard, value] of values ?? []) this.set({ shard }, value);
    },
  });
}

async function valueOrUndefined<T>(read: () => Maybe<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch {
    return undefined;
  }
}
