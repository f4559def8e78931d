import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { ClickledgerError } from '../core/errors.ts';
import { explainFileError } from '../core/files.ts';

// A report is a file that psql runs as it stands (psql -v campaign=1 -f reports/campaign-summary.sql). Of psql's language this reads what the
// report files use:
//
//   :'name', :"name"                             the value of a variable, as a literal or as an identifier
//   \set name value                              a variable's value
//   \if :{?name} \else \set name value \endif    a parameter's default; the commands may stand on lines of their own
//   \ir file                                     another file, by its path relative to this one

export const CHART_KINDS = ['bar', 'line', 'stacked-bar', 'heatmap', 'none'] as const;
export type ChartKind = (typeof CHART_KINDS)[number];

/** `-- chart: KIND x=COLUMN y=COLUMN,COLUMN`: how a report is drawn. Of a heatmap `y` names the rows and then, if there are two, the value. */
export interface ChartSpec {
  kind: ChartKind;
  x: string[];
  y: string[];
}

export interface Report {
  name: string;
  title: string;
  question: string;
  parameters: { name: string; help: string; default: string }[];
  chart: ChartSpec;
  /** What the file says further about its columns. */
  remarks: string;
  /** How far the data reach belongs below it; `-- reach: no` where the rows say that themselves. */
  hasReach: boolean;
  sql: string;
}

const MAX_INCLUDES = 8;
const DIRECTORY = fileURLToPath(new URL('../reports/', import.meta.url));

export async function listReports(directory = DIRECTORY): Promise<Report[]> {
  const files = (await readdir(directory)).filter((file) => file.endsWith('.sql')).sort();
  return Promise.all(files.map((file) => readReport(basename(file, '.sql'), directory)));
}

/** A report of the directory by its name, or one that is a file anywhere, by its path, which ends in `.sql`. */
export async function readReport(wanted: string, directory = DIRECTORY): Promise<Report> {
  const isPath = wanted.endsWith('.sql');
  if (!isPath && !/^[a-z0-9-]+$/.test(wanted)) throw noReport(wanted);
  const name = basename(wanted, '.sql');
  const path = isPath ? wanted : join(directory, `${name}.sql`);
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw (isPath && explainFileError(error)) || noReport(wanted);
  });
  const lines = await withIncluded(text, dirname(path), 0);
  const header = (key: string): string[] =>
    lines.filter((line) => line.startsWith(`-- ${key}: `)).map((line) => line.slice(key.length + 5).trim());
  const { constants, defaults } = readVariables(lines);
  const parameters = header('parameter').map((line) => {
    const [parameter = '', ...help] = line.split(/\s+/);
    return { name: parameter, help: help.join(' '), default: defaults.get(parameter) ?? '' };
  });
  const statement = lines.filter((line) => !/^\s*(\\|--)/.test(line)).join('\n');
  return {
    name,
    title: header('title')[0] ?? name,
    question: header('question')[0] ?? '',
    parameters,
    chart: parseChart(header('chart')[0] ?? 'none'),
    remarks: remarksOf(text),
    hasReach: header('reach')[0] !== 'no',
    sql: substitute(statement, (variable) => constants.get(variable)),
  };
}

/** The lines of a report file, with those of the files that it includes by `\ir` in their place. */
async function withIncluded(text: string, directory: string, depth: number): Promise<string[]> {
  const lines: string[] = [];
  for (const line of text.split('\n')) {
    const file = /^\s*\\ir\s+(\S+)\s*$/.exec(line)?.[1];
    if (file === undefined) {
      lines.push(line);
      continue;
    }
    if (depth >= MAX_INCLUDES)
      throw new ClickledgerError('bad-input', `\\ir ${file}: files include each other more than ${MAX_INCLUDES} deep`);
    const path = join(directory, file);
    const included = await readFile(path, 'utf8').catch((error: unknown) => {
      throw explainFileError(error) ?? error;
    });
    lines.push(...(await withIncluded(included, dirname(path), depth + 1)));
  }
  return lines;
}

/** Variables that are set in any case, and those that are set where psql's caller gave none. */
function readVariables(lines: readonly string[]): { constants: Map<string, string>; defaults: Map<string, string> } {
  const constants = new Map<string, string>();
  const defaults = new Map<string, string>();
  let depth = 0;
  for (const line of lines) {
    if (!/^\s*\\/.test(line)) continue;
    for (const [, command, name, quoted, bare] of line.matchAll(/\\(if|endif|set)\b(?:\s+(\w+)\s+(?:'([^']*)'|([^\s']+)))?/g)) {
      if (command === 'if') depth++;
      else if (command === 'endif') depth--;
      else if (name !== undefined) (depth > 0 ? defaults : constants).set(name, quoted ?? bare ?? '');
    }
  }
  return { constants, defaults };
}

/** Replaces `:'name'` and `:"name"` as psql does; leaves those alone that have no value. */
function substitute(sql: string, valueOf: (name: string) => string | undefined): string {
  return sql.replace(/:(?:'(\w+)'|"(\w+)")/g, (whole, literal: string | undefined, identifier: string | undefined) => {
    const value = valueOf((literal ?? identifier) as string);
    if (value === undefined) return whole;
    return literal === undefined ? pg.escapeIdentifier(value) : pg.escapeLiteral(value);
  });
}

function noReport(name: string): ClickledgerError {
  return new ClickledgerError(
    'not-found',
    `there is no report '${name}': \`clickledger report\` lists them; a file of your own is named by its path`,
  );
}

/** The comment that follows the header after an empty one. */
function remarksOf(text: string): string {
  const lines = text.split('\n');
  const head = lines.slice(
    0,
    lines.findIndex((line) => !line.startsWith('--')),
  );
  const begin = head.findIndex((line) => line.trim() === '--');
  return begin === -1
    ? ''
    : head
        .slice(begin)
        .map((line) => line.slice(2).trim())
        .join(' ')
        .trim();
}

/** A kind that we do not know is not drawn: the table below it has everything. */
function parseChart(line: string): ChartSpec {
  const [word, ...pairs] = line.split(/\s+/);
  const columns = (axis: string): string[] =>
    pairs.filter((pair) => pair.startsWith(`${axis}=`)).flatMap((pair) => pair.slice(2).split(',').filter(Boolean));
  return { kind: CHART_KINDS.find((kind) => kind === word) ?? 'none', x: columns('x'), y: columns('y') };
}

/** The statement with every `:'name'` replaced; an unknown parameter is refused. */
export function fillIn(report: Report, values: Readonly<Record<string, string>>): string {
  const unknown = Object.keys(values).find((name) => !report.parameters.some((parameter) => parameter.name === name));
  if (unknown !== undefined)
    throw new ClickledgerError(
      'bad-input',
      `the report '${report.name}' has no parameter '${unknown}'; it has: ${report.parameters.map(({ name }) => name).join(', ') || 'none'}`,
    );
  return substitute(report.sql, (name) => values[name] ?? report.parameters.find((parameter) => parameter.name === name)?.default ?? '');
}
