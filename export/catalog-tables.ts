import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pool } from '../core/postgres.ts';
import { type Column, type ColumnType, int64Of, timestampOf, type Value } from './columns.ts';
import type { OpenExport } from './open-export.ts';
import { createParquetFile, type Finished } from './parquet-file.ts';
import { CATALOG_TABLES, type CatalogTable } from './tables.ts';

// The tables of the catalog, which queries join with events. Each is one file, which is replaced when its content has changed.

const KEY_OF: Readonly<Record<CatalogTable, string>> = {
  campaigns: 'campaign_id',
  links: 'link_id',
  sites: 'site_id',
  recipients: 'recipient_id',
};
/** The columns that identify a person. */
const ADDRESS_COLUMNS = ['email', 'external_id'];

const TYPE_OF_OID: Readonly<Record<number, ColumnType>> = {
  16: 'boolean',
  20: 'int64',
  23: 'int32',
  25: 'text',
  1009: 'texts',
  1184: 'timestamp',
};
/** So many rows are read at a time. */
const PAGE_ROWS = 20_000;
const GROUP_ROWS = 100_000;

/** Exports the tables whose content has changed since the last time. */
export async function exportCatalog(target: OpenExport, catalog: Pool): Promise<void> {
  for (const table of CATALOG_TABLES) {
    const path = target.newPath(table);
    const local = join(target.storage.workDir, `catalog-${table}.parquet`);
    const finished = await writeTable(local, catalog, table, target.manifest().filter.with_addresses);
    const before = target.manifest().files.filter((file) => file.table === table);
    if (before.length === 1 && before[0]?.sha256 === finished.sha256) {
      await rm(local);
      continue;
    }
    await target.storage.store(local, path, finished.sha256);
    const at = new Date().toISOString();
    await target.commit((manifest) => ({
      ...manifest,
      files: [...manifest.files.filter((file) => file.table !== table), { table, path, ...finished, written_at: at }],
      replaced: [...manifest.replaced, ...before.map((file) => ({ path: file.path, at }))],
    }));
  }
}

async function writeTable(local: string, catalog: Pool, table: CatalogTable, withAddresses: boolean): Promise<Finished> {
  await rm(local, { force: true });
  const key = KEY_OF[table];
  const { fields } = await catalog.query(`SELECT * FROM analytics.${table} LIMIT 0`);
  const columns = fields
    .filter(({ name }) => withAddresses || !ADDRESS_COLUMNS.includes(name))
    .map(({ name, dataTypeID }): Column => ({ name, type: TYPE_OF_OID[dataTypeID] ?? 'text' }));
  // A column of a type without an equivalent is exported as text.
  const list = columns.map(({ name, type }) => (type === 'text' ? `${name}::text` : name)).join(', ');
  const file = createParquetFile(local, columns);
  for (let after = -1; ; ) {
    const { rows } = await catalog.query<Record<string, unknown>>(
      `SELECT ${list} FROM analytics.${table} WHERE ${key} > $1 ORDER BY ${key} LIMIT ${PAGE_ROWS}`,
      [after],
    );
    for (const row of rows) file.add(columns.map(({ name, type }) => valueOf(row[name], type)));
    if (file.waiting() >= GROUP_ROWS) await file.flush();
    if (rows.length < PAGE_ROWS) return file.finish();
    after = rows.at(-1)?.[key] as number;
  }
}

function valueOf(value: unknown, type: ColumnType): Value {
  if (value === null) return null;
  if (type === 'int64') return int64Of(value as number);
  if (type === 'timestamp') return timestampOf((value as Date).getTime());
  return value as Value;
}
