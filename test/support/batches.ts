import { randomBytes } from 'node:crypto';
import { onTestFinished } from 'vitest';
import { columnsOf, type Event } from '../../core/batch-v1.ts';
import type { Batch, BatchHead } from '../../core/event.ts';
import { createPool } from '../../core/postgres.ts';
import { createSlugCodec, type SlugCodec, type SlugKey } from '../../core/slug.ts';
import { createCatalog } from '../../event-worker/catalog.ts';
import { type Committer, createCommitter } from '../../event-worker/commit.ts';
import { createKnownEpoch } from '../../event-worker/known-epoch.ts';
import { createOutsideValues, type OutsideKind } from '../../event-worker/outside-values.ts';
import type { Databases } from './databases.ts';

export const newGen = (): string => randomBytes(16).toString('hex');

/** Returns a click as an agent publishes it. By default it is a click on the shared link 1. */
export function clickAt(off: number, slugs: SlugCodec, changes: Partial<Event> = {}): Event {
  return {
    off,
    rid: off.toString(16).padStart(32, '0'),
    t: Date.now(),
    kind: 'click',
    slug: slugs.encode({ link: 1, recipient: 0 }),
    link: null,
    head: false,
    altered: false,
    ua: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
    ref: '',
    purpose: '',
    country: 'DE',
    net: null,
    visitor: '1',
    ...changes,
  };
}

/** Returns a batch for the first shard. */
export function batchOf(
  databases: Databases,
  gen: string,
  from: number,
  to: number,
  rest: Partial<BatchHead> & { events?: Event[] } = {},
): Batch {
  const { first, fingerprint } = databases.shards;
  const { events = [], ...head } = rest;
  return { gen, shard: first.name, shards: fingerprint, from, to, skipped: {}, dead: [], ...head, events: columnsOf(events) };
}

/** Creates a committer with its own connections, as a worker does. They are closed after the test. */
export function ownCommitter(
  databases: Databases,
  changes: { shard?: string; shardsFingerprint?: string; keys?: SlugKey[]; limits?: Record<OutsideKind, number> } = {},
): Committer {
  const { shards } = databases;
  const shard = shards.named(changes.shard ?? shards.first.name);
  const keys = changes.keys ?? databases.keys;
  const pool = createPool(databases.shardUrlAs(shard.name, 'worker'), { max: 2, name: 'test' });
  const catalogPool = createPool(databases.roleUrls.worker, { max: 1, name: 'test' });
  onTestFinished(async () => {
    await Promise.all([pool.end(), catalogPool.end()]);
  });
  return createCommitter({
    epoch: createKnownEpoch(),
    pool,
    shard,
    shardsFingerprint: changes.shardsFingerprint ?? shards.fingerprint,
    slugs: createSlugCodec(keys),
    catalog: createCatalog(catalogPool, keys),
    outside: createOutsideValues(pool, changes.limits ?? { referrer: 5000, 'user-agent': 5000 }),
  });
}
