import { Registry } from 'prom-client';
import { serveAdmin } from '../core/admin.ts';
import { parseConfig } from '../core/config.ts';
import { type Problem, problem } from '../core/health.ts';
import { createLogger } from '../core/log.ts';
import { connectNats, manager, natsOptions, watchReach } from '../core/nats.ts';
import { createPool } from '../core/postgres.ts';
import { shardUrl } from '../core/shards.ts';
import { untilSignal } from '../core/shutdown.ts';
import { createSlugCodec } from '../core/slug.ts';
import { createCatalog } from './catalog.ts';
import { createCommitter } from './commit.ts';
import { workerProblems } from './health.ts';
import { createWorkerMetrics, watchWorker } from './metrics.ts';
import { COMMITS_AT_ONCE, createShardWorker } from './shard-worker.ts';

// JetStream ──► gather: groups of messages ──► lay out: slugs judged, COPY lines ──► commit: rows, marks and ledger in one transaction ──► ack
// marks ──► judge: rollups, bursts

const settings = [
  'WORKER_URL',
  'SHARDS',
  'WORKER_SHARDS',
  'SLUG_KEYS',
  'WORKER_NATS_URL',
  'NATS_CA_FILE',
  'STREAM_MAX_MIB',
  'KEEP_EVENTS_MONTHS',
  'ADMIN_HOST',
  'ADMIN_PORT',
  'LOG_LEVEL',
] as const;
const config = parseConfig(settings, process.env);
const log = createLogger('event-worker', config.LOG_LEVEL);
const { signal } = untilSignal(log);

const served = config.WORKER_SHARDS.length === 0 ? config.SHARDS.list : config.WORKER_SHARDS.map((name) => config.SHARDS.named(name));
const registry = new Registry();
const names = served.map(({ name }) => name);
const metrics = createWorkerMetrics(registry, names);
const slugs = createSlugCodec(config.SLUG_KEYS);
const catalogPool = createPool(config.WORKER_URL, { max: 2, name: 'event-worker' });
const catalog = createCatalog(catalogPool, config.SLUG_KEYS);

let problems = (): Problem[] => [problem('nats-unreachable')];
let committing = false;
const admin = await serveAdmin({
  part: 'worker',
  host: config.ADMIN_HOST,
  port: config.ADMIN_PORT,
  registry,
  health: () => ({ ready: committing && !signal.aborted, degraded: problems() }),
});
const connection = await connectNats(natsOptions(config.WORKER_NATS_URL, config.NATS_CA_FILE), 'event-worker', log, signal);
const streams = await manager(connection);

const workers = served.map((shard) => {
  // Besides the commits, one connection answers agents, one judges, one finds out what else is wrong.
  const pool = createPool(shardUrl(shard, config.WORKER_URL), { max: COMMITS_AT_ONCE + 3, name: `event-worker ${shard.name}` });
  const committer = createCommitter({ pool, shard, shardsFingerprint: config.SHARDS.fingerprint, slugs, catalog });
  const worker = createShardWorker({
    connection,
    pool,
    committer,
    shard,
    metrics,
    log,
    manager: streams,
    shardsFingerprint: config.SHARDS.fingerprint,
    streamMaxBytes: config.STREAM_MAX_MIB * 1024 * 1024,
    keepEventsMonths: config.KEEP_EVENTS_MONTHS,
  });
  return { name: shard.name, worker, pool };
});

const reached = watchReach(connection);
watchWorker(registry, { shards: workers, streams, reached });
problems = () => workerProblems(workers, reached);
committing = true;
log.info({ shards: names }, 'committing events');
await Promise.all(workers.map(({ worker }) => worker.run(signal)));

admin?.close();
await connection.drain();
await Promise.all([catalogPool, ...workers.map(({ pool }) => pool)].map((pool) => pool.end()));
