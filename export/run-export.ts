import { ClickledgerError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Pool } from '../core/postgres.ts';
import { sleep } from '../core/time.ts';
import { exportCatalog } from './catalog-tables.ts';
import { compact } from './compact.ts';
import { addEmptyFiles } from './empty-files.ts';
import { type Exported, exportShard } from './export-shard.ts';
import type { OpenExport } from './open-export.ts';

const CATALOG_MS = 3_600_000;

export interface ExportRun {
  readonly target: OpenExport;
  readonly shards: readonly { readonly name: string; readonly pool: Pool }[];
  readonly catalog: Pool;
  readonly waitMs: number;
  readonly setRows: number;
  readonly signal?: AbortSignal | undefined;
  readonly onCommit: (committed: Exported) => void;
}

export interface RunResult {
  readonly rows: number;
  readonly files: number;
  readonly bytes: number;
  /** Bytes of the logs that a later run exports. */
  readonly dueBytes: number;
}

/** Exports everything that is due, once. */
export async function runExport(run: ExportRun): Promise<RunResult> {
  const total = { rows: 0, files: 0, bytes: 0, dueBytes: 0 };
  await addEmptyFiles(run.target);
  await exportCatalog(run.target, run.catalog);
  await exportShards(run, total);
  await compact(run.target, new Date());
  await run.target.removeReplaced();
  return total;
}

async function exportShards(run: ExportRun, total: { rows: number; files: number; bytes: number; dueBytes: number }): Promise<void> {
  for (const { name, pool } of run.shards) {
    total.dueBytes += await exportShard({
      ...run,
      shard: name,
      pool,
      onCommit: (committed) => {
        total.rows += committed.rows;
        total.files += committed.files;
        total.bytes += committed.bytes;
        run.onCommit(committed);
      },
    });
    if (run.signal?.aborted) return;
  }
}

/** Exports what is due again and again, until `signal` aborts. Throws if another process writes to the export, and retries after other failures. */
export async function followExport(run: ExportRun & { everyMs: number; log: Logger; signal: AbortSignal }): Promise<void> {
  const { signal, log } = run;
  let catalogMs = Number.NEGATIVE_INFINITY;
  while (!signal.aborted) {
    const startedMs = performance.now();
    try {
      if (startedMs - catalogMs >= CATALOG_MS) {
        await addEmptyFiles(run.target);
        await exportCatalog(run.target, run.catalog);
        catalogMs = startedMs;
      }
      await exportShards(run, { rows: 0, files: 0, bytes: 0, dueBytes: 0 });
      await compact(run.target, new Date(), signal);
      await run.target.removeReplaced();
    } catch (error) {
      if (signal.aborted) break;
      if (error instanceof ClickledgerError && ['conflict', 'bad-settings', 'bad-input', 'wrong-database'].includes(error.code))
        throw error;
      log.warn({ err: error }, 'cannot export; retrying');
    }
    await sleep(Math.max(run.everyMs - (performance.now() - startedMs), 0), signal);
  }
}
