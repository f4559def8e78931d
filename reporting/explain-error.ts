import { ClickledgerError, codeOf } from '../core/errors.ts';
import { classify, explainDatabaseError } from '../core/postgres.ts';
import type { Place, Statement } from './psql-script.ts';
import type { Report } from './report-file.ts';
import { frameOf } from './source.ts';

// Explains errors in a statement of a report to the user who wrote or runs the report. An explained error always has the place in the file.

/** The fields of an error of Postgres that are used here. */
interface PostgresError {
  message: string;
  position?: string;
  detail?: string;
  hint?: string;
}

/** The right that the role needs on each kind of object. The keys are the names of the kinds in messages of Postgres. */
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
  /** The number of characters that were sent before the text of the statement. */
  before: number;
}

/**
 * Explains the error of a statement. If Postgres reports the position of the error, the message shows this line of the file with a caret.
 * Otherwise it shows the line of the statement. A timeout is returned unchanged, and an error of the connection is explained without a
 * line, because the statement is not the cause.
 */
export function explainStatementError(error: unknown, context: Context): unknown {
  const code = codeOf(error);
  if (error instanceof ClickledgerError || code === undefined || !/^[0-9A-Z]{5}$/.test(code) || code === '57014') return error;
  if (code === '53400' || code === '53100')
    return new ClickledgerError(
      'unavailable',
      `the query needs more space for temporary files than there is or than the operator allows (temp_file_limit): ${(error as Error).message}. Ask for less, e.g. for one campaign.`,
      { cause: error },
    );
  // If a shard does not answer, postgres_fdw reports an error of SQLSTATE class 08. Errors such as 42501 and 42P01 are errors of the set-up
  // only in the report files of clickledger. In other files they are errors of the statement.
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

/** Returns the place in a file for the position that Postgres reports. A position is a number of characters and starts at 1. */
function placeOf(position: string | undefined, { statement, before }: Context): Place {
  const index = indexOf(position, statement.text, before);
  return index === undefined ? statement.start : statement.placeOf(index);
}

function indexOf(position: string | undefined, text: string, before: number): number | undefined {
  if (position === undefined) return undefined;
  const characters = Number(position) - 1 - before;
  if (characters < 0) return undefined;
  // Postgres counts code points. JavaScript counts UTF-16 code units.
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

/**
 * Returns a sentence about an error. The class of the SQLSTATE decides the beginning, and the message of Postgres follows with the details.
 */
function explainClass(code: string, message: string): string {
  if (code === '25006') return `a report can only read: ${message}`;
  if (code === '0A000') return `this is not possible in a report: ${message}`;
  if (code.startsWith('22')) return `a value cannot be used: ${message}`;
  return message;
}

/**
 * Returns the name of the variable at the position of the error, if there is one. A variable is there only if it has no value, because then
 * its name is sent to Postgres.
 */
function unsetVariable(statement: Statement, position: string | undefined, { before }: Context): string | undefined {
  const index = indexOf(position, statement.text, before);
  if (index === undefined) return undefined;
  return /^:['"]?([A-Za-z0-9_]+)/.exec(statement.text.slice(index))?.[1];
}
