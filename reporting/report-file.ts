import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { ClickledgerError } from '../core/errors.ts';
import { explainFileError } from '../core/files.ts';

// Reads report files. A report is an SQL file that psql can run unchanged (psql -v campaign=1 -f reports/campaign-summary.sql). Of psql's
// language this module supports what the report files use:
//
//   :'name', :"name"                             the value of a variable, as a literal or as an identifier
//   \set name value                              sets a variable
//   \if :{?name} \else \set name value \endif    the default of a parameter, on one line or on several lines
//   \ir file                                     includes a file; its path is relative to this file

export const CHART_KINDS = ['bar', 'line', 'stacked-bar', 'heatmap', 'none'] as const;
export type ChartKind = (typeof CHART_KINDS)[number];

/**
 * The line `-- chart: KIND x=COLUMN y=COLUMN,COLUMN`. In a heatmap the first column of `y` has the names of the rows, and the second one,
 * if there is one, has the values.
 */
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
  /** The description of the columns, from the comment of the file. */
  remarks: string;
  /** Whether the output says below the rows how far the data reach. `-- reach: no` turns it off, for a report whose rows show it. */
  hasReach: boolean;
  sql: string;
}

/** The depth of nested includes. */
const MAX_INCLUDES = 8;
const DIRECTORY = fileURLToPath(new URL('../reports/', import.meta.url));

/** Reads all reports of a directory, sorted by name. */
export async function listReports(directory = DIRECTORY): Promise<Report[]> {
  const files = (await readdir(directory)).filter((file) => file.endsWith('.sql')).sort();
  return Promise.all(files.map((file) => readReport(basename(file, '.sql'), directory)));
}

/**
 * Reads a report: by its name from the directory, or any file by its path, which ends in `.sql`. Throws `not-found` if there is no such
 * report, and `bad-input` if a file cannot be read.
 */
export async function readReport(nameOrPath: string, directory = DIRECTORY): Promise<Report> {
  const isPath = nameOrPath.endsWith('.sql');
  if (!isPath && !/^[a-z0-9-]+$/.test(nameOrPath)) throw reportNotFound(nameOrPath);
  const name = basename(nameOrPath, '.sql');
  const path = isPath ? nameOrPath : join(directory, `${name}.sql`);
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw (isPath && explainFileError(error)) || reportNotFound(nameOrPath);
  });
  const lines = await expandIncludes(text, dirname(path), 0);
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

/** Returns the lines of a report file. The lines of an included file replace its `\ir` line. */
async function expandIncludes(text: string, directory: string, depth: number): Promise<string[]> {
  const lines: string[] = [];
  for (const line of text.split('\n')) {
    const file = /^\s*\\ir\s+(\S+)\s*$/.exec(line)?.[1];
    if (file === undefined) {
      lines.push(line);
      continue;
    }
    if (depth >= MAX_INCLUDES)
      throw new ClickledgerError(
        'bad-input',
        `cannot include ${file}: includes are nested more than ${MAX_INCLUDES} levels deep; a file must not include itself`,
      );
    const path = join(directory, file);
    const included = await readFile(path, 'utf8').catch((error: unknown) => {
      throw explainFileError(error) ?? error;
    });
    lines.push(...(await expandIncludes(included, dirname(path), depth + 1)));
  }
  return lines;
}

/** Reads the `\set` lines. Those inside an `\if` are the defaults of parameters, the others are constants. */
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

/** Replaces `:'name'` and `:"name"` as psql does. Names without a value stay as they are. */
function substitute(sql: string, valueOf: (name: string) => string | undefined): string {
  return sql.replace(/:(?:'(\w+)'|"(\w+)")/g, (whole, literal: string | undefined, identifier: string | undefined) => {
    const value = valueOf((literal ?? identifier) as string);
    if (value === undefined) return whole;
    return literal === undefined ? pg.escapeIdentifier(value) : pg.escapeLiteral(value);
  });
}

function reportNotFound(name: string): ClickledgerError {
  return new ClickledgerError(
    'not-found',
    `report '${name}' does not exist. \`clickledger report\` lists all reports. Give a report file of your own by its path, which ends in .sql.`,
  );
}

/** Returns the description: the rest of the first comment, after an empty comment line. */
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

/** Parses a `-- chart:` line. An unknown kind becomes `none`: the report then has only its table. */
function parseChart(line: string): ChartSpec {
  const [word, ...pairs] = line.split(/\s+/);
  const columns = (axis: string): string[] =>
    pairs.filter((pair) => pair.startsWith(`${axis}=`)).flatMap((pair) => pair.slice(2).split(',').filter(Boolean));
  return { kind: CHART_KINDS.find((kind) => kind === word) ?? 'none', x: columns('x'), y: columns('y') };
}

/** Returns the SQL of a report with its parameters filled in, or their defaults. Throws `bad-input` for an unknown parameter. */
export function fillIn(report: Report, values: Readonly<Record<string, string>>): string {
  const unknown = Object.keys(values).find((name) => !report.parameters.some((parameter) => parameter.name === name));
  if (unknown !== undefined)
    throw new ClickledgerError(
      'bad-input',
      `report '${report.name}' has no parameter '${unknown}'. Its parameters: ${report.parameters.map(({ name }) => name).join(', ') || 'none'}.`,
    );
  return substitute(report.sql, (name) => values[name] ?? report.parameters.find((parameter) => parameter.name === name)?.default ?? '');
}
