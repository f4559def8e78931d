import type pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { pipeline } from 'node:stream/promises';
import { ClickledgerError } from '../core/errors.ts';
import { connect } from '../sql/connect.ts';

// Copies the rows of one shard to another database while the workers continue. All rows come from one snapshot. The copy lacks the rows
// that are committed during the copy, and also their ledger ranges. So these ranges are holes in the copy, and agents fill them from the
// logs.

const TABLES = [
  'ledger',
  'user_agent',
  'outside_value',
  'dead_letter',
  'skipped',
  'recipient',
  'activity_15m',
  'people',
  'hit_count',
  'delta',
  'thinned_campaign',
  'past_hits',
  'unsubscribe',
  'site_event',
  'new_visit',
  'verdict_change',
  'event',
] as const;

/** The number of rows by table. */
export type RowCounts = Record<(typeof TABLES)[number], number>;

/** Counts the rows that copyShard would copy. `url` is the URL of the shard database for its owner. */
export async function countShardRows(url: string): Promise<RowCounts> {
  const client = await connect(url);
  try {
    const counts = {} as RowCounts;
    for (const table of TABLES)
      counts[table] = Number((await client.query<{ n: string }>(`SELECT count(*) AS n FROM shard.${table}`)).rows[0]?.n);
    return counts;
  } finally {
    await client.end();
  }
}

/**
 * Copies all rows from `source` to `target`, in one transaction, and returns the number of copied rows. Both URLs are for the owner of the
 * database. `target` must be a shard database with all migrations. Throws `conflict` if `target` already has events. `onTable` is called
 * before each table.
 */
export async function copyShard(source: string, target: string, onTable: (table: string) => void): Promise<RowCounts> {
  const from = await connect(source);
  const to = await connect(target);
  try {
    const existing = await to.query('SELECT FROM shard.ledger LIMIT 1');
    if (existing.rowCount)
      throw new ClickledgerError('conflict', 'the target database already has events: give an empty database with --to');
    await from.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await to.query('BEGIN');
    const months = await from.query<{ month: Date }>(
      "SELECT DISTINCT date_trunc('month', at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS month FROM shard.event",
    );
    for (const { month } of months.rows) await to.query('SELECT shard.ensure_month($1)', [month]);
    const copied = {} as RowCounts;
    for (const table of TABLES) {
      onTable(table);
      const columns = await columnsOf(from, table);
      const reading = from.query(copyTo(`COPY (SELECT ${columns} FROM shard.${table}) TO STDOUT`));
      const writing = to.query(copyFrom(`COPY shard.${table} (${columns}) FROM STDIN`));
      await pipeline(reading, writing);
      copied[table] = writing.rowCount;
    }
    // The copy takes the place of the source, so its epoch becomes higher at its first use. See sql/shard/0017-epoch.sql.
    const { rows } = await from.query<{ epoch: string }>('SELECT epoch FROM shard.identity');
    await to.query('UPDATE shard.identity SET epoch = $1, timeline = NULL', [rows[0]?.epoch ?? 0]);
    await to.query('COMMIT');
    await from.query('COMMIT');
    return copied;
  } finally {
    await from.end();
    await to.end();
  }
}

async function columnsOf(client: pg.Client, table: string): Promise<string> {
  const { rows } = await client.query<{ name: string }>(
    "SELECT quote_ident(attname) AS name FROM pg_attribute WHERE attrelid = ('shard.' || $1)::regclass AND attnum > 0 AND NOT attisdropped AND attidentity = '' ORDER BY attnum",
    [table],
  );
  return rows.map(({ name }) => name).join(', ');
}
