import { createPool, type Pool } from '../core/postgres.ts';
import { parseShards, shardUrl } from '../core/shards.ts';
import { createSlugCodec, parseSlugKeys } from '../core/slug.ts';
import { createCatalog } from '../event-worker/catalog.ts';
import { type Committer, createCommitter } from '../event-worker/commit.ts';
import { createKnownEpoch } from '../event-worker/known-epoch.ts';
import { createOutsideValues } from '../event-worker/outside-values.ts';
import type { BenchSystem } from './system.ts';

/** The number of batches that a bench commits in one transaction. */
export const GROUP_BATCHES = 100;

export interface ShardCommitter {
  name: string;
  /** Connections of the worker to the shard. */
  pool: Pool;
  committer: Committer;
}

/** Runs `work` with a committer in this process for each shard, and closes their connections. */
export async function withCommitters<T>({ system }: BenchSystem, work: (shards: readonly ShardCommitter[]) => Promise<T>): Promise<T> {
  const { list, fingerprint } = parseShards(system.env['SHARDS'] ?? '');
  const workerUrl = system.env['WORKER_URL'] ?? '';
  const keys = parseSlugKeys(system.env['SLUG_KEYS'] ?? '');
  const catalogPool = createPool(workerUrl, { max: 1, name: 'bench' });
  const shards = list.map((shard): ShardCommitter => {
    const pool = createPool(shardUrl(shard, workerUrl), { max: 2, name: 'bench' });
    const committer = createCommitter({
      epoch: createKnownEpoch(),
      pool,
      shard,
      shardsFingerprint: fingerprint,
      slugs: createSlugCodec(keys),
      catalog: createCatalog(catalogPool, keys),
      outside: createOutsideValues(pool, { referrer: 5000, 'user-agent': 5000 }),
    });
    return { name: shard.name, pool, committer };
  });
  try {
    return await work(shards);
  } finally {
    for (const { pool } of shards) await pool.end();
    await catalogPool.end();
  }
}
