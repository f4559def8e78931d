import { isAbsolute, resolve } from 'node:path';
import type { Command } from 'commander';
import { type Config, parseConfig, type SettingName } from '../core/config.ts';
import { readEnvFile } from '../core/env-file.ts';
import { ClickledgerError } from '../core/errors.ts';
import { explainFileError } from '../core/files.ts';
import { createPool, explainDatabaseError, type Pool } from '../core/postgres.ts';

/** Where the options that every command shares come from. */
export interface Globals {
  data: string;
  json?: boolean;
}

/** The data directory: `--data`, else CLICKLEDGER_DATA, else `.clickledger` here. */
export function dataDirOf(command: Command): string {
  const { data } = command.optsWithGlobals<Globals>();
  return isAbsolute(data) ? data : resolve(process.cwd(), data);
}

/** The settings of the data directory, with those of the environment above them. */
export async function environmentOf(command: Command): Promise<Record<string, string | undefined>> {
  return { ...(await readEnvFile(dataDirOf(command))), ...process.env };
}

/** The named settings; where none are to be found at all, says what to do first. */
export async function configOf<N extends SettingName>(command: Command, names: readonly N[]): Promise<Config<N>> {
  const environment = await environmentOf(command);
  if (names.length > 0 && names.every((name) => environment[name] === undefined)) {
    throw new ClickledgerError(
      'bad-settings',
      `no settings in ${dataDirOf(command)}/env or the environment: start clickledger (\`npm start\`), or give its directory with --data`,
    );
  }
  return parseConfig(names, environment);
}

/** Runs `work` with a pool that is closed afterwards; a failure of the database or of a file becomes one line that says what to do. */
export async function withPool<T>(url: string, work: (pool: Pool) => Promise<T>): Promise<T> {
  const pool = createPool(url, { max: 2, name: 'cli' });
  try {
    return await work(pool);
  } catch (error) {
    throw error instanceof ClickledgerError ? error : (explainFileError(error) ?? explainDatabaseError(error));
  } finally {
    await pool.end();
  }
}
