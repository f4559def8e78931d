import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

/** The psql on the PATH; undefined where there is none. */
export const PSQL = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((directory) => join(directory, 'psql'))
  .find((file) => existsSync(file));

/** What psql makes of a report's file as it stands: rows of texts. */
export async function byPsql(url: string, file: string, variables: Readonly<Record<string, string>>): Promise<string[][]> {
  if (PSQL === undefined) throw new Error('there is no psql on the PATH');
  const set = Object.entries(variables).flatMap(([name, value]) => ['-v', `${name}=${value}`]);
  const how = ['-X', '-q', '-A', '-t', '-F', '\x1f', '-R', '\x1e', '-v', 'ON_ERROR_STOP=1'];
  const { stdout } = await promisify(execFile)(PSQL, [...how, ...set, '-d', url, '-f', file], { maxBuffer: 64 * 1024 * 1024 });
  const text = stdout.replace(/\n$/, '');
  return text === '' ? [] : text.split('\x1e').map((row) => row.split('\x1f'));
}
