import { isAbsolute, resolve } from 'node:path';
import type { Command } from 'commander';
import { type Config, parseConfig, type SettingName } from '../core/config.ts';
import { readEnvFile } from '../core/env-file.ts';
import { ClickledgerError } from '../core/errors.ts';
import { explainFileError } from '../core/files.ts';
import { createPool, explainDatabaseError, type Pool } from '../core/postgres.ts';
import { formatMoment, machineTimeZone } from '../core/time-zone.ts';
import { parseTime } from '../authoring/parse-time.ts';

// The global options, the settings and the database connection, which all commands share.

/** The options of the program itself, which every command accepts. */
export interface GlobalOptions {
  data: string;
  json?: boolean;
}

/** The absolute path of the data directory: `--data`, or CLICKLEDGER_DATA, or `.clickledger` in the working directory. */
export function dataDirOf(command: Command): string {
  const { data } = command.optsWithGlobals<GlobalOptions>();
  return isAbsolute(data) ? data : resolve(process.cwd(), data);
}

/** The settings of the data directory and of the environment. A variable of the environment takes precedence. */
export async function environmentOf(command: Command): Promise<Record<string, string | undefined>> {
  return { ...(await readEnvFile(dataDirOf(command))), ...process.env };
}

/**
 * Parses the settings `names`. Throws `bad-settings` if a setting is missing or invalid. If none of them is set, the message says how to
 * get settings.
 */
export async function configOf<N extends SettingName>(command: Command, names: readonly N[]): Promise<Config<N>> {
  const environment = await environmentOf(command);
  if (names.length > 0 && names.every((name) => environment[name] === undefined)) {
    throw new ClickledgerError(
      'bad-settings',
      `no settings in ${dataDirOf(command)}/env or the environment: start clickledger with \`npm start\`, or give its data directory with --data`,
    );
  }
  return parseConfig(names, environment);
}

/**
 * Parses a time that a user typed, in the time zone of the setting TIMEZONE or else of the machine. `words` is the time as text, with its
 * zone.
 */
export async function timeOf(command: Command, text: string): Promise<{ at: Date; words: string }> {
  const { TIMEZONE } = parseConfig(['TIMEZONE'], await environmentOf(command));
  const zone = TIMEZONE || machineTimeZone();
  const at = parseTime(text, zone);
  return { at, words: `${formatMoment(at.getTime(), zone)}${zone === 'UTC' ? '' : ` (${zone})`}` };
}

/** Throws an error of a file as a ClickledgerError, and other errors as they are. */
export function throwExplained(error: unknown): never {
  throw explainFileError(error) ?? error;
}

/** Runs `work` with a connection pool, and closes the pool. Errors of the database and of files are thrown as a ClickledgerError. */
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
