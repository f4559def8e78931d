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
import { howEnded } from '../support/processes.ts';
import { type Proxy, startProxy } from './proxy.ts';
import type { Random } from './random.ts';

// The system under test with everything that faults need to take hold of: two of each part, and a proxy between each worker and its
// servers.

const run = promisify(execFile);

const OPERATOR_PASSWORD = 'of-the-operator';

export const WORKERS = ['event-worker-1', 'event-worker-2'] as const;

export interface World {
  readonly system: System;
  readonly dataDir: string;
  readonly random: Random;
  /** By worker: to Postgres (shards only) and to NATS. */
  readonly proxies: Readonly<Record<string, { postgres: Proxy; nats: Proxy }>>;
  /** Edges whose nginx a fault touches right now. */
  readonly excusedEdges: Set<number>;
  /** SHARDS as it is now: a shard may have moved. */
  shardsText: string;
  /** Whether edge 2 writes its log to a small file system of its own. */
  readonly smallDisk: boolean;
  crash(name: string): Promise<void>;
  /** Ends a member by SIGKILL, does something, starts it again. */
  whileDown(name: string, work: () => Promise<void>): Promise<void>;
  /** SIGSTOP, wait, SIGCONT. */
  freeze(name: string, ms: number): Promise<void>;
  /** One statement as the owner of Postgres. */
  owner(database: string, sql: string): Promise<pg.QueryResult<Record<string, unknown>>>;
  databaseOf(shard: string): string;
  withStreams<T>(work: (streams: JetStreamManager, connection: NatsConnection) => Promise<T>): Promise<T>;
  /** Parts that ended though nobody ended them: a crash that a restart would hide. */
  readonly crashed: string[];
  /** Adds to `crashed` whatever should run and does not. */
  lookForCrashes(): Promise<void>;
  /** Hard links to every generation of plain log that ever was. */
  readonly keepDirs: readonly string[];
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
    durable: false,
    natsOperatorPassword: OPERATOR_PASSWORD,
    extra: { TRUSTED_PROXIES: '127.0.0.1', LOG_LEVEL: 'info', WINDOW_MIB: '1', RATE_LIMIT: '10000', RATE_BURST: '10000' },
    envOf(name, common) {
      env = common;
      const shards = shardsText ?? common['SHARDS'] ?? '';
      const own = proxies[name];
      if (!own) return { SHARDS: shards };
      const direct = `127.0.0.1:${portIn(common['CATALOG_URL'])}`;
      const nats = Object.assign(new URL(common['WORKER_NATS_URL'] ?? ''), { port: String(own.nats.port) });
      return { SHARDS: shards.replaceAll(direct, `127.0.0.1:${own.postgres.port}`), WORKER_NATS_URL: nats.toString() };
    },
  });
  const running = system;
  const operator = parseNatsUrl(natsUrlWithCredentials(running.env['WORKER_NATS_URL'] ?? '', 'operator', OPERATOR_PASSWORD));
  const keepDirs = running.logDirs.map((directory) => join(directory, '..', 'keep'));
  for (const directory of keepDirs) await mkdir(directory, { recursive: true });
  const keeping = keepLogs(running.logDirs, keepDirs);

  const world: World = {
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
    async lookForCrashes() {
      for (const member of running.members) await noteCrash(member, world.crashed);
    },
    async crash(name) {
      await world.whileDown(name, async () => {});
    },
    async whileDown(name, work) {
      await noteCrash(running.member(name), world.crashed);
      await running.member(name).running?.kill();
      await work();
      await startAgain(running.member(name));
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
      const url = new URL(shardUrl(parseShards(world.shardsText).named(shard), running.env['CATALOG_URL'] ?? ''));
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
    async stop() {
      await keeping.stop();
      await running.stop();
      for (const { postgres, nats } of Object.values(proxies)) {
        await postgres.close();
        await nats.close();
      }
      if (smallDisk) await run('umount', ['-l', smallDir]);
    },
  };
  return world;
}

async function noteCrash({ name, running }: Member, crashed: string[]): Promise<void> {
  const how = running && (await howEnded(running));
  if (how) crashed.push(`${name} ${how}`);
}

/** A member may need several tries while others are down: a backend without Postgres and snapshot, say. */
async function startAgain(member: Member): Promise<void> {
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

/** Hard-links every plain log as soon as it appears, so that the judge has all of them whatever becomes of their names. */
function keepLogs(logDirs: readonly string[], keepDirs: readonly string[]): { stop: () => Promise<void> } {
  const kept = new Set<string>();
  const once = async (): Promise<void> => {
    for (const [i, directory] of logDirs.entries()) {
      for (const name of await readdir(directory).catch(() => [])) {
        if (!name.startsWith('access.log') || name.endsWith('.gz')) continue;
        const path = join(directory, name);
        const inode = await stat(path).then(
          (status) => status.ino,
          () => undefined,
        );
        if (inode === undefined || kept.has(`${i} ${inode}`)) continue;
        await link(path, join(keepDirs[i] as string, `access.log.${inode}`)).then(
          () => kept.add(`${i} ${inode}`),
          () => {},
        );
      }
    }
  };
  let going = true;
  const done = (async () => {
    while (going) {
      await once();
      await sleep(20);
    }
    await once();
  })();
  return {
    async stop() {
      going = false;
      await done;
    },
  };
}

/** Peak resident memory of a process in bytes, as the kernel remembers it; 0 once it is gone. */
export async function peakMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}
