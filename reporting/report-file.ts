import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { ClickledgerError } from '../core/errors.ts';
import { explainFileError } from '../core/files.ts';

// A report is a file that psql runs as it stands (psql -v campaign=1 -f reports/campaign-summary.sql). Of psql's language we read what
// the convention uses: `:'name'` is a parameter's value as a literal, and `\set name value` its default. Other lines with a
// backslash only tell psql when the default applies.

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
  const text = await readFile(isPath ? wanted : join(directory, `${name}.sql`), 'utf8').catch((error: unknown) => {
    throw (isPath && explainFileError(error)) || noReport(wanted);
  });
  const header = (key: string): string[] =>
    Array.from(text.matchAll(new RegExp(`^-- ${key}: (.*)$`, 'gm')), (match) => (match[1] as string).trim());
  const defaults = new Map(
    Array.from(text.matchAll(/^\s*\\set (\w+) (?:'([^']*)'|([^\s']+))\s*$/gm), (match) => [match[1] as string, match[2] ?? match[3] ?? '']),
  );
  const parameters = header('parameter').map((line) => {
    const [parameter = '', ...help] = line.split(/\s+/);
    return { name: parameter, help: help.join(' '), default: defaults.get(parameter) ?? '' };
  });
  const sql = text
    .split('\n')
    .filter((line) => !/^\s*(\\|--)/.test(line))
    .join('\n');
  return {
    name,
    title: header('title')[0] ?? name,
    question: header('question')[0] ?? '',
    parameters,
    chart: parseChart(header('chart')[0] ?? 'none'),
    remarks: remarksOf(text),
    hasReach: header('reach')[0] !== 'no',
    sql,
  };
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
  return report.sql.replace(/:'(\w+)'/g, (_, name: string) => {
    const value = values[name] ?? report.parameters.find((parameter) => parameter.name === name)?.default ?? '';
    return pg.escapeLiteral(value);
  });
}
