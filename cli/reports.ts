import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { ClickledgerError } from '../core/errors.ts';

// A report is a file that psql runs as it stands (psql -v campaign=1 -f reports/campaign-summary.sql). Of psql's language we read what
// the convention uses: `:'name'` is a parameter's value as a literal, and `\set name value` its default. Other lines with a
// backslash only tell psql when the default applies.

export interface Report {
  name: string;
  title: string;
  question: string;
  parameters: { name: string; help: string; default: string }[];
  sql: string;
}

const DIRECTORY = fileURLToPath(new URL('../reports/', import.meta.url));

export async function listReports(directory = DIRECTORY): Promise<Report[]> {
  const files = (await readdir(directory)).filter((file) => file.endsWith('.sql')).sort();
  return Promise.all(files.map((file) => readReport(basename(file, '.sql'), directory)));
}

export async function readReport(name: string, directory = DIRECTORY): Promise<Report> {
  const text = /^[a-z0-9-]+$/.test(name) ? await readFile(join(directory, `${name}.sql`), 'utf8').catch(() => undefined) : undefined;
  if (text === undefined) throw new ClickledgerError('not-found', `there is no report '${name}': \`clickledger report\` lists them`);
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
  return { name, title: header('title')[0] ?? name, question: header('question')[0] ?? '', parameters, sql };
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
