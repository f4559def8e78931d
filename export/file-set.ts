import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Value } from './columns.ts';
import type { ManifestFile } from './manifest.ts';
import type { OpenExport } from './open-export.ts';
import { createParquetFile, type ParquetFile } from './parquet-file.ts';
import { COLUMNS_OF, type LogTable } from './tables.ts';

// Files of one shard that are written together: one for each table and UTC day of hits.

/** So many rows wait in memory, in all files of a set together. Then the file with most of them writes a row group. */
const MOST_WAITING = 30_000;

export interface FileSet {
  /** `at` is the time of the hit in milliseconds, which decides the day. */
  add(table: LogTable, at: number, row: readonly Value[]): void;
  rows(): number;
  /** Writes row groups, so that not too many rows wait. */
  flushFull(): Promise<void>;
  /** Finishes all files and stores them. They belong to the export when the manifest lists them. */
  store(): Promise<ManifestFile[]>;
  discard(): Promise<void>;
}

export function createFileSet(target: OpenExport, shard: string): FileSet {
  const { storage } = target;
  const directory = join(storage.workDir, shard);
  const files = new Map<string, { table: LogTable; day: string; file: ParquetFile }>();
  let rows = 0;
  let waiting = 0;
  let numbers = 0;
  // Most successive rows have the same table and day.
  let last: { key: string; file: ParquetFile } | undefined;

  function fileOf(table: LogTable, at: number): ParquetFile {
    const key = `${table} ${Math.floor(at / 86_400_000)}`;
    if (last?.key === key) return last.file;
    let known = files.get(key);
    if (known === undefined) {
      const file = createParquetFile(join(directory, `${numbers++}.parquet`), COLUMNS_OF[table]);
      known = { table, day: new Date(at).toISOString().slice(0, 10), file };
      files.set(key, known);
    }
    last = { key, file: known.file };
    return known.file;
  }

  return {
    rows: () => rows,
    add(table, at, row) {
      fileOf(table, at).add(row);
      rows++;
      waiting++;
    },
    async flushFull() {
      if (waiting < MOST_WAITING) return;
      await mkdir(directory, { recursive: true });
      while (waiting >= MOST_WAITING) {
        const fullest = [...files.values()].reduce((a, b) => (b.file.waiting() > a.file.waiting() ? b : a));
        waiting -= fullest.file.waiting();
        await fullest.file.flush();
      }
    },
    async store() {
      await mkdir(directory, { recursive: true });
      const stored: ManifestFile[] = [];
      for (const { table, day, file } of files.values()) {
        const finished = await file.finish();
        const path = target.newPath(`${table}/day=${day}/shard=${shard}`);
        await storage.store(file.path, path, finished.sha256);
        stored.push({ table, day, shard, path, ...finished, written_at: new Date().toISOString() });
      }
      return stored;
    },
    async discard() {
      for (const { file } of files.values()) await rm(file.path, { force: true });
    },
  };
}
