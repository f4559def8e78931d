import { ClickledgerError } from '../core/errors.ts';
import type { DeadLetter } from '../core/event.ts';
import { classify, type Pool } from '../core/postgres.ts';
import type { BatchRows } from './copy-rows.ts';
import { copyEventLines, copySiteLines } from './insert-rows.ts';
import { keepHits } from './hits.ts';
import { inTransaction } from './transaction.ts';

// If Postgres refuses one row, the whole COPY fails. This file finds such rows in a batch.

/**
 * Returns the batch without the rows that the database refuses. Each of these rows becomes a dead letter with the reason `rejected`. Throws
 * `server-failed`, with `error` as its cause, if the database accepts each single row.
 */
export async function withoutPoison(pool: Pool, batch: BatchRows, error: unknown): Promise<BatchRows> {
  const [events, sites] = [linesOf(batch.events), linesOf(batch.sites)];
  const poison = await findPoison(pool, events, copyEventLines);
  const sitePoison = await findPoison(pool, sites, copySiteLines);
  if (poison.size + sitePoison.size === 0)
    throw new ClickledgerError('server-failed', 'the database refuses a batch, but accepts each of its rows', { cause: error });
  return {
    ...batch,
    events: Buffer.concat(without(poison, events)),
    hits: keepHits(batch.hits, (i) => !poison.has(i)),
    offs: without(poison, batch.offs),
    sites: Buffer.concat(without(sitePoison, sites)),
    siteOffs: without(sitePoison, batch.siteOffs),
    dead: [...batch.dead, ...rejected(batch.offs, poison), ...rejected(batch.siteOffs, sitePoison)],
  };
}

const without = <T>(poison: ReadonlySet<number>, all: readonly T[]): T[] => all.filter((_, i) => !poison.has(i));
const rejected = (offs: readonly number[], poison: ReadonlySet<number>): DeadLetter[] =>
  offs.filter((_, i) => poison.has(i)).map((off) => ({ off, reason: 'rejected', length: 0, hash: '' }));

type CopyLines = typeof copyEventLines;

/**
 * Returns the indexes of the COPY lines that the database refuses: a binary search, which tries lines in transactions that it rolls back.
 */
async function findPoison(pool: Pool, lines: readonly Buffer[], copy: CopyLines): Promise<Set<number>> {
  const poison = new Set<number>();
  const search = async (from: number, to: number): Promise<void> => {
    if (from >= to || (await accepts(pool, lines.slice(from, to), copy))) return;
    if (to - from === 1) {
      poison.add(from);
      return;
    }
    const middle = (from + to) >> 1;
    await search(from, middle);
    await search(middle, to);
  };
  await search(0, lines.length);
  return poison;
}

/** Whether the database accepts all of these lines. */
async function accepts(pool: Pool, lines: readonly Buffer[], copy: CopyLines): Promise<boolean> {
  try {
    await inTransaction(pool, async (client) => {
      await copy(client, lines, lines.length);
      return false;
    });
    return true;
  } catch (error) {
    if (classify(error) === 'poison') return false;
    throw error;
  }
}

/** Splits COPY lines. Each result ends with its line feed; a COPY line contains no other line feed, because text is escaped. */
function linesOf(lines: Buffer): Buffer[] {
  const split: Buffer[] = [];
  for (let from = 0; from < lines.length; ) {
    const to = lines.indexOf('\n', from) + 1;
    if (to === 0) throw new Error('a COPY line has no line feed');
    split.push(lines.subarray(from, to));
    from = to;
  }
  return split;
}
