import pg from 'pg';
import { parseShards, shardUrl } from '../core/shards.ts';
import { startSystem, type System, type SystemOptions } from '../stack/system.ts';
import { LINKS, SLUG_KEYS } from './fixture.ts';

// The system that a bench measures, in which only what it needs is left running.

export interface Stand {
  system: System;
  /** Runs one statement as the owner on the catalog or a shard. */
  query: <Row extends pg.QueryResultRow>(where: string, sql: string, values?: unknown[]) => Promise<Row[]>;
  /** As `connectionString` of the owner. */
  urlOf(where: string): string;
}

/** Options for the Node of every part, e.g. `--cpu-prof --cpu-prof-dir=/tmp/profiles`. */
export const NODE_OPTIONS = process.env['BENCH_NODE_OPTIONS'] ?? '';

/** Starts everything, stops all but `members`, makes the links that the slugs name, runs `work`, and ends what is left. */
export async function onStand<T>(
  options: { directory: string; shards?: number; members: readonly string[]; extra?: Record<string, string> },
  work: (stand: Stand) => Promise<T>,
): Promise<T> {
  const { directory, shards = 1, members, extra = {} } = options;
  const stand = await startStand({ dataDir: directory, shards, extra });
  try {
    for (const member of stand.system.members.toReversed()) {
      if (members.includes(member.name)) continue;
      await member.running?.stop();
      member.running = undefined;
    }
    return await work(stand);
  } finally {
    await stand.stop();
  }
}

/** Starts a whole system with the links that the slugs of the fixture name. */
export async function startStand(options: SystemOptions): Promise<Stand & { stop(): Promise<void> }> {
  const system = await startSystem({ ...options, extra: { SLUG_KEYS, LOG_LEVEL: 'warn', NODE_OPTIONS, ...options.extra } });
  const clients = new Map<string, pg.Client>();
  const urlOf = (where: string): string => {
    const catalogUrl = system.env['CATALOG_URL'] ?? '';
    return where === 'catalog' ? catalogUrl : shardUrl(parseShards(system.env['SHARDS'] ?? '').named(where), catalogUrl);
  };
  const stand = {
    system,
    urlOf,
    async query<Row extends pg.QueryResultRow>(where: string, sql: string, values: unknown[] = []) {
      let client = clients.get(where);
      if (!client) {
        client = new pg.Client({ connectionString: urlOf(where) });
        await client.connect();
        clients.set(where, client);
      }
      return (await client.query<Row>(sql, values)).rows;
    },
    async stop() {
      for (const client of clients.values()) await client.end().catch(() => {});
      await system.stop();
    },
  };
  try {
    await makeLinks(stand);
    return stand;
  } catch (error) {
    await stand.stop();
    throw error;
  }
}

/** Where link `id` of the benches leads. */
export function targetOf(id: number): string {
  return `https://shop.example/autumn/${id}?utm_source=newsletter&utm_campaign=autumn`;
}

async function makeLinks(stand: Stand): Promise<void> {
  await stand.query('catalog', "INSERT INTO catalog.campaign (name) VALUES ('bench')");
  // A link and its version in one transaction, as authors make them: the backends are polling already.
  await stand.query(
    'catalog',
    `WITH made AS (
       INSERT INTO catalog.link (campaign_id, kind, original) SELECT 1, 'url', target FROM unnest($1::text[]) WITH ORDINALITY AS t (target, n) ORDER BY n RETURNING id, original
     ) INSERT INTO catalog.link_version (link_id, version, target) SELECT id, 1, original FROM made`,
    [Array.from({ length: LINKS }, (_, i) => targetOf(i + 1))],
  );
}

/** Asks every 20 ms until the answer is yes; throws after two minutes. */
export async function until(what: string, ask: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = performance.now() + 120_000;
  while (!(await ask())) {
    if (performance.now() > deadline) throw new Error(`not within two minutes: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The shards of a system, in order. */
export const shardNames = ({ env }: System): string[] => parseShards(env['SHARDS'] ?? '').list.map(({ name }) => name);

/** How many bytes of logs are committed, on all shards together. */
export async function committedBytes({ system, query }: Stand): Promise<number> {
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
