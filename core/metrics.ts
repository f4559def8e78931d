import { Gauge, type Registry } from 'prom-client';

// Gauges that are looked up whenever somebody asks. What cannot be found out then is left out: an old value would look like a new one.

type Maybe<T> = T | undefined | Promise<T | undefined>;

export function watchValue(registry: Registry, name: string, help: string, look: () => Maybe<number>): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    async collect() {
      const value = await quietly(look);
      if (value === undefined) this.remove();
      else this.set(value);
    },
  });
}

/** The same with a value for each shard, or for some of them. */
export function watchShards(registry: Registry, name: string, help: string, look: () => Maybe<Iterable<readonly [string, number]>>): void {
  new Gauge({
    name,
    help,
    labelNames: ['shard'],
    registers: [registry],
    async collect() {
      const values = await quietly(look);
      this.reset();
      for (const [shard, value] of values ?? []) this.set({ shard }, value);
    },
  });
}

async function quietly<T>(look: () => Maybe<T>): Promise<T | undefined> {
  try {
    return await look();
  } catch {
    return undefined;
  }
}
