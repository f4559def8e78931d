import { execFile } from 'node:child_process';
import {
  appendFile,
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  truncate,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createReadStream, createWriteStream } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createGzip, gzipSync, zstdCompressSync } from 'node:zlib';
import { consumerName, STREAM } from '../../core/subjects.ts';
import { rotateLog } from '../../stack/nginx.ts';
import { startPart } from '../../stack/part.ts';
import { logLine } from '../support/log-lines.ts';
import { signalAll } from '../support/processes.ts';
import type { Fault } from './inject.ts';
import type { Random } from './random.ts';
import { RECEIVER_DATABASE } from './receivers.ts';
import { FORWARDERS, sleep, type World, WORKERS } from './world.ts';

// All faults that a run can inject. The system recovers from each fault without help.

const run = promisify(execFile);
/** The number of zeros in a plain log. They are a hole in a sparse file, so they take no room on the disk. */
const ZERO_BYTES = 16 * 1024 * 1024;
/**
 * The number of letters in a line without end. Letters take room on the disk, so there are fewer letters than zeros, but more than a line
 * or a read may have.
 */
const ENDLESS_BYTES = 1024 * 1024;
const COMPRESSED_LINE_BYTES = 64 * 1024 * 1024;
const CLI = fileURLToPath(new URL('../../bin/clickledger.js', import.meta.url));

/** The random parameters of a fault. They are chosen when the plan is made. */
export interface FaultParameters {
  worker: string;
  edge: 1 | 2;
  backend: string;
  shard: 'a' | 'b';
  ms: number;
}

export function drawParameters(random: Random): FaultParameters {
  return {
    worker: random.pick(WORKERS),
    edge: random.pick([1, 2] as const),
    backend: random.pick(['backend-1', 'backend-2']),
    shard: random.pick(['a', 'b'] as const),
    ms: random.whole(500, 3000),
  };
}

const agent = (parameters: FaultParameters): string => `log-agent-${parameters.edge}`;
const nginx = (parameters: FaultParameters): string => `nginx-${parameters.edge}`;
const logDir = (world: World, parameters: FaultParameters): string => world.system.logDirs[parameters.edge - 1] as string;
const forwarder = (parameters: FaultParameters): string =>
  FORWARDERS[WORKERS.indexOf(parameters.worker as (typeof WORKERS)[number])] as string;
const stateDir = (world: World, parameters: FaultParameters): string => join(world.dataDir, 'state', agent(parameters));

async function rotate(world: World, parameters: FaultParameters): Promise<string | undefined> {
  const running = world.system.member(nginx(parameters)).running;
  return running ? rotateLog(logDir(world, parameters), running) : undefined;
}

/**
 * Waits until a worker sends data that contains `needle`, then applies `action` to it. Stops waiting after 10 s, so that a run without
 * traffic continues.
 */
async function onWorkerData(
  world: World,
  worker: string,
  kind: 'postgres' | 'nats',
  needle: string,
  action: 'hold' | 'pass-then-cut',
  then: () => Promise<void>,
): Promise<string> {
  const proxy = world.proxies[worker]?.[kind];
  if (!proxy) throw new Error(`there is no proxy for ${worker}`);
  const reached = await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => {
      proxy.onClientData = undefined;
      resolve(false);
    }, 10_000);
    proxy.onClientData = (data) => {
      if (!data.includes(needle)) return 'pass';
      proxy.onClientData = undefined;
      clearTimeout(timer);
      resolve(true);
      return action;
    };
  });
  if (!reached) return 'no such data was sent';
  await then();
  return 'triggered';
}

/** Blocks all connections to a shard's database while `work` runs. */
async function withoutConnections(world: World, database: string, work: () => Promise<void>): Promise<void> {
  await world.owner('postgres', `ALTER DATABASE ${database} ALLOW_CONNECTIONS false`);
  try {
    for (let i = 0; i < 50; i++) {
      const { rows } = await world.owner(
        'postgres',
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}'`,
      );
      if (rows.length === 0) break;
      await sleep(50);
    }
    await work();
  } finally {
    await world.owner('postgres', `ALTER DATABASE ${database} ALLOW_CONNECTIONS true`);
  }
}

