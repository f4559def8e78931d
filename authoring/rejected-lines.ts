import { csvRow } from '../core/csv.ts';
import { openFile, type OutputFile } from './output-files.ts';
import type { Rejected, RejectReason } from './list-file.ts';
import { note } from '../cli/output.ts';

/** Keeps so many in memory; the file has all. */
const KEPT = 1000;
const SHOWN = 10;

const SAID: Readonly<Record<RejectReason, string>> = {
  'no-address': 'no address',
  'bad-address': 'no mail address',
  'no-id': 'no id',
  'bad-id': 'an id this long is a mistake',
  duplicate: 'there already, further up',
  conflict: 'its address and its id belong to two different people',
};

/** Lines that are left out: kept for a report, written to a file if one is wanted. */
export interface Rejects {
  readonly rejected: readonly Rejected[];
  total(): number;
  readonly add: (rejected: Rejected) => void;
  end(): Promise<void>;
  /** Says which, on stderr. */
  tell(): void;
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
    tell() {
      if (total === 0) return;
      note(`${total} ${total === 1 ? 'line was' : 'lines were'} left out:`);
      for (const { line, reason, value } of rejected.slice(0, SHOWN))
        note(`  line ${line}: ${value === '' ? '' : `${value}: `}${SAID[reason]}`);
      if (total > SHOWN)
        note(`  … and ${total - SHOWN} more${path === undefined ? '; --rejects <file> writes them all' : `, all in ${path}`}`);
    },
  };
}
