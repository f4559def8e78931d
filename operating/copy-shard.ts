import type pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { pipeline } from 'node:stream/promises';
import { ClickledgerError } from '../core/errors.ts';
import { connect } from '../sql/connect.ts';

// Copies one shard's rows to another database, in one snapshot: whatever workers commit meanwhile is missing there, together with the ledger
// ranges that say so, and the logs fill it again. So nothing has to stand still.

const TABLES = [
  'ledger',
  'user_agent',
  'dead_letter',
  'skipped',
  'recipient',
  'activity_15m',
  'clicked_link',
  'engagement',
  'reach',
  'mark',
  'event',
] as const;

/** Rows by table. */
export type Copied = Record<(typeof TABLES)[number], number>;

/** How many rows there are to copy. */
export async function countShard(url: string): Promise<Copied> {
  const client = await connect(url);
  try {
    const counts = {} as Copied;
    for (const table of TABLES)
      counts[table] = Number((await client.query<{ n: string }>(`SELECT count(*) AS n FROM shard.${table}`)).rows[0]?.n);
    return counts;
  } finally {
    await client.end();
  }
}

/** `target` must be a migrated, empty shard database; both URLs are the owner's. */
export async function copyShard(source: string, target: string, onTable: (table: string) => void): Promise<Copied> {
  const from = await connect(source);
  const to = await connect(target);
  try {
    const held = await to.query('SELECT FROM shard.ledger LIMIT 1');
    if (held.rowCount) throw new ClickledgerError('conflict', 'the target database already has events: a shard moves into an empty one');
    await from.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await to.query('BEGIN');
    const months = await from.query<{ month: Date }>(
      "SELECT DISTINCT date_trunc('month', at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS month FROM shard.event",
    );
    for (const { month } of months.rows) await to.query('SELECT shard.ensure_month($1)', [month]);
    const copied = {} as Copied;
    for (const table of TABLES) {
      onTable(table);
      const columns = await columnsOf(from, table);
      const reading = from.query(copyTo(`COPY (SELECT ${columns} FROM shard.${table}) TO STDOUT`));
      const writing = to.query(copyFrom(`COPY shard.${table} (${columns}) FROM STDIN`));
      await pipeline(reading, writing);
      copied[table] = writing.rowCount;
    }
    await to.query('COMMIT');
    return copied;
  } finally {
    await from.end();
    await to.end();
  }
}

async function columnsOf(client: pg.Client, table: string): Promise<string> {
  const { rows } = await client.query<{ name: string }>(
    "SELECT quote_ident(attname) AS name FROM pg_attribute WHERE attrelid = ('shard.' || $1)::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
    [table],
  );
  return rows.map(({ name }) => name).join(', ');
}