/** Returns the pids of all processes of the Postgres server. */
async function serverProcesses(world: World): Promise<number[]> {
  const postmaster = world.system.member('postgres').running?.pid ?? 0;
  const { stdout } = await run('pgrep', ['-P', String(postmaster)]).catch(() => ({ stdout: '' }));
  return [postmaster, ...stdout.split('\n').filter(Boolean).map(Number)];
}

async function nginxWorkers(world: World, parameters: FaultParameters): Promise<number[]> {
  const { stdout } = await run('pgrep', ['-P', String(world.system.member(nginx(parameters)).running?.pid ?? 0)]).catch(() => ({
    stdout: '',
  }));
  return stdout.split('\n').filter(Boolean).map(Number);
}

/** Runs a fault during which requests to an nginx may fail. They may also fail for a moment afterwards, because they were in flight. */
async function withExcusedEdge(world: World, edge: number, work: () => Promise<void>): Promise<void> {
  world.excusedEdges.add(edge - 1);
  try {
    await work();
    await sleep(300);
  } finally {
    world.excusedEdges.delete(edge - 1);
  }
}

function shipLogs(world: World, files: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const { BASE_URL: _, ...env } = process.env;
  return run('node', [CLI, 'ship', ...files, '--data', world.dataDir], { env: { ...env, SHARDS: world.shardsText } });
}

