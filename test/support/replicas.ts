import { execFile } from 'node:child_process';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { env } from 'node:process';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { Client } from '../../core/postgres.ts';
import { libraryPath, locate } from '../../stack/debian.ts';
import { freePort } from '../../stack/ports.ts';
import { OWNER, startPostgres } from '../../stack/postgres.ts';
import { guardedCommand, type Running } from '../../stack/process.ts';
import { eventually } from './servers.ts';

// A Postgres with standbys, for tests of failovers. The servers are those of the distribution, because the embedded Postgres has no
// pg_basebackup.

const run = promisify(execFile);
/** The password of the owner. */
export const PASSWORD = 'of-the-owner';

export interface ReplicatedServer {
  readonly port: number;
  /** Starts the server after it was stopped or killed. */
  start(): Promise<void>;
  kill(): Promise<void>;
  /** Runs one statement as the owner. */
  query(database: string, sql: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /** Stops and continues the replication to this standby. */
  stopReplication(): Promise<void>;
  /** Makes this standby the primary. */
  promote(): Promise<void>;
}

export interface Replicas {
  /** The primary at the start, and its standbys. */
  readonly servers: readonly ReplicatedServer[];
  /** The hosts as in a URL: `127.0.0.1:5433,127.0.0.1:5434`. */
  readonly hosts: string;
  /** Settings that make all parts of a system use these servers. */
  readonly settings: Readonly<Record<string, string>>;
}

/** The events of shard a on one server: all, and different ones. */
export async function countEvents(server: Pick<ReplicatedServer, 'query'>): Promise<{ events: number; different: number }> {
  const [row] = await server.query(
    'clickledger_shard_a',
    'SELECT count(*)::int AS events, count(DISTINCT (gen, off))::int AS different FROM shard.event',
  );
  return row as { events: number; different: number };
}

/** Starts a primary and `standbys` standbys with asynchronous replication. `atEnd` registers their stop: by default, after the test. */
export async function startReplicas(standbys = 1, atEnd: (stop: () => Promise<void>) => void = onTestFinished): Promise<Replicas> {
  // Its other programs are in the directory of the program itself, not in that of a link to it.
  const program = await realpath(await locate('postgres'));
  const directory = await mkdtemp(join(tmpdir(), 'clickledger-replicas-'));
  atEnd(() => rm(directory, { recursive: true, force: true }));
  const runDir = join(directory, 'run');
  const servers: ReplicatedServer[] = [];
  for (let i = 0; i <= standbys; i++) {
    const port = await freePort();
    const dataDir = join(directory, `postgres-${i}`);
    if (i > 0) await copyPrimary(program, dataDir, servers[0]?.port ?? 0);
    const server = describeServer({ program, dataDir, runDir: join(runDir, String(i)), port }, atEnd);
    await server.start();
    servers.push(server);
  }
  const hosts = servers.map(({ port }) => `127.0.0.1:${port}`).join(',');
  return { servers, hosts, settings: settingsFor(hosts) };
}

function describeServer(
  options: { program: string; dataDir: string; runDir: string; port: number },
  atEnd: (stop: () => Promise<void>) => void,
): ReplicatedServer {
  const { port } = options;
  let running: Running | undefined;
  atEnd(async () => {
    await running?.stop();
  });
  const server: ReplicatedServer = {
    port,
    async start() {
      running = await startPostgres({ ...options, ownerPassword: PASSWORD, durable: false });
    },
    async kill() {
      await running?.kill();
      running = undefined;
    },
    async query(database, sql, values = []) {
      const client = new Client({ host: '127.0.0.1', port, user: OWNER, password: PASSWORD, database });
      client.on('error', () => {});
      await client.connect();
      try {
        return (await client.query<Record<string, unknown>>(sql, values)).rows;
      } finally {
        await client.end();
      }
    },
    async stopReplication() {
      await server.query('postgres', `ALTER SYSTEM SET primary_conninfo = ''`);
      await server.query('postgres', 'SELECT pg_reload_conf()');
      await eventually('the standby receives nothing', async () => {
        const [row] = await server.query('postgres', 'SELECT count(*)::int AS receivers FROM pg_stat_wal_receiver');
        return row?.['receivers'] === 0;
      });
    },
    async promote() {
      await server.query('postgres', 'SELECT pg_promote()');
    },
  };
  return server;
}

/** Makes a base backup of the primary, and lets it start as a standby. */
async function copyPrimary(program: string, dataDir: string, port: number): Promise<void> {
  await rm(dataDir, { recursive: true, force: true });
  const connection = `postgres://${OWNER}:${PASSWORD}@127.0.0.1:${port}/postgres`;
  const { command, args } = guardedCommand({
    command: join(dirname(program), 'pg_basebackup'),
    args: ['--pgdata', dataDir, '--dbname', connection, '--write-recovery-conf', '--checkpoint=fast', '--no-sync', '--wal-method=stream'],
    stopSignal: 'SIGTERM',
    notRoot: true,
  });
  await run(command, args, { env: { PATH: env['PATH'], HOME: env['HOME'], LD_LIBRARY_PATH: libraryPath(program) } });
}

/** Settings that make all parts of a system use the servers at these hosts. */
export function settingsFor(hosts: string): Record<string, string> {
  const roleUrl = (role: string, attrs = 'read-write'): string =>
    `postgres://clickledger_${role}:of-${role}@${hosts}/clickledger?target_session_attrs=${attrs}`;
  return {
    CATALOG_URL: `postgres://${OWNER}:${PASSWORD}@${hosts}/clickledger`,
    BACKEND_URL: roleUrl('backend', 'prefer-standby'),
    WORKER_URL: roleUrl('worker'),
    AUTHOR_URL: roleUrl('author'),
    ANALYST_URL: roleUrl('analyst'),
    FORWARDER_URL: roleUrl('forwarder'),
    SHARDS: `a=00=postgres://${hosts}/clickledger_shard_a`,
  };
}
