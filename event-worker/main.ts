import { type Problem, problem } from '../core/health.ts';
import { connectNats, manager, natsOptions, watchReach } from '../core/nats.ts';
import { startPart } from '../core/part.ts';
import { createPool } from '../core/postgres.ts';
import { shardUrl } from '../core/shards.ts';
import { createSlugCodec } from '../core/slug.ts';
import { createCatalog } from './catalog.ts';
import { createCommitter } from './commit.ts';
import { workerProblems } from './health.ts';
import { watchWorker } from './gauges.ts';
import { createWorkerMetrics } from './metrics.ts';
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
] as const;
const part = startPart('worker', settings, process.env);
const { config, log, registry, signal } = part;

const served = config.WORKER_SHARDS.length === 0 ? config.SHARDS.list : config.WORKER_SHARDS.map((name) => config.SHARDS.named(name));
const names = served.map(({ name }) => name);
const metrics = createWorkerMetrics(registry, names);
const slugs = createSlugCodec(config.SLUG_KEYS);
const catalogPool = createPool(config.WORKER_URL, { max: 2, name: 'event-worker' });
const catalog = createCatalog(catalogPool, config.SLUG_KEYS);

let problems = (): Problem[] => [problem('nats-unreachable')];
let committing = false;
const admin = await part.serveAdmin(() => ({ ready: committing, degraded: problems() }));
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
