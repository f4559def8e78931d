import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { libraryPath } from '../../stack/debian.ts';

/** The path of psql, or undefined if it is not on the PATH. */
export const PSQL = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((directory) => join(directory, 'psql'))
  .find((file) => existsSync(file));

/** Runs a report file unchanged with psql and returns the rows as texts. */
export async function runPsql(url: string, file: string, variables: Readonly<Record<string, string>>): Promise<string[][]> {
  if (PSQL === undefined) throw new Error('psql is not on the PATH');
  const variableFlags = Object.entries(variables).flatMap(([name, value]) => ['-v', `${name}=${value}`]);
  const flags = ['-X', '-q', '-A', '-t', '-F', '\x1f', '-R', '\x1e', '-v', 'ON_ERROR_STOP=1'];
  const { stdout } = await promisify(execFile)(PSQL, [...flags, ...variableFlags, '-d', url, '-f', file], { maxBuffer: 64 * 1024 * 1024 });
  const text = stdout.replace(/\n$/, '');
  return text === '' ? [] : text.split('\x1e').map((row) => row.split('\x1f'));
}

/**
 * Runs a script with the psql of the distribution. `postgres` is the path of the Postgres server of the distribution. `url` is the URL of
 * the database to which psql connects first.
 */
export async function runScript(postgres: string, url: string, script: string): Promise<void> {
  const psql = join(dirname(await realpath(postgres)), 'psql');
  const env = { PATH: process.env['PATH'], LD_LIBRARY_PATH: libraryPath(postgres) };
  const running = promisify(execFile)(psql, ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', url], { env });
  running.child.stdin?.end(script);
  await running;
}