export const FAULTS: readonly Fault<World, FaultParameters>[] = [
  { name: 'agent-killed', touches: (c) => [agent(c)], run: (w, c) => w.crash(agent(c)) },
  { name: 'agent-frozen', touches: (c) => [agent(c)], run: (w, c) => w.freeze(agent(c), c.ms) },
  {
    name: 'worker-killed-in-copy',
    touches: (c) => [c.worker],
    run: (w, c) => onWorkerData(w, c.worker, 'postgres', 'COPY shard.event', 'hold', () => w.crash(c.worker)),
  },
  {
    name: 'worker-frozen-in-copy',
    touches: (c) => [c.worker],
    run: (w, c) =>
      onWorkerData(w, c.worker, 'postgres', 'COPY shard.event', 'hold', async () => {
        await w.freeze(c.worker, c.ms);
        await w.crash(c.worker);
      }),
  },
  {
    name: 'worker-killed-before-ack',
    touches: (c) => [c.worker],
    run: (w, c) => onWorkerData(w, c.worker, 'nats', `$JS.ACK.${STREAM}`, 'hold', () => w.crash(c.worker)),
  },
  { name: 'worker-killed', touches: (c) => [c.worker], run: (w, c) => w.crash(c.worker) },
  { name: 'worker-frozen', touches: (c) => [c.worker], run: (w, c) => w.freeze(c.worker, c.ms) },
  {
    name: 'commit-unanswered',
    touches: (c) => [c.worker],
    run: (w, c) => onWorkerData(w, c.worker, 'postgres', 'COMMIT', 'pass-then-cut', () => Promise.resolve()),
  },
  { name: 'backend-killed', touches: () => ['backends'], run: (w, c) => w.crash(c.backend) },
  { name: 'backend-frozen', touches: () => ['backends'], run: (w, c) => w.freeze(c.backend, c.ms) },
  { name: 'nats-killed', touches: () => ['nats'], run: (w) => w.crash('nats') },
  { name: 'nats-frozen', touches: () => ['nats'], run: (w, c) => w.freeze('nats', c.ms) },
  {
    name: 'nats-store-wiped',
    touches: () => ['nats'],
    run: (w) => w.whileDown('nats', () => rm(join(w.dataDir, 'nats'), { recursive: true, force: true })),
  },
  {
    name: 'stream-deleted',
    touches: () => ['nats'],
    run: (w) => w.withStreams(async (streams) => void (await streams.streams.delete(STREAM).catch(() => {}))),
  },
  {
    name: 'consumer-deleted',
    touches: () => ['nats'],
    run: (w, c) => w.withStreams(async (streams) => void (await streams.consumers.delete(STREAM, consumerName(c.shard)).catch(() => {}))),
  },
  {
    name: 'jetstream-full',
    touches: () => ['nats'],
    run: (w, c) =>
      w.withStreams(async (streams) => {
        const info = await streams.streams.info(STREAM).catch(() => undefined);
        if (!info) return;
        await streams.streams.update(STREAM, { max_bytes: Math.max(1, info.state.bytes) });
        await sleep(c.ms);
        await streams.streams.update(STREAM, { max_bytes: info.config.max_bytes }).catch(() => {});
      }),
  },
  {
    name: 'postgres-process-killed',
    touches: () => ['postgres', 'shard-a', 'shard-b'],
    async run(world) {
      const { rows } = await world.owner(
        'postgres',
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'clickledger event-worker %' LIMIT 1",
      );
      if (rows[0]) signalAll([Number(rows[0]['pid'])], 'SIGKILL');
      await sleep(1000);
    },
  },
  { name: 'postgres-killed', touches: () => ['postgres', 'shard-a', 'shard-b'], run: (w) => w.crash('postgres') },
  {
    name: 'postgres-frozen',
    touches: () => ['postgres', 'shard-a', 'shard-b'],
    async run(world, parameters) {
      const pids = await serverProcesses(world);
      signalAll(pids, 'SIGSTOP');
      await sleep(parameters.ms);
      signalAll(pids, 'SIGCONT');
    },
  },
  {
    name: 'nginx-worker-killed',
    touches: (c) => [nginx(c)],
    run: (w, c) => withExcusedEdge(w, c.edge, async () => signalAll((await nginxWorkers(w, c)).slice(0, 1), 'SIGKILL')),
  },
  {
    name: 'nginx-worker-frozen-over-two-rotations',
    touches: (c) => [nginx(c), agent(c)],
    run: (w, c) =>
      withExcusedEdge(w, c.edge, async () => {
        const workers = (await nginxWorkers(w, c)).slice(0, 1);
        signalAll(workers, 'SIGSTOP');
        await rotate(w, c);
        await sleep(c.ms);
        await rotate(w, c);
        await sleep(500);
        signalAll(workers, 'SIGCONT');
      }),
  },
  { name: 'nginx-killed', touches: (c) => [nginx(c), agent(c)], run: (w, c) => withExcusedEdge(w, c.edge, () => w.crash(nginx(c))) },
  { name: 'nginx-frozen', touches: (c) => [nginx(c)], run: (w, c) => withExcusedEdge(w, c.edge, () => w.freeze(nginx(c), c.ms)) },
  { name: 'rotated', touches: (c) => [nginx(c)], run: async (w, c) => void (await rotate(w, c)) },
  {
    name: 'rotated-twice-within-one-poll',
    touches: (c) => [nginx(c)],
    async run(world, parameters) {
      await rotate(world, parameters);
      // The second rotation needs at least one hit, because an empty log is not rotated.
      for (let i = 0; i < 200; i++) {
        if (await rotate(world, parameters)) return;
        await sleep(5);
      }
    },
  },
  {
    name: 'rotated-while-agent-is-down',
    touches: (c) => [nginx(c), agent(c)],
    run: (w, c) =>
      w.whileDown(agent(c), async () => {
        await rotate(w, c);
        await sleep(c.ms);
        await rotate(w, c);
      }),
  },
  {
    name: 'rotated-and-gzipped',
    touches: (c) => [nginx(c), `gzip-${c.edge}`],
    async run(world, parameters) {
      await rotate(world, parameters);
      await sleep(parameters.ms);
      await rotate(world, parameters);
      await gzipOldest(world, parameters);
    },
  },
  {
    // Adds zeros to the end of a log, as a power failure may do. nginx writes its next line directly after the zeros.
    name: 'log-with-a-tail-of-zeros',
    touches: (c) => [nginx(c)],
    async run(world, parameters) {
      const file = await open(join(logDir(world, parameters), 'access.log'), 'r+').catch(() => undefined);
      if (!file) return 'no log at the moment';
      // If nginx writes lines between `stat` and `truncate`, the file still becomes longer than these lines, so they are not cut off.
      await file.truncate((await file.stat()).size + ZERO_BYTES);
      await file.close();
      await sleep(parameters.ms);
    },
  },
  {
    name: 'log-of-zeros',
    touches: (c) => [nginx(c), `gzip-${c.edge}`],
    async run(world, parameters) {
      await rotate(world, parameters);
      const path = join(logDir(world, parameters), `access.log.zeros-${Date.now()}`);
      await writeFile(path, '');
      await truncate(path, ZERO_BYTES);
      // The log is final only while two logs are newer.
      await utimes(path, 1, 1);
      await sleep(parameters.ms);
      await rotate(world, parameters);
    },
  },
  {
    name: 'log-of-zeros-gzipped',
    touches: (c) => [`gzip-${c.edge}`],
    run: (w, c) => addLog(w, c, 'gz', [gzipSync(Buffer.alloc(COMPRESSED_LINE_BYTES))]),
  },
  {
    name: 'line-without-end',
    touches: (c) => [nginx(c)],
    run: (w, c) => appendFile(join(logDir(w, c), 'access.log'), `{"v":1,"rid":"${'x'.repeat(ENDLESS_BYTES)}`),
  },
  {
    name: 'line-without-end-in-zstd',
    touches: (c) => [`gzip-${c.edge}`],
    // The lines before and after the long line have status 404, so they are counted as skipped.
    run: (w, c) =>
      addLog(w, c, 'zst', [
        zstdCompressSync(logLine({ t: Date.now() / 1000, s: 404, link: '' })),
        zstdCompressSync(Buffer.concat([Buffer.alloc(COMPRESSED_LINE_BYTES, 'x'), Buffer.from('\n')])),
        zstdCompressSync(logLine({ t: Date.now() / 1000, s: 404, link: '' })),
      ]),
  },
  {
    name: 'checkpoint-deleted',
    touches: (c) => [agent(c)],
    run: (w, c) => w.whileDown(agent(c), () => rm(stateDir(w, c), { recursive: true, force: true })),
  },
  {
    name: 'old-checkpoint-put-back',
    touches: (c) => [agent(c)],
    async run(world, parameters) {
      const path = join(stateDir(world, parameters), 'checkpoint.json');
      const copied = await copyFile(path, `${path}.old`).then(
        () => true,
        () => false,
      );
      if (!copied) return 'no checkpoint yet';
      await sleep(parameters.ms);
      await world.whileDown(agent(parameters), () => rename(`${path}.old`, path));
    },
  },
  {
    name: 'state-directory-read-only',
    touches: (c) => [agent(c)],
    async run(world, parameters) {
      // Root can write to read-only directories. A directory with the name of the file also blocks root.
      const blocker = join(stateDir(world, parameters), 'checkpoint.json.tmp');
      await mkdir(stateDir(world, parameters), { recursive: true });
      const blocked = await mkdir(blocker).then(
        () => true,
        () => false,
      );
      if (!blocked) return 'no free path for the directory';
      await sleep(parameters.ms);
      await rmdir(blocker);
    },
  },
  {
    name: 'shard-down-beyond-its-window',
    touches: (c) => [`shard-${c.shard}`, 'postgres'],
    run: (w, c) => withoutConnections(w, w.databaseOf(c.shard), () => sleep(c.ms + 5000)),
  },
  {
    name: 'shard-put-back',
    touches: (c) => [`shard-${c.shard}`, 'postgres'],
    async run(world, parameters) {
      const database = world.databaseOf(parameters.shard);
      const backup = `${database}_backup`;
      await withoutConnections(world, database, async () => {
        await world.owner('postgres', `DROP DATABASE IF EXISTS ${backup}`);
        await world.owner('postgres', `CREATE DATABASE ${backup} TEMPLATE ${database}`);
      });
      await sleep(parameters.ms);
      await withoutConnections(world, database, async () => {
        await world.owner('postgres', `DROP DATABASE ${database}`);
        await world.owner('postgres', `CREATE DATABASE ${database} TEMPLATE ${backup}`);
        await world.owner(
          'postgres',
          `GRANT CONNECT ON DATABASE ${database} TO clickledger_worker, clickledger_analyst, clickledger_forwarder`,
        );
      });
    },
  },
  {
    name: 'shard-moved',
    touches: (c) => [`shard-${c.shard}`, 'postgres', ...WORKERS, ...FORWARDERS],
    async run(world, parameters) {
      const { BASE_URL: _, ...env } = process.env;
      const port = new URL(world.system.env['CATALOG_URL'] ?? '').port;
      const target = `postgres://127.0.0.1:${port}/clickledger_moved_${Date.now()}`;
      const { stdout } = await run('node', [CLI, 'shard', 'move', parameters.shard, '--to', target, '--data', world.dataDir, '--json'], {
        env: { ...env, SHARDS: world.shardsText },
      });
      world.shardsText = (JSON.parse(stdout) as { SHARDS: string }).SHARDS;
      for (const part of [...WORKERS, ...FORWARDERS]) await world.crash(part);
      await world.receivers.exporting.kill();
    },
  },
  {
    name: 'forwarder-killed',
    touches: (c) => [forwarder(c)],
    run: (w, c) => w.crash(forwarder(c)),
  },
  {
    // Longer than the lease of a subscription, so the other forwarder takes over while this one is in the middle of a delivery.
    name: 'forwarder-frozen',
    touches: (c) => [forwarder(c)],
    run: (w, c) => w.freeze(forwarder(c), 21_000 + c.ms),
  },
  {
    name: 'export-killed',
    touches: () => ['export'],
    run: (w) => w.receivers.exporting.kill(),
  },
  {
    name: 'receiver-down',
    touches: () => ['receiver', 'postgres'],
    run: (w, c) => withoutConnections(w, RECEIVER_DATABASE, () => sleep(c.ms)),
  },
  {
    name: 'receiver-put-back',
    touches: () => ['receiver', 'postgres'],
    async run(world, parameters) {
      const backup = `${RECEIVER_DATABASE}_backup`;
      await withoutConnections(world, RECEIVER_DATABASE, async () => {
        await world.owner('postgres', `DROP DATABASE IF EXISTS ${backup}`);
        await world.owner('postgres', `CREATE DATABASE ${backup} TEMPLATE ${RECEIVER_DATABASE}`);
      });
      await sleep(parameters.ms);
      await withoutConnections(world, RECEIVER_DATABASE, async () => {
        await world.owner('postgres', `DROP DATABASE ${RECEIVER_DATABASE}`);
        await world.owner('postgres', `CREATE DATABASE ${RECEIVER_DATABASE} TEMPLATE ${backup}`);
      });
    },
  },
  {
    name: 'webhook-hanging',
    touches: () => ['webhook'],
    async run(world, parameters) {
      const { steady } = world.receivers;
      const { answer } = steady;
      const held: (() => void)[] = [];
      steady.answer = (response, request) => void held.push(() => answer(response, request));
      await sleep(parameters.ms);
      steady.answer = answer;
      for (const release of held) release();
    },
  },
  {
    name: 'slow-network',
    touches: (c) => [c.worker],
    async run(world, parameters) {
      const { postgres, nats } = world.proxies[parameters.worker] as World['proxies'][string];
      postgres.delayMs = nats.delayMs = 100;
      await sleep(parameters.ms);
      postgres.delayMs = nats.delayMs = 0;
    },
  },
  {
    name: 'log-disk-full',
    touches: () => ['nginx-2', 'log-agent-2', 'gzip-2'],
    async run(world, parameters) {
      if (!world.smallDisk) return 'no separate file system could be mounted';
      const ballast = join(world.dataDir, 'edge-2', 'ballast');
      await fillDisk(ballast);
      await sleep(parameters.ms);
      await unlink(ballast);
    },
  },
  {
    name: 'two-agents-on-one-directory',
    touches: (c) => [`second-${c.edge}`],
    async run(world, parameters) {
      const name = `second-agent-${parameters.edge}`;
      const second = await startPart({
        part: 'log-agent',
        name,
        runDir: join(world.dataDir, 'run'),
        env: {
          ...world.system.env,
          SHARDS: world.shardsText,
          LOG_DIR: logDir(world, parameters),
          STATE_DIR: join(world.dataDir, 'state', name),
        },
      }).catch(() => undefined);
      if (!second) return 'the second agent did not start';
      await sleep(parameters.ms + 2000);
      await second.kill();
    },
  },
  {
    name: 'old-logs-shipped',
    touches: (c) => [`ship-${c.edge}`, `gzip-${c.edge}`, 'shard-a', 'shard-b', 'nats', 'postgres', ...WORKERS],
    async run(world, parameters) {
      const directory = logDir(world, parameters);
      const files: string[] = [];
      for (const name of (await readdir(directory)).filter((entry) => entry.startsWith('access.log.'))) {
        const path = join(directory, name);
        const age =
          Date.now() -
          (await stat(path).then(
            (status) => status.mtimeMs,
            () => Date.now(),
          ));
        if (age > 11_000) files.push(path);
      }
      if (files.length === 0) return 'no log is old enough';
      const copies = join(world.dataDir, 'copies');
      await mkdir(copies, { recursive: true });

      const source = files[0] as string;
      const bytes = await readFile(source);
      const copy = join(copies, `${parameters.edge}-${Date.now()}${source.endsWith('.gz') ? '.gz' : ''}`);
      await writeFile(copy, bytes);
      await utimes(copy, 0, 0);
      await shipLogs(world, [...files, copy]);
    },
  },
];

