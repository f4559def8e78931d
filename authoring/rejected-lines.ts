import { csvRow } from '../core/csv.ts';
import { openFile, type OutputFile } from './output-files.ts';
import type { Rejected } from './list-file.ts';

/** Keeps so many in memory; the file has all. */
const KEPT = 1000;

/** Lines that are left out: kept for a report, written to a file if one is wanted. */
export interface Rejects {
  readonly rejected: readonly Rejected[];
  total(): number;
  readonly add: (rejected: Rejected) => void;
  end(): Promise<void>;
}

export function createRejects(path: string | undefined): Rejects {
  const rejected: Rejected[] = [];
  let total = 0;
  let file: Promise<OutputFile> | undefined;
  let written = Promise.resolve();
  return {
    rejected,
    total: () => total,
    add(line) {
      total++;
      if (rejected.length < KEPT) rejected.push(line);
      if (path === undefined) return;
      const head = file ? '' : csvRow(['line', 'reason', 'value']);
      const output = (file ??= openFile(path));
      written = written.then(async () => (await output).write(`${head}${csvRow([String(line.line), line.reason, line.value])}`));
      written.catch(() => {});
    },
    async end() {
      await written;
      await (await file)?.end();
    },
  };
}
