import { Option } from 'commander';
import type { ListFindings, PeopleColumns, PeopleFile, RejectReason } from '../../authoring/list-file.ts';
import type { Rejects } from '../../authoring/rejected-lines.ts';
import { note } from '../output.ts';

// The options and the output that all commands with a list of people share.

export interface PeopleOptions extends PeopleColumns {
  rejects?: string;
}

/**
 * The option for the encoding of a list. Every command accepts `--list-charset`. A command whose only file is the list also accepts
 * `--charset`.
 */
const LIST_CHARSET = '--list-charset';

export const PEOPLE_OPTIONS: readonly Option[] = [
  new Option('--email-column <name>', 'the column with the mail addresses (default: a column called email or the like)'),
  new Option('--id-column <name>', 'the column with your own ids; the id then identifies a person, and the mail address may change'),
  new Option('--no-emails', 'store no mail addresses, only your own ids (--id-column, or a column called id)'),
  new Option(
    `${LIST_CHARSET} <label>`,
    'the encoding of the list, or of its lines that are not UTF-8, e.g. windows-1251 (default: windows-1252)',
  ),
  new Option('--ignore-status', 'take people, too, whom a status column of the list excludes, e.g. as unsubscribed'),
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
  'not-subscribed': 'this person must not be written to',
  unsubscribed: 'this person has unsubscribed',
};

const plural = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`;

/** Prints the findings about a list that may be wrong, so that the author can check them. Prints nothing if there are none. */
export function noteFindings({ encoding, hasHeader, emailColumn, otherEmailColumns, renamedColumns }: ListFindings): void {
  for (const text of encodingNotes(encoding)) note(text);
  if (!hasHeader)
    note(
      `the list has no header: its first line is a person. The columns are called column_1, column_2, …${
        emailColumn === 'email' ? ', and the one with the mail addresses email' : ''
      }`,
    );
  if (otherEmailColumns.length > 0)
    note(`the mail addresses are taken from the column '${emailColumn}', not from '${otherEmailColumns.join("', '")}' (--email-column)`);
  for (const { from, to } of renamedColumns) note(`the list has the column '${from}' twice; the later one is called '${to}'`);
}

function encodingNotes({ encoding, source, other, example, damaged }: ListFindings['encoding']): string[] {
  const notes: string[] = [];
  if (example)
    notes.push(
      `the list is not UTF-8 and was read as ${encoding}, e.g. line ${example.line}: '${example.text}'. If this is wrong, give ${LIST_CHARSET}.`,
    );
  if (other) {
    const lines = `${plural(other.count, 'line is', 'lines are')} ${other.encoding === 'utf-8' ? 'UTF-8' : 'not UTF-8'}`;
    const numbers = other.count === 1 ? '' : ` (${other.first.join(', ')}${other.count > other.first.length ? ', …' : ''})`;
    notes.push(
      `${lines} and ${other.count === 1 ? 'was' : 'were'} read as ${other.encoding}${numbers}, e.g. line ${other.example.line}: '${other.example.text}'. If this is wrong, give ${LIST_CHARSET}.`,
    );
  }
  if (damaged > 0)
    notes.push(`${plural(damaged, 'line has', 'lines have')} bytes that ${encoding} does not have. Another ${LIST_CHARSET} may be right.`);
  if (source === 'bytes' && encoding.startsWith('utf-16')) notes.push(`the list was read as ${encoding}, which it does not declare`);
  return notes;
}

/** Prints which lines of a list were left out or changed. `path` is the file of --rejects. */
export function noteRejects(rejects: Rejects, path: string | undefined, { cleaned }: ListFindings): void {
  if (cleaned.example)
    note(
      `${plural(cleaned.count, 'mail address was', 'mail addresses were')} taken out of other text, e.g. line ${cleaned.example.line}: ${JSON.stringify(cleaned.example.from)} is ${cleaned.example.to}`,
    );
  const statuses = Object.entries(rejects.notSubscribed());
  const notSubscribed = statuses.reduce((sum, [, count]) => sum + count, 0);
  if (notSubscribed > 0)
    note(
      `${plural(notSubscribed, 'person', 'people')} must not be written to and ${notSubscribed === 1 ? 'was' : 'were'} left out (--ignore-status takes them): ${statuses.map(([status, count]) => `${count} with ${status}`).join(', ')}`,
    );
  const total = rejects.total() - notSubscribed;
  if (total === 0) return;
  note(`${plural(total, 'line was', 'lines were')} left out:`);
  const others = rejects.rejected.filter(({ reason }) => reason !== 'not-subscribed').slice(0, MAX_PRINTED);
  for (const { line, reason, value } of others) note(`  line ${line}: ${value === '' ? '' : `${value}: `}${REASON_TEXTS[reason]}`);
  if (total > others.length)
    note(
      `  … and ${total - others.length} more${path === undefined ? '; --rejects <file> writes all of them' : `; all of them are in ${path}`}`,
    );
}

/** Returns the findings about a list in the form that `--json` prints. */
export function listReport({ findings }: PeopleFile, rejects: Rejects): object {
  const { encoding, other, example } = findings.encoding;
  return {
    encoding,
    encoding_found_by: findings.encoding.source,
    encoding_example: example ?? null,
    other_lines: other ? { encoding: other.encoding, count: other.count, first: other.first, example: other.example } : null,
    damaged_lines: findings.encoding.damaged,
    header: findings.hasHeader,
    email_column: findings.emailColumn ?? null,
    other_email_columns: findings.otherEmailColumns,
    id_column: findings.idColumn ?? null,
    status_columns: findings.statusColumns,
    renamed_columns: findings.renamedColumns,
    cleaned_addresses: findings.cleaned.count,
    not_subscribed: rejects.notSubscribed(),
  };
}
