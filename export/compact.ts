import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { decimalOf, type Value } from './columns.ts';
import { readRowGroups } from './read-parquet.ts';
import type { ManifestFile } from './manifest.ts';
import type { OpenExport } from './open-export.ts';
import { createParquetFile } from './parquet-file.ts';
import { COLUMNS_OF, type LogTable } from './tables.ts';

// Replaces small files of one table, day and shard by a larger one, because many small files make queries slow. The manifest is replaced once for each
// new file, so every event is in the export once, whenever this stops.

const SMALL_ROWS = 500_000;
/** So many small files are replaced even while their day is not over. */
const MANY = 32;
/** After the end of a day, its last events may still arrive. */
const SETTLED_MS = 3_600_000;
const GROUP_ROWS = 50_000;

export async function compact(target: OpenExport, now: Date, signal?: AbortSignal): Promise<void> {
  const groups = new Map<string, ManifestFile[]>();
  for (const file of target.manifest().files) {
    if (file.day === undefined || file.rows === 0 || file.rows >= SMALL_ROWS) continue;
    const key = `${file.table}/day=${file.day}/shard=${file.shard}`;
    groups.set(key, [...(groups.get(key) ?? []), file]);
  }
  for (const [directory, files] of groups) {
    if (signal?.aborted) return;
    const settled = new Date(now.getTime() - SETTLED_MS).toISOString();
    const isOver = files.every(({ day, written_at }) => (day as string) < settled.slice(0, 10) && written_at < settled);
    if (files.length >= MANY || (files.length >= 2 && isOver)) await merge(target, directory, files);
  }
}

async function merge(target: OpenExport, directory: string, all: readonly ManifestFile[]): Promise<void> {
  const files = takeRows(all, 2 * SMALL_ROWS);
  const { table, day, shard } = files[0] as ManifestFile;
  const local = join(target.storage.workDir, 'merged.parquet');
  await mkdir(target.storage.workDir, { recursive: true });
  await rm(local, { force: true });
  const columns = COLUMNS_OF[table as LogTable];
  const merged = createParquetFile(local, columns);
  const names = columns.map(({ name }) => name);
  for (const { path } of files) {
    for await (const rows of readRowGroups(await target.storage.open(path), names)) {
      for (const row of rows) {
        merged.add(
          row.map((value, i) =>
            columns[i]?.type === 'decimal' ? decimalOf((value ?? null) as number | null) : (value ?? null),
          ) as Value[],
        );
        if (merged.waiting() >= GROUP_ROWS) await merged.flush();
      }
    }
  }
  const finished = await merged.finish();
  const path = target.newPath(directory);
  await target.storage.store(local, path, finished.sha256);
  const at = new Date().toISOString();
  const gone = new Set(files.map((file) => file.path));
  await target.commit((manifest) => ({
    ...manifest,
    files: [
      ...manifest.files.filter((file) => !gone.has(file.path)),
      { table, ...(day === undefined ? {} : { day }), ...(shard === undefined ? {} : { shard }), path, ...finished, written_at: at },
    ],
    replaced: [...manifest.replaced, ...Array.from(gone, (old) => ({ path: old, at }))],
  }));
}

/** The smallest files that have at most `most` rows together, but at least two. */
function takeRows(files: readonly ManifestFile[], most: number): ManifestFile[] {
  const sorted = files.toSorted((a, b) => a.rows - b.rows);
  let rows = 0;
  return sorted.filter((file, i) => {
    rows += file.rows;
    return i < 2 || rows <= most;
  });
}
