import { Option } from 'commander';
import type { PeopleColumns, RejectReason } from '../../authoring/list-file.ts';
import type { Rejects } from '../../authoring/rejected-lines.ts';
import { note } from '../output.ts';

// What commands that read a list of people have in common.

export interface PeopleOptions extends PeopleColumns {
  rejects?: string;
}

export const PEOPLE_OPTIONS: readonly Option[] = [
  new Option('--email-column <name>', 'the column with the addresses, if it is not called email or the like'),
  new Option('--id-column <name>', 'the column with your own ids; with it, the id decides who somebody is, and the address may change'),
  new Option('--no-emails', 'store no addresses, only your own ids (--id-column, or a column called id)'),
  new Option('--rejects <file>', 'write the lines that are left out to a CSV file'),
];

/** How many rejected lines are shown. */
const SHOWN = 10;

const REASONS: Readonly<Record<RejectReason, string>> = {
  'no-address': 'no address',
  'bad-address': 'no mail address',
  'no-id': 'no id',
  'bad-id': 'an id this long is a mistake',
  duplicate: 'there already, further up',
  conflict: 'its address and its id belong to two different people',
};

/** Shows the first rejected lines of a list on stderr. `path`: the file of --rejects. */
export function noteRejects(rejects: Rejects, path: string | undefined): void {
  const total = rejects.total();
  if (total === 0) return;
  note(`${total} ${total === 1 ? 'line was' : 'lines were'} left out:`);
  for (const { line, reason, value } of rejects.rejected.slice(0, SHOWN))
    note(`  line ${line}: ${value === '' ? '' : `${value}: `}${REASONS[reason]}`);
  if (total > SHOWN) note(`  … and ${total - SHOWN} more${path === undefined ? '; --rejects <file> writes them all' : `, all in ${path}`}`);
}
