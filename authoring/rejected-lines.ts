import { csvRow } from '../core/csv.ts';
import { openOutputFile, type OutputFile } from './output-files.ts';
import type { Rejected } from './list-file.ts';

// Collects the lines of a list that a command leaves out.

/** At most this many lines are kept in memory. The file has all lines. */
const MAX_KEPT = 1000;

/** The rejected lines of one run. */
export interface Rejects {
  /** The first 1000 rejected lines. */
  readonly rejected: readonly Rejected[];
  /** Returns the number of all rejected lines. */
  total(): number;
  /** Returns the number of people who must not be written to, by column and value, e.g. `{ 'status: unsubscribed': 12 }`. */
  notSubscribed(): Record<string, number>;
  readonly add: (rejected: Rejected) => void;
  /** Waits until all lines are written, and closes the file. Rejects if the file cannot be written. */
  end(): Promise<void>;
}

/**
 * Creates an empty collection. With `path`, all rejected lines are also written to a CSV file. The file is created when the first line is
 * rejected.
 */
export function createRejects(path: string | undefined): Rejects {
  const rejected: Rejected[] = [];
  let total = 0;
  const statuses = new Map<string, number>();
  let file: Promise<OutputFile> | undefined;
  let written = Promise.resolve();
  return {
    rejected,
    total: () => total,
    notSubscribed: () => Object.fromEntries([...statuses].toSorted(([, a], [, b]) => b - a)),
    add(line) {
      total++;
      if (line.status !== undefined) statuses.set(line.status, (statuses.get(line.status) ?? 0) + 1);
      if (rejected.length < MAX_KEPT) rejected.push(line);
      if (path === undefined) return;
      const header = file ? '' : csvRow(['line', 'reason', 'value', 'status']);
      const output = (file ??= openOutputFile(path));
      written = written.then(async () =>
        (await output).write(`${header}${csvRow([String(line.line), line.reason, line.value, line.status ?? ''])}`),
      );
      written.catch(() => {});
    },
    async end() {
      await written;
      await (await file)?.end();
    },
  };
}
