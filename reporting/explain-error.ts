import { ClickledgerError, codeOf } from '../core/errors.ts';
import { classify, explainDatabaseError } from '../core/postgres.ts';
import type { Place, Statement } from './psql-script.ts';
import type { Report } from './report-file.ts';
import { frameOf } from './source.ts';

// What went wrong in a statement of a report, for the person who wrote or runs it. No error of Postgres reaches a person without the place in
// the file.

/** The fields of an error of Postgres that are used here. */
interface PostgresError {
  message: string;
  position?: string;
  detail?: string;
  hint?: string;
}

/** What the role needs on an object, by the name of its kind in the message of Postgres. */
const RIGHTS: Readonly<Record<string, string>> = {
  schema: 'USAGE',
  sequence: 'USAGE',
  function: 'EXECUTE',
  procedure: 'EXECUTE',
  type: 'USAGE',
  'foreign server': 'USAGE',
  'foreign-data wrapper': 'USAGE',
  database: 'CONNECT',
};

interface Context {
  report: Report;
  statement: Statement;
  /** How many characters were sent before the text of the statement. */
  before: number;
}

/**
 * Explains the error of a statement: with the line of the file and a caret where Postgres says where it is, otherwise with the line of the
 * statement. An error of the connection or a timeout is returned as it is, because the statement is not its cause.
 */
export function explainStatementError(error: unknown, context: Context): unknown {
  const code = codeOf(error);
  if (error instanceof ClickledgerError || code === undefined || !/^[0-9A-Z]{5}$/.test(code) || code === '57014') return error;
  // postgres_fdw reports a shard that does not answer with the class 08. 42501 and 42P01 are of the set-up only for the files of clickledger.
  const isOfStatement = code === '25006' || code === '25001';
  if ((classify(error) === 'retry' && !isOfStatement) || code.startsWith('28') || code === '3D000') return explainDatabaseError(error);
  const { message, position, detail, hint } = error as unknown as PostgresError;
  const place = placeOf(position, context);
  const isSetUp = context.report.isListed && (code === '42501' || code === '42P01' || code === '3F000' || code === '42883');
  if (isSetUp && /\b(?:analytics|fleet|catalog)\b/.test(message)) return explainDatabaseError(error);
  const sentence = code === '42501' ? explainRight(message) : explainClass(code, message);
  const unset = place.variable === undefined ? unsetVariable(context.statement, position, context) : undefined;
  const lines = [
    frameOf(place, sentence),
    ...(place.variable === undefined ? [] : [`The place is in the value of '${place.variable}'.`]),
    ...(unset === undefined ? [] : [`'${unset}' has no value: give --${unset}, or set it in the file.`]),
    ...(detail === undefined || /^\s*$/.test(detail) ? [] : [`Detail: ${detail}`]),
    ...(hint === undefined ? [] : [`Hint: ${hint}`]),
  ];
  return new ClickledgerError('bad-input', lines.join('\n'), { cause: error });
}

/** The place in a file of the position that Postgres reports: a number of characters from 1 on. */
function placeOf(position: string | undefined, { statement, before }: Context): Place {
  const index = indexOf(position, statement.text, before);
  return index === undefined ? statement.start : statement.placeOf(index);
}

function indexOf(position: string | undefined, text: string, before: number): number | undefined {
  if (position === undefined) return undefined;
  const characters = Number(position) - 1 - before;
  if (characters < 0) return undefined;
  // Postgres counts code points, and JavaScript counts units of UTF-16.
  let index = 0;
  for (let n = 0; n < characters && index < text.length; n++) index += (text.codePointAt(index) as number) > 0xffff ? 2 : 1;
  return Math.min(index, Math.max(0, text.length - 1));
}

function explainRight(message: string): string {
  const [, kind, object] = /^permission denied for (\S+(?: (?:server|wrapper|data wrapper))?) (.+)$/.exec(message) ?? [];
  if (kind === undefined || object === undefined) return `the role of the analyst lacks a right: ${message}`;
  const right = RIGHTS[kind] ?? 'SELECT';
  return `the role of the analyst lacks the right ${right} on ${kind} ${object}. The owner of the database can grant it.`;
}

/** The sentence about an error by its class of SQLSTATE. The message of Postgres says what exactly is wrong. */
function explainClass(code: string, message: string): string {
  if (code === '25006') return `a report can only read: ${message}`;
  if (code === '0A000') return `this is not possible in a report: ${message}`;
  if (code.startsWith('22')) return `a value cannot be used: ${message}`;
  return message;
}

/** The name of a variable without a value that stands at the place of the error, so that its name was sent. */
function unsetVariable(statement: Statement, position: string | undefined, { before }: Context): string | undefined {
  const index = indexOf(position, statement.text, before);
  if (index === undefined) return undefined;
  return /^:['"]?([A-Za-z0-9_]+)/.exec(statement.text.slice(index))?.[1];
}
