import { execFile } from 'node:child_process';
import { link, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { JetStreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import pg from 'pg';
import { createJetStreamManager, natsOptions } from '../../core/nats.ts';
import { natsUrlWithCredentials, parseNatsUrl } from '../../core/nats-url.ts';
import { parseShards, shardUrl } from '../../core/shards.ts';
import { type Member, startSystem, type System } from '../../stack/system.ts';
import { exitStatus } from '../support/processes.ts';
import { type Proxy, startProxy } from './proxy.ts';
import type { Random } from './random.ts';
import { type Receivers, startReceivers } from './receivers.ts';

// The system under test, with everything that the faults need. It has two processes of each part, and proxies between each worker and its
// servers.

const run = promisify(execFile);

const OPERATOR_PASSWORD = 'of-the-operator';

export const WORKERS = ['event-worker-1', 'event-worker-2'] as const;
export const FORWARDERS = ['forwarder-1', 'forwarder-2'] as const;

/** The world without the receivers of subscriptions. */
type BareWorld = Omit<World, 'receivers' | 'stop'>;

export interface World {
  readonly system: System;
  readonly dataDir: string;
  readonly random: Random;
  /** The proxies of each worker: one to Postgres (for the shards only), and one to NATS. */
  readonly proxies: Readonly<Record<string, { postgres: Proxy; nats: Proxy }>>;
  /** The edges whose nginx is touched by a fault at the moment. */
  readonly excusedEdges: Set<number>;
  /** The current value of SHARDS. It changes when a fault moves a shard. */
  shardsText: string;
  /** Whether edge 2 writes its log to a separate small file system. */
  readonly smallDisk: boolean;
  crash(name: string): Promise<void>;
  /** Kills a member with SIGKILL, runs `work`, and starts the member again. */
  whileDown(name: string, work: () => Promise<void>): Promise<void>;
  /** Sends SIGSTOP, waits, and sends SIGCONT. */
  freeze(name: string, ms: number): Promise<void>;
  /** Runs one statement as the owner of Postgres. */
  owner(database: string, sql: string): Promise<pg.QueryResult<Record<string, unknown>>>;
  databaseOf(shard: string): string;
  withStreams<T>(work: (streams: JetStreamManager, connection: NatsConnection) => Promise<T>): Promise<T>;
  /** Parts that exited although no injected fault stops them. A restart would hide such crashes. */
  readonly crashed: string[];
  /** Adds to `crashed` every part that should be running but is not. */
  recordCrashes(): Promise<void>;
  /** Directories with hard links to every generation of every plain log. */
  readonly keepDirs: readonly string[];
  readonly receivers: Receivers;
  stop(): Promise<void>;
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function createWorld(dataDir: string, random: Random): Promise<World> {
  const smallDir = join(dataDir, 'edge-2');
  await mkdir(smallDir, { recursive: true });
  const smallDisk = await run('mount', ['-t', 'tmpfs', '-o', 'size=96m', 'tmpfs', smallDir]).then(
    () => true,
    () => false,
  );
  const proxies: Record<string, { postgres: Proxy; nats: Proxy }> = {};
  const portIn = (url: string | undefined): number => Number(new URL(url ?? 'none://0:1').port);
  let system: System | undefined;
  let env: Readonly<Record<string, string>> = {};
  for (const worker of WORKERS) {
    proxies[worker] = {
      postgres: await startProxy(() => portIn(env['CATALOG_URL'])),
      nats: await startProxy(() => portIn(env['WORKER_NATS_URL'])),
    };
  }
  let shardsText: string | undefined;
  system = await startSystem({
    dataDir,
    shards: 2,
    edges: 2,
    backends: 2,
    workers: WORKERS.length,
    forwarders: FORWARDERS.length,
    durable: false,
    natsOperatorPassword: OPERATOR_PASSWORD,
    extra: {
      FORWARDER_NETWORKS: '127.0.0.1',
      TRUSTED_PROXIES: '127.0.0.1',
      LOG_LEVEL: 'info',
      WINDOW_MIB: '1',
      RATE_LIMIT: '10000',
      RATE_BURST: '10000',
    },
    envOf(name, common) {
      env = common;
      const shards = shardsText ?? common['SHARDS'] ?? '';
      const proxy = proxies[name];
      if (!proxy) return { SHARDS: shards };
      const direct = `127.0.0.1:${portIn(common['CATALOG_URL'])}`;
      const nats = Object.assign(new URL(common['WORKER_NATS_URL'] ?? ''), { port: String(proxy.nats.port) });
      return { SHARDS: shards.replaceAll(direct, `127.0.0.1:${proxy.postgres.port}`), WORKER_NATS_URL: nats.toString() };
    },
  });
  const running = system;
  const operator = parseNatsUrl(natsUrlWithCredentials(running.env['WORKER_NATS_URL'] ?? '', 'operator', OPERATOR_PASSWORD));
  const keepDirs = running.logDirs.map((directory) => join(directory, '..', 'keep'));
  for (const directory of keepDirs) await mkdir(directory, { recursive: true });
  const logLinks = linkLogs(running.logDirs, keepDirs);

  const bare: BareWorld = {
    system: running,
    dataDir,
    random,
    proxies,
    excusedEdges: new Set(),
    get shardsText() {
      return shardsText ?? running.env['SHARDS'] ?? '';
    },
    set shardsText(text: string) {
      shardsText = text;
    },
    smallDisk,
    keepDirs,
    crashed: [],
    async recordCrashes() {
      for (const member of running.members) await recordCrash(member, bare.crashed);
    },
    async crash(name) {
      await bare.whileDown(name, async () => {});
    },
    async whileDown(name, work) {
      await recordCrash(running.member(name), bare.crashed);
      await running.member(name).running?.kill();
      await work();
      await restart(running.member(name));
    },
    async freeze(name, ms) {
      running.member(name).running?.signal('SIGSTOP');
      await sleep(ms);
      running.member(name).running?.signal('SIGCONT');
    },
    async owner(database, sql) {
      const url = new URL(running.env['CATALOG_URL'] ?? '');
      url.pathname = `/${database}`;
      const client = new pg.Client({ connectionString: url.toString() });
      client.on('error', () => {});
      await client.connect();
      try {
        return await client.query<Record<string, unknown>>(sql);
      } finally {
        await client.end().catch(() => {});
      }
    },
    databaseOf(shard) {
      const url = new URL(shardUrl(parseShards(bare.shardsText).named(shard), running.env['CATALOG_URL'] ?? ''));
      return url.pathname.slice(1);
    },
    async withStreams(work) {
      const connection = await connect({ ...natsOptions(operator), timeout: 5_000 });
      try {
        return await work(await createJetStreamManager(connection), connection);
      } finally {
        await connection.close();
      }
    },
  };
  const stopServers = async (): Promise<void> => {
    await logLinks.stop();
    await running.stop();
    for (const { postgres, nats } of Object.values(proxies)) {
      await postgres.close();
      await nats.close();
    }
    if (smallDisk) await run('umount', ['-l', smallDir]);
  };
  const receivers = await startReceivers(bare, random);
  return Object.assign(bare, {
    receivers,
    async stop() {
      await receivers.close();
      await stopServers();
    },
  });
}

/** Adds a member to `crashed` if it should be running but is not. */
export async function recordCrash({ name, running }: Member, crashed: string[]): Promise<void> {
  const exit = running && (await exitStatus(running));
  if (exit) crashed.push(`${name} ${exit}`);
}

/**
 * Starts a member again. Retries, because a member may fail to start while other members are down, e.g. a backend without a snapshot while
 * Postgres is down.
 */
export async function restart(member: Member): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await member.start();
      return;
    } catch (error) {
      if (attempt === 20) throw error;
      await sleep(500);
    }
  }
}

/**
 * Creates a hard link to every plain log as soon as the log appears. So the comparison has all logs even after they are renamed or deleted.
 */
export function linkLogs(logDirs: readonly string[], keepDirs: readonly string[]): { stop: () => Promise<void> } {
  const linked = new Set<string>();
  const linkNewLogs = async (): Promise<void> => {
    for (const [i, directory] of logDirs.entries()) {
      for (const name of await readdir(directory).catch(() => [])) {
        if (!name.startsWith('access.log') || /\.(gz|zst)$/.test(name)) continue;
        const path = join(directory, name);
        const inode = await stat(path).then(
          (status) => status.ino,
          () => undefined,
        );
        if (inode === undefined || linked.has(`${i} ${inode}`)) continue;
        await link(path, join(keepDirs[i] as string, `access.log.${inode}`)).then(
          () => linked.add(`${i} ${inode}`),
          () => {},
        );
      }
    }
  };
  let active = true;
  const done = (async () => {
    while (active) {
      await linkNewLogs();
      await sleep(20);
    }
    await linkNewLogs();
  })();
  return {
    async stop() {
      active = false;
      await done;
    },
  };
}

/** Returns the peak resident memory of a process in bytes (VmHWM), or 0 if the process has ended. */
export async function peakMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}
