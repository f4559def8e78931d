import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ManifestFile } from './manifest.ts';
import type { OpenExport } from './open-export.ts';
import { createParquetFile } from './parquet-file.ts';
import { COLUMNS_OF, LOG_TABLES } from './tables.ts';

const DAY = '1970-01-01';
const SHARD = 'none';

/** Gives each table that has no file a file without rows, because a query of a table without files is an error in most engines. */
export async function addEmptyFiles(target: OpenExport): Promise<void> {
  const present = new Set(target.manifest().files.map(({ table }) => table));
  const added: ManifestFile[] = [];
  for (const table of LOG_TABLES) {
    if (present.has(table)) continue;
    const local = join(target.storage.workDir, 'empty.parquet');
    await rm(local, { force: true });
    const finished = await createParquetFile(local, COLUMNS_OF[table]).finish();
    const path = target.newPath(`${table}/day=${DAY}/shard=${SHARD}`);
    await target.storage.store(local, path, finished.sha256);
    added.push({ table, day: DAY, shard: SHARD, path, ...finished, written_at: new Date().toISOString() });
  }
  if (added.length > 0) await target.commit((manifest) => ({ ...manifest, files: [...manifest.files, ...added] }));
}
