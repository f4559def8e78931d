import { execFile } from 'node:child_process';
import { realpath, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { messageOf } from '../../core/errors.ts';
import { Client } from '../../core/postgres.ts';
import { sleep } from '../../core/time.ts';
import { libraryPath, locate } from '../../stack/debian.ts';
import { OWNER, startPostgres } from '../../stack/postgres.ts';
import { guardedCommand, type Running } from '../../stack/process.ts';
import type { Member } from '../../stack/system.ts';
import { signalAll } from '../support/processes.ts';
import type { Network } from './network.ts';
import { PORTS } from './settings.ts';

// The Postgres servers of a cluster: a primary and two asynchronous standbys. The faults call the functions here to promote a standby and to make
// a standby of a former primary. In production, a tool such as Patroni does this.

const run = promisify(execFile);
const WAIT_MS = 30_000;

export interface Databases {
  /** The host of the present primary. */
  readonly primary: number;
  member(host: number): Member;
  /** Runs one statement as the owner of the server on a host. */
  query(host: number, database: string, sql: string): Promise<Record<string, unknown>[]>;
  /** Makes the host the primary, and lets the other standbys that run follow it. */
  promote(host: number): Promise<void>;
  /** Pauses the standbys, and returns the one with the most WAL. */
  foremostStandby(): Promise<number>;
  /** Lets standbys receive nothing more until they follow a primary again. */
  pauseStandbys(): Promise<void>;
  /** Makes the server of a host a standby of the primary, from a new base backup. Stops it first, if it runs. */
  rejoin(host: number): Promise<void>;
  /** Waits until every standby receives the WAL of the primary. */
  untilStreaming(): Promise<void>;
}

export interface DatabaseOptions {
  network: Network;
  hosts: readonly number[];
  dataDir: string;
  runDir: string;
  ownerPassword: string;
}

export async function createDatabases(options: DatabaseOptions): Promise<Databases> {
  const { network, hosts, dataDir, runDir, ownerPassword } = options;
  // The other programs of Postgres are where the link to `postgres` points.
  const program = await realpath(await locate('postgres'));
  const directory = (host: number): string => join(dataDir, `host-${host}`, 'postgres');
  const hbaFile = join(dataDir, 'pg_hba.conf');
  await writeFile(hbaFile, 'host all all 10.77.0.0/16 scram-sha-256\nhost replication all 10.77.0.0/16 scram-sha-256\n');
  let primary = hosts[0] as number;
  /** Hosts that were the primary and are no standby yet. Some of them may still run as a primary. */
  const former = new Set<number>();

  const members = new Map(
    hosts.map((host) => {
      const member: Member = {
        name: `postgres-${host}`,
        running: undefined,
        async start() {
          member.running = await startPostgres({
            name: member.name,
            dataDir: directory(host),
            runDir,
            listen: network.address(host),
            port: PORTS.postgres,
            ownerPassword,
            durable: false,
            program,
            networkNamespace: network.namespace(host),
            settings: {
              hba_file: hbaFile,
              shared_buffers: '64MB',
              wal_keep_size: '256MB',
              // A host that is cut off is noticed within seconds, also by connections that wait for it.
              wal_sender_timeout: '4s',
              wal_receiver_timeout: '4s',
              wal_retrieve_retry_interval: '500ms',
              tcp_user_timeout: '5s',
              tcp_keepalives_idle: '2',
              tcp_keepalives_interval: '1',
              tcp_keepalives_count: '3',
            },
          });
        },
      };
      return [host, member] as const;
    }),
  );

  const connectionTo = (host: number): string =>
    `host=${network.address(host)} port=${PORTS.postgres} user=${OWNER} password=${ownerPassword} connect_timeout=10 tcp_user_timeout=3000`;
  const isRunning = (host: number): boolean => databases.member(host).running !== undefined;
  const standbys = (): number[] => hosts.filter((host) => host !== primary && !former.has(host) && isRunning(host));

  const databases: Databases = {
    get primary() {
      return primary;
    },
    member: (host) => members.get(host) as Member,
    async query(host, database, sql) {
      const client = new Client({
        host: network.address(host),
        port: PORTS.postgres,
        user: OWNER,
        password: ownerPassword,
        database,
        connectionTimeoutMillis: 3_000,
        query_timeout: WAIT_MS,
      });
      client.on('error', () => {});
      try {
        await client.connect();
        return (await client.query<Record<string, unknown>>(sql)).rows;
      } finally {
        await client.end().catch(() => {});
      }
    },
    async foremostStandby() {
      const received = await Promise.all(
        standbys().map(async (host) => {
          try {
            // If it received more WAL of the former primary than the promoted standby has, it could not follow that one.
            await stopReceiving(host);
            const [row] = await databases.query(host, 'postgres', RECEIVED);
            return { host, bytes: Number(row?.['bytes']) };
          } catch {
            // It cannot be reached.
            return { host, bytes: -1 };
          }
        }),
      );
      const [first] = received.filter(({ bytes }) => bytes >= 0).sort((a, b) => b.bytes - a.bytes);
      if (!first) throw new Error('no standby answers');
      return first.host;
    },
    async promote(host) {
      await databases.query(host, 'postgres', 'SELECT pg_promote(true, 30)');
      former.add(primary);
      primary = host;
      for (const other of standbys()) await follow(other).catch(() => databases.rejoin(other));
    },
    async pauseStandbys() {
      for (const host of standbys()) await stopReceiving(host);
    },
    async rejoin(host) {
      const member = databases.member(host);
      if (member.running) await killWithChildren(member.running);
      member.running = undefined;
      await rm(directory(host), { recursive: true, force: true, maxRetries: 10 });
      const { command, args } = guardedCommand({
        command: join(dirname(program), 'pg_basebackup'),
        args: ['-D', directory(host), '-d', connectionTo(primary), '-R', '-X', 'stream', '-c', 'fast', '--no-sync'],
        stopSignal: 'SIGTERM',
        notRoot: true,
        networkNamespace: network.namespace(host),
      });
      try {
        await run(command, args, { env: { LD_LIBRARY_PATH: libraryPath(program), PATH: process.env['PATH'] } });
      } catch (error) {
        // The message of the error has the command with its password.
        throw new Error(`no base backup for host ${host}: ${(error as { stderr?: string }).stderr ?? ''}`);
      }
      await member.start();
      former.delete(host);
    },
    async untilStreaming() {
      await until('every standby receives WAL', async () => (await receivers()) >= standbys().length);
    },
  };

  /** Lets a standby receive WAL from a server, or from none. */
  async function setUpstream(host: number, connection: string): Promise<void> {
    await databases.query(host, 'postgres', `ALTER SYSTEM SET primary_conninfo = '${connection}'`);
    await databases.query(host, 'postgres', 'SELECT pg_reload_conf()');
  }

  async function stopReceiving(host: number): Promise<void> {
    await setUpstream(host, '');
    const sql = 'SELECT 1 FROM pg_stat_wal_receiver';
    await until(`host ${host} receives no WAL`, async () => (await databases.query(host, 'postgres', sql)).length === 0, 5_000);
  }

  /**
   * Lets a standby follow the new primary. Throws if it does not, e.g. because it has received WAL of the former primary that the new primary does
   * not have. Such a standby connects again and again, but never receives WAL of the new timeline.
   */
  async function follow(host: number): Promise<void> {
    await setUpstream(host, connectionTo(primary));
    const [row] = await databases.query(primary, 'postgres', 'SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8) AS timeline');
    const timeline = Number.parseInt(String(row?.['timeline']), 16);
    const sql = `SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming' AND received_tli = ${timeline}`;
    await until(`host ${host} follows`, async () => (await databases.query(host, 'postgres', sql)).length > 0, 5_000);
  }

  /** The number of standbys that receive the WAL of the primary. Base backups are not counted. */
  async function receivers(): Promise<number> {
    const sql = `SELECT count(*)::int AS n FROM pg_stat_replication WHERE application_name = 'walreceiver' AND state = 'streaming'`;
    const [row] = await databases.query(primary, 'postgres', sql);
    return Number(row?.['n']);
  }

  return databases;
}

/** Kills a process and its children at once, as the end of its host does. Servers of Postgres and workers of nginx are such children. */
export async function killWithChildren(running: Running): Promise<void> {
  const { stdout } = await run('pgrep', ['-P', String(running.pid)]).catch(() => ({ stdout: '' }));
  const exit = running.kill();
  signalAll(stdout.split('\n').filter(Boolean).map(Number), 'SIGKILL');
  await exit;
}

/** How many bytes of WAL a standby has. */
const RECEIVED = `SELECT greatest(pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0'), pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')) AS bytes`;

/** Waits for a condition. An error of it counts as false. Throws if it does not come true in time. */
export async function until(what: string, condition: () => Promise<boolean>, timeoutMs = WAIT_MS): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let failure: unknown;
  for (;;) {
    try {
      if (await condition()) return;
    } catch (error) {
      failure = error;
    }
    if (performance.now() > deadline)
      throw new Error(`not in time: ${what}${failure === undefined ? '' : ` (${messageOf(failure)})`}`, { cause: failure });
    await sleep(100);
  }
}