/** Writes a file that fills its disk to the last byte, with pieces that become smaller and smaller. */
export async function fillDisk(ballast: string): Promise<void> {
  const file = await open(ballast, 'w');
  try {
    for (let size = 1024 * 1024; size >= 1; size = Math.floor(size / 4)) {
      const piece = Buffer.alloc(size);
      while ((await file.write(piece).catch(() => ({ bytesWritten: 0 }))).bytesWritten === size);
    }
  } finally {
    await file.close();
  }
}

/** Adds a compressed log with a name that no rotation uses, and keeps a copy of the log for the comparison. */
async function addLog(world: World, parameters: FaultParameters, extension: string, parts: readonly Buffer[]): Promise<void> {
  const name = `access.log.added-${Date.now()}.${extension}`;
  const bytes = Buffer.concat(parts);
  await writeFile(join(world.keepDirs[parameters.edge - 1] as string, name), bytes);
  await writeFile(join(logDir(world, parameters), name), bytes);
  await sleep(parameters.ms);
}

/**
 * Does the same as logrotate with delaycompress: compresses the oldest plain log and deletes the original. The log that was rotated last is
 * not compressed.
 */
async function gzipOldest(world: World, parameters: FaultParameters): Promise<void> {
  const directory = logDir(world, parameters);
  const names = (await readdir(directory)).filter((name) => /^access\.log\.\d/.test(name) && !name.endsWith('.gz'));
  const times = await Promise.all(names.map(async (name) => ({ name, mtimeMs: (await stat(join(directory, name))).mtimeMs })));
  const candidates = times.sort((a, b) => a.mtimeMs - b.mtimeMs).slice(0, -1);
  const oldest = candidates.find(({ mtimeMs }) => Date.now() - mtimeMs > 2000);
  if (!oldest) return;
  const path = join(directory, oldest.name);
  try {
    await pipeline(createReadStream(path), createGzip(), createWriteStream(`${path}.gz`));
    await unlink(path);
  } catch {
    // The disk may be full. In this case the plain log stays.
    await unlink(`${path}.gz`).catch(() => {});
  }
}
