import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ClickledgerError } from '../core/errors.ts';
import { explainFileError } from '../core/files.ts';
import { anyOf, nearestNames } from '../core/nearest.ts';
import { isParameterType, typeByName } from './parameter-types.ts';
import { readScript, type Script, sourceFile } from './psql-script.ts';
import { frameOf, type SourceFile } from './source.ts';

// Reads report files. A report is an SQL file that psql can run unchanged (psql -v campaign=1 -f reports/campaign-summary.sql). Comments in
// the file have its title, question, parameters and chart. reporting/psql-script.ts reads the rest of the file.

export const CHART_KINDS = ['bar', 'line', 'stacked-bar', 'heatmap', 'none'] as const;
export type ChartKind = (typeof CHART_KINDS)[number];

/**
 * The line `-- chart: KIND x=COLUMN y=COLUMN,COLUMN`. In a heatmap, the first column of `y` has the names of the rows. A second column of
 * `y` is optional and has the values.
 */
export interface ChartSpec {
  kind: ChartKind;
  x: string[];
  y: string[];
}

export interface Parameter {
  name: string;
  /** The type of the value: a name of PARAMETER_TYPES, or the allowed values, separated by `|`. */
  type: string;
  help: string;
  default: string;
}

export interface Report {
  name: string;
  title: string;
  question: string;
  parameters: Parameter[];
  chart: ChartSpec;
  /** The description of the columns, from the comment of the file. */
  remarks: string;
  /**
   * True if the output says below the rows up to which time hits are counted. `-- reach: no` turns this off, for a report whose rows
   * already show this time.
   */
  hasReach: boolean;
  /**
   * True if the page of a campaign shows the rows. `-- page: link` turns this off, for a report that reads single events or has a row for
   * each recipient. Such a report takes too long for a page that is refreshed every few seconds.
   */
  isOnPage: boolean;
  file: SourceFile;
  /** True if the report was found by its name in the directory of reports, and not by a path. */
  isListed: boolean;
}

const DIRECTORY = fileURLToPath(new URL('../reports/', import.meta.url));

/** Reads all reports of a directory, sorted by name. */
export async function listReports(directory = DIRECTORY): Promise<Report[]> {
  const files = (await readdir(directory)).filter((file) => file.endsWith('.sql')).sort();
  return Promise.all(files.map((file) => readReport(basename(file, '.sql'), directory)));
}

/**
 * Reads a report. A name means a report in the directory. A text that ends in `.sql` is the path of any file. Throws `not-found` if there
 * is no such report, and `bad-input` if a file cannot be read or understood.
 */
export async function readReport(nameOrPath: string, directory = DIRECTORY): Promise<Report> {
  const isPath = nameOrPath.endsWith('.sql');
  if (!isPath && !/^[a-z0-9-]+$/.test(nameOrPath)) throw await reportNotFound(nameOrPath, directory);
  const name = basename(nameOrPath, '.sql');
  const path = isPath ? nameOrPath : join(directory, `${name}.sql`);
  const text = await readFile(path, 'utf8').catch(async (error: unknown) => {
    throw (isPath && explainFileError(error)) || (await reportNotFound(nameOrPath, directory));
  });
  return parseReport(name, sourceFile(path, isPath ? path : join('reports', `${name}.sql`), text), !isPath);
}

/** Reads the comments of a report. */
export function parseReport(name: string, file: SourceFile, isListed = false): Report {
  // No values are given, so after the last line the variables have their defaults.
  const { files, variables } = readScript(file, {});
  const lines = files.flatMap((source) => headerLines(source));
  const header = (key: string): string[] =>
    lines.filter(({ line }) => line.startsWith(`-- ${key}: `)).map(({ line }) => line.slice(key.length + 5).trim());
  const parameters = lines
    .filter(({ line }) => line.startsWith('-- parameter: '))
    .map(({ line, source, offset }): Parameter => {
      const [declared = '', ...help] = line.slice('-- parameter: '.length).trim().split(/\s+/);
      const [, parameter = declared, type = typeByName(parameter)] = /^([^:]+):(.+)$/.exec(declared) ?? [];
      if (!isParameterType(type))
        throw new ClickledgerError(
          'bad-input',
          frameOf({ file: source, offset }, `'${type}' is not a type of parameter: see docs/analysts.md`),
        );
      return { name: parameter, type, help: help.join(' '), default: variables.get(parameter) ?? '' };
    });
  return {
    name,
    title: header('title')[0] ?? name,
    question: header('question')[0] ?? '',
    parameters: parameters.filter((parameter, i) => parameters.findIndex((other) => other.name === parameter.name) === i),
    chart: parseChart(header('chart')[0] ?? 'none'),
    remarks: remarksOf(file.text),
    hasReach: header('reach')[0] !== 'no',
    isOnPage: header('page')[0] !== 'link',
    file,
    isListed,
  };
}

function headerLines(source: SourceFile): { line: string; source: SourceFile; offset: number }[] {
  let offset = 0;
  return source.text.split('\n').map((line) => {
    const at = offset;
    offset += line.length + 1;
    return { line: line.trimEnd(), source, offset: at };
  });
}

async function reportNotFound(name: string, directory: string): Promise<ClickledgerError> {
  const names = (await readdir(directory).catch(() => [])).filter((file) => file.endsWith('.sql')).map((file) => basename(file, '.sql'));
  const near = nearestNames(name, names);
  return new ClickledgerError(
    'not-found',
    `report '${name}' does not exist. ${near.length > 0 ? `Similar names: ${anyOf(near)}. ` : ''}\`clickledger report\` lists all reports. Give a report file of your own by its path, which ends in .sql.`,
  );
}

/** Returns the description of the columns. It is the part of the first comment that follows an empty comment line. */
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

/** Parses a `-- chart:` line. An unknown kind becomes `none`, so the report has only its table. */
function parseChart(line: string): ChartSpec {
  const [word, ...pairs] = line.split(/\s+/);
  const columns = (axis: string): string[] =>
    pairs.filter((pair) => pair.startsWith(`${axis}=`)).flatMap((pair) => pair.slice(2).split(',').filter(Boolean));
  return { kind: CHART_KINDS.find((kind) => kind === word) ?? 'none', x: columns('x'), y: columns('y') };
}

/**
 * Reads the statements of a report with these values of its variables. `values` can also have a variable without a `-- parameter:` line, if
 * the file uses this variable and does not set it. Throws `bad-input` for any other name.
 */
export function fillIn(report: Report, values: Readonly<Record<string, string>>): Script {
  const script = readScript(report.file, values);
  for (const name of Object.keys(values)) {
    if (report.parameters.some((parameter) => parameter.name === name)) continue;
    if (script.used.has(name) && !script.assigned.has(name)) continue;
    const known = report.parameters.map((parameter) => parameter.name);
    const near = nearestNames(name, known, 1);
    throw new ClickledgerError(
      'bad-input',
      `report '${report.name}' has no parameter '${name}'. ${near.length > 0 ? `Did you mean '${near[0]}'? ` : ''}Its parameters: ${known.join(', ') || 'none'}.`,
    );
  }
  return script;
}
