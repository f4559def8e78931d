import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { libraryPath, locate } from '../../stack/debian.ts';
import { type Running, startProcess } from '../../stack/process.ts';

export interface PgbouncerOptions {
  runDir: string;
  port: number;
  postgresPort: number;
  /** The passwords of the roles that may connect. */
  users: Readonly<Record<string, string>>;
}

/**
 * Starts pgbouncer in front of all databases of a Postgres server on loopback. It has only the necessary settings, and settings that make
 * it use another session for each transaction: a pool of two sessions for each role and database, which are used alternately.
 */
export async function startPgbouncer({ runDir, port, postgresPort, users }: PgbouncerOptions): Promise<Running> {
  await mkdir(runDir, { recursive: true, mode: 0o700 });
  const usersPath = join(runDir, 'pgbouncer-users.txt');
  const configPath = join(runDir, 'pgbouncer.ini');
  const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
  await writeFile(
    usersPath,
    Object.entries(users)
      .map(([name, password]) => `${quoted(name)} ${quoted(password)}\n`)
      .join(''),
  );
  await writeFile(
    configPath,
    `[databases]
* = host=127.0.0.1 port=${postgresPort}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${usersPath}
pool_mode = transaction
default_pool_size = 2
server_round_robin = 1
`,
  );
  const program = await locate('pgbouncer');
  return startProcess({
    name: 'pgbouncer',
    command: program,
    args: [configPath],
    env: { LD_LIBRARY_PATH: libraryPath(program) },
    // SIGTERM ends all connections at once.
    stopSignal: 'SIGTERM',
    runDir,
    notRoot: true,
    ready: () => listens(port),
  });
}

/** Returns whether pgbouncer answers. The error that a role does not exist also counts as an answer. */
async function listens(port: number): Promise<boolean> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'nobody',
    password: 'x',
    database: 'postgres',
    connectionTimeoutMillis: 2_000,
  });
  client.on('error', () => {});
  return client.connect().then(
    () => true,
    (error: { code?: string }) => error.code !== 'ECONNREFUSED',
  );
}
