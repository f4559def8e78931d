import pg from 'pg';
import { parseShards, shardUrl } from '../core/shards.ts';
import { startSystem, type System, type SystemOptions } from '../stack/system.ts';
import { LINKS, SLUG_KEYS } from './fixture.ts';

// The system that a bench measures. Only the members that the bench needs continue to run.

export interface BenchSystem {
  system: System;
  /** Runs one statement as the owner, on the catalog or on a shard. */
  query: <Row extends pg.QueryResultRow>(database: string, sql: string, values?: unknown[]) => Promise<Row[]>;
  /** The `connectionString` of the owner for the catalog or a shard. */
  urlOf(database: string): string;
}

/** Node options for every part, e.g. `--cpu-prof --cpu-prof-dir=/tmp/profiles`. */
export const NODE_OPTIONS = process.env['BENCH_NODE_OPTIONS'] ?? '';

/**
 * Starts a whole system, stops all members except `members`, creates the links of the fixture's slugs, runs `work`, and stops the remaining
 * members.
 */
export async function withBenchSystem<T>(
  options: { directory: string; shards?: number; members: readonly string[]; extra?: Record<string, string> },
  work: (benchSystem: BenchSystem) => Promise<T>,
): Promise<T> {
  const { directory, shards = 1, members, extra = {} } = options;
  const benchSystem = await startBenchSystem({ dataDir: directory, shards, extra });
  try {
    for (const member of benchSystem.system.members.toReversed()) {
      if (members.includes(member.name)) continue;
      await member.running?.stop();
      member.running = undefined;
    }
    return await work(benchSystem);
  } finally {
    await benchSystem.stop();
  }
}

/** Starts a whole system and creates the links of the fixture's slugs. */
export async function startBenchSystem(options: SystemOptions): Promise<BenchSystem & { stop(): Promise<void> }> {
  const system = await startSystem({ ...options, extra: { SLUG_KEYS, LOG_LEVEL: 'warn', NODE_OPTIONS, ...options.extra } });
  const clients = new Map<string, pg.Client>();
  const urlOf = (database: string): string => {
    const catalogUrl = system.env['CATALOG_URL'] ?? '';
    return database === 'catalog' ? catalogUrl : shardUrl(parseShards(system.env['SHARDS'] ?? '').named(database), catalogUrl);
  };
  const benchSystem = {
    system,
    urlOf,
    async query<Row extends pg.QueryResultRow>(database: string, sql: string, values: unknown[] = []) {
      let client = clients.get(database);
      if (!client) {
        client = new pg.Client({ connectionString: urlOf(database) });
        await client.connect();
        clients.set(database, client);
      }
      return (await client.query<Row>(sql, values)).rows;
    },
    async stop() {
      for (const client of clients.values()) await client.end().catch(() => {});
      await system.stop();
    },
  };
  try {
    await createLinks(benchSystem);
    return benchSystem;
  } catch (error) {
    await benchSystem.stop();
    throw error;
  }
}

/** The target of link `id` in the benches. */
export function targetOf(id: number): string {
  return `https://shop.example/autumn/${id}?utm_source=newsletter&utm_campaign=autumn`;
}

async function createLinks(benchSystem: BenchSystem): Promise<void> {
  await benchSystem.query('catalog', "INSERT INTO catalog.campaign (name) VALUES ('bench')");
  // Inserts a link and its version in one transaction, as the commands for authors do, because the backends are already polling.
  await benchSystem.query(
    'catalog',
    `WITH made AS (
       INSERT INTO catalog.link (campaign_id, kind, original) SELECT 1, 'url', target FROM unnest($1::text[]) WITH ORDINALITY AS t (target, n) ORDER BY n RETURNING id, original
     ) INSERT INTO catalog.link_version (link_id, version, target) SELECT id, 1, original FROM made`,
    [Array.from({ length: LINKS }, (_, i) => targetOf(i + 1))],
  );
}

/** Calls `condition` every 20 ms until it returns true. Throws after `seconds`. */
export async function waitUntil(what: string, condition: () => Promise<boolean> | boolean, seconds = 120): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`this did not happen within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The names of the shards of a system, in order. */
export const shardNames = ({ env }: System): string[] => parseShards(env['SHARDS'] ?? '').list.map(({ name }) => name);

/** The number of committed log bytes, summed over all shards. */
export async function committedBytes({ system, query }: BenchSystem): Promise<number> {
  let bytes = 0;
  for (const shard of shardNames(system)) {
    const [row] = await query<{ bytes: string }>(
      shard,
      'SELECT coalesce(sum(upper(r) - lower(r)), 0)::text AS bytes FROM shard.ledger, unnest(committed) r',
    );
    bytes += Number(row?.bytes);
  }
  return bytes;
}

/** Whether the judge has processed all events of a shard. */
export async function isJudged({ query }: BenchSystem, shard: string): Promise<boolean> {
  const [row] = await query<{ done: boolean }>(
    shard,
    'SELECT NOT EXISTS (SELECT FROM shard.delta UNION ALL SELECT FROM shard.new_visit) AS done',
  );
  return row?.done === true;
}

/** Returns the process ids of the measured parts, by part. */
export function pidsOf({ system }: BenchSystem): Record<string, number> {
  const parts = { 'log agent': 'log-agent-1', NATS: 'nats', 'event worker': 'event-worker-1', Postgres: 'postgres' };
  const pids: Record<string, number> = {};
  for (const [part, member] of Object.entries(parts)) {
    const { running } = system.member(member);
    if (running) pids[part] = running.pid;
  }
  return pids;
}
