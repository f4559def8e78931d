import { ClickledgerError } from '../core/errors.ts';
import type { DeadLetter } from '../core/event.ts';
import { classify, type Pool } from '../core/postgres.ts';
import type { BatchRows } from './copy-rows.ts';
import { copyEventLines } from './insert-rows.ts';
import { inTransaction } from './transaction.ts';

// One row that Postgres refuses makes the whole COPY fail. This finds such rows in a batch.

/**
 * The batch without the rows that the database refuses; each of them becomes a dead letter with the reason `rejected`. Throws
 * `server-failed` where no single row is at fault, with `error` as its cause.
 */
export async function withoutPoison(pool: Pool, batch: BatchRows, error: unknown): Promise<BatchRows> {
  const events = linesOf(batch.events);
  const bad = await findPoison(pool, events);
  if (bad.size === 0)
    throw new ClickledgerError('server-failed', 'the database refuses a batch, though none of its rows', { cause: error });
  const rejected = batch.offs.filter((_, i) => bad.has(i)).map((off): DeadLetter => ({ off, reason: 'rejected', length: 0, hash: '' }));
  const good = <T>(all: readonly T[]): T[] => all.filter((_, i) => !bad.has(i));
  return {
    ...batch,
    events: Buffer.concat(good(events)),
    marks: Buffer.concat(good(linesOf(batch.marks))),
    offs: good(batch.offs),
    dead: [...batch.dead, ...rejected],
  };
}

/** Which of some lines for COPY the database refuses, by halves, each tried in a transaction that is rolled back. */
async function findPoison(pool: Pool, lines: readonly Buffer[]): Promise<Set<number>> {
  const bad = new Set<number>();
  const search = async (from: number, to: number): Promise<void> => {
    if (from >= to || (await accepts(pool, lines.slice(from, to)))) return;
    if (to - from === 1) {
      bad.add(from);
      return;
    }
    const middle = (from + to) >> 1;
    await search(from, middle);
    await search(middle, to);
  };
  await search(0, lines.length);
  return bad;
}

async function accepts(pool: Pool, lines: readonly Buffer[]): Promise<boolean> {
  try {
    await inTransaction(pool, async (client) => {
      await copyEventLines(client, lines, lines.length);
      return false;
    });
    return true;
  } catch (error) {
    if (classify(error) === 'poison') return false;
    throw error;
  }
}

/** Each with its line feed: a line of COPY has no other. */
function linesOf(lines: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let from = 0; from < lines.length; ) {
    const to = lines.indexOf('\n', from) + 1;
    if (to === 0) throw new Error('a line for COPY has no end');
    found.push(lines.subarray(from, to));
    from = to;
  }
  return found;
}
