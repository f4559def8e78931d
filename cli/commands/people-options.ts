import { Option } from 'commander';
import type { PeopleColumns, RejectReason } from '../../authoring/list-file.ts';
import type { Rejects } from '../../authoring/rejected-lines.ts';
import { note } from '../output.ts';

// The options and the output that all commands with a list of people share.

export interface PeopleOptions extends PeopleColumns {
  rejects?: string;
}

export const PEOPLE_OPTIONS: readonly Option[] = [
  new Option('--email-column <name>', 'the column with the mail addresses (default: a column called email or the like)'),
  new Option('--id-column <name>', 'the column with your own ids; the id then identifies a person, and the mail address may change'),
  new Option('--no-emails', 'store no mail addresses, only your own ids (--id-column, or a column called id)'),
  new Option('--rejects <file>', 'write the lines that are left out to this CSV file'),
];

/** The number of rejected lines that are printed. */
const MAX_PRINTED = 10;

const REASON_TEXTS: Readonly<Record<RejectReason, string>> = {
  'no-address': 'the mail address is missing',
  'bad-address': 'this is not a mail address',
  'no-id': 'the id is missing',
  'bad-id': 'the id is longer than 255 characters',
  duplicate: 'this person is on an earlier line',
  conflict: 'the address and the id belong to two different people',
};

/** Prints the first rejected lines of a list on stderr. `path` is the file of --rejects. */
export function noteRejects(rejects: Rejects, path: string | undefined): void {
  const total = rejects.total();
  if (total === 0) return;
  note(`${total} ${total === 1 ? 'line was' : 'lines were'} left out:`);
  for (const { line, reason, value } of rejects.rejected.slice(0, MAX_PRINTED))
    note(`  line ${line}: ${value === '' ? '' : `${value}: `}${REASON_TEXTS[reason]}`);
  if (total > MAX_PRINTED)
    note(
      `  … and ${total - MAX_PRINTED} more${path === undefined ? '; --rejects <file> writes all of them' : `; all of them are in ${path}`}`,
    );
}
