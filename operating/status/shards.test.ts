import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { createRandom } from '../../test/chaos/random.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';
import { readShards, type ShardStatus, shardStatuses } from './shards.ts';
import type { StreamStatus } from './stream.ts';

const SHARDS = ['a', 'b', 'c'];
const STREAM = { bytes: null, messages: null } as StreamStatus;

/** The part of a log that a shard has committed, as ranges of bytes, and its length if the shard knows it. */
interface Row {
  ranges: [number, number][];
  size: number | null;
}

/** The ledger of each shard. */
type Ledgers = Map<string, Row>[];

let databases: Databases;

beforeAll(async () => {
  databases = await createDatabases(SHARDS.length);
});

async function store(ledgers: Ledgers): Promise<void> {
  for (const [i, ledger] of ledgers.entries()) {
    const rows = Array.from(ledger, ([gen, { ranges, size }]) => ({
      gen,
      committed: `{${ranges.map(([from, to]) => `[${from},${to})`).join(',')}}`,
      size,
    }));
    await databases.query(SHARDS[i] as string, 'TRUNCATE shard.ledger');
    await databases.query(
      SHARDS[i] as string,
      'INSERT INTO shard.ledger (gen, committed, size) SELECT gen, committed, size FROM jsonb_to_recordset($1) AS r (gen uuid, committed int8multirange, size bigint)',
      [JSON.stringify(rows)],
    );
  }
}

/** The generations, the committed bytes, the missing bytes and the holes of each shard, counted byte range by byte range. */
function count(ledgers: Ledgers): Pick<ShardStatus, 'shard' | 'generations' | 'committed_bytes' | 'missing_bytes' | 'holes'>[] {
  const ends = new Map<string, number>();
  for (const [gen, { ranges, size }] of ledgers.flatMap((ledger) => [...ledger]))
    ends.set(gen, Math.max(ends.get(gen) ?? 0, size ?? 0, ranges.at(-1)?.[1] ?? 0));
  return ledgers.map((ledger, i) => {
    let [committed, missing, holes] = [0, 0, 0];
    for (const [gen, end] of ends) {
      let at = 0;
      for (const [from, to] of [...(ledger.get(gen)?.ranges ?? []), [end, end] as const]) {
        if (from > at) holes++;
        missing += from - at;
        committed += to - from;
        at = to;
      }
    }
    return { shard: SHARDS[i] as string, generations: ends.size, committed_bytes: committed, missing_bytes: missing, holes };
  });
}

/** Makes the ledgers of some logs. `different` is the part of the logs that are not complete on all shards. */
function makeLedgers(seed: number, logs: number, different: number): Ledgers {
  const random = createRandom(seed);
  const ledgers: Ledgers = SHARDS.map(() => new Map());
  for (let log = 0; log < logs; log++) {
    const gen = randomUUID();
    const length = 1 + Math.floor(random.next() * 1000);
    const isDifferent = random.next() < different;
    for (const ledger of ledgers) {
      const kind = isDifferent ? Math.floor(random.next() * 4) : 0;
      const middle = Math.floor(random.next() * length);
      // Complete; growing; with a hole; or unknown to this shard.
      if (kind === 0) ledger.set(gen, { ranges: [[0, length]], size: length });
      if (kind === 1 && middle > 0) ledger.set(gen, { ranges: [[0, middle]], size: null });
      if (kind === 2)
        ledger.set(gen, {
          ranges:
            middle > 1
              ? [
                  [0, middle - 1],
                  [middle, length],
                ]
              : [[middle, length]],
          size: length,
        });
    }
  }
  return ledgers;
}

describe('the missing bytes and the holes of the shards', () => {
  test.each([0, 0.1, 0.5, 1])('are counted log by log, also when %d of the logs differ between shards', async (different) => {
    const urls = SHARDS.map((shard) => databases.shardUrlAs(shard, 'analyst'));
    for (let seed = 1; seed <= 5; seed++) {
      const ledgers = makeLedgers(seed, 30, different);
      await store(ledgers);
      const shards = shardStatuses(databases.shards.list, await readShards(urls), new Map(), STREAM, []);
      expect(
        shards.map(({ shard, generations, committed_bytes, missing_bytes, holes }) => ({
          shard,
          generations,
          committed_bytes,
          missing_bytes,
          holes,
        })),
      ).toEqual(count(ledgers));
    }
  });

  test('do not need the complete logs if only a growing log is incomplete on all shards', async () => {
    const ledgers = makeLedgers(1, 30, 0);
    const gen = randomUUID();
    for (const ledger of ledgers) ledger.set(gen, { ranges: [[0, 10]], size: null });
    await store(ledgers);
    const read = await readShards(SHARDS.map((shard) => databases.shardUrlAs(shard, 'analyst')));
    expect(read).toMatchObject(SHARDS.map(() => ({ complete: { generations: 30 }, ledger: [{ gen, committed_bytes: 10 }] })));
  });

  test('are zero in an empty system', async () => {
    await store(SHARDS.map(() => new Map()));
    const read = await readShards(SHARDS.map((shard) => databases.shardUrlAs(shard, 'analyst')));
    expect(shardStatuses(databases.shards.list, read, new Map(), STREAM, [])[0]).toMatchObject({
      answers: true,
      last_commit: null,
      generations: 0,
      committed_bytes: 0,
      missing_bytes: 0,
      holes: 0,
    });
  });
});
