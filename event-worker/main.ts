import { type Problem, problem } from '../core/health.ts';
import { connectNats, createJetStreamManager, natsOptions, trackConnected } from '../core/nats.ts';
import { createPart } from '../core/part.ts';
import { createPool, leaveHost } from '../core/postgres.ts';
import { shardUrl } from '../core/shards.ts';
import { createSlugCodec } from '../core/slug.ts';
import { createCatalog } from './catalog.ts';
import { createCommitter } from './commit.ts';
import { workerProblems } from './health.ts';
import { addWorkerGauges } from './gauges.ts';
import { createWorkerMetrics } from './metrics.ts';
import { keepStreamStoring } from './keep-stream.ts';
import { keepHeartbeat } from './heartbeat.ts';
import { createKnownEpoch } from './known-epoch.ts';
import { createDatabaseWatch } from './database-watch.ts';
import { createOutsideValues } from './outside-values.ts';
import { createShardWorker, PARALLEL_COMMITS } from './shard-worker.ts';
import { keepEndingLongQueries } from './watchdog.ts';

// The event worker: commits the batches of the stream into the shard databases.
//
// stream ──► group messages ──► build rows: verify slugs, format COPY lines ──► commit rows, deltas and ledger in one transaction ──► ack
// deltas ──► judge: finds signs of other clicks, merges ──► counts and sets of recipients

const settings = [
  'WORKER_URL',
  'SHARDS',
  'WORKER_SHARDS',
  'SLUG_KEYS',
  'WORKER_NATS_URL',
  'NATS_CA_FILE',
  'STREAM_MAX_MIB',
  'STREAM_REPLICAS',
  'KEEP_EVENTS_MONTHS',
  'MAX_REFERRERS',
  'MAX_USER_AGENTS',
  'ANALYST_MAX_SECONDS',
] as const;
const part = createPart('worker', settings, process.env);
const { config, log, registry, signal } = part;

const servedShards = config.WORKER_SHARDS.length === 0 ? config.SHARDS.list : config.WORKER_SHARDS.map((name) => config.SHARDS.named(name));
const names = servedShards.map(({ name }) => name);
const metrics = createWorkerMetrics(registry, names);
const slugs = createSlugCodec(config.SLUG_KEYS);
const catalogPool = createPool(config.WORKER_URL, { max: 2, name: 'event-worker' });
const catalog = createCatalog(catalogPool, config.SLUG_KEYS);

let problems = (): Problem[] => [problem('nats-unreachable')];
let committing = false;
const admin = await part.serveAdmin(() => ({ ready: committing, degraded: problems() }));
const connection = await connectNats(natsOptions(config.WORKER_NATS_URL, config.NATS_CA_FILE), 'event-worker', log, signal);
const streams = await createJetStreamManager(connection);

const workers = servedShards.map((shard) => {
  // Besides the commits, one connection each for the requests of agents, for the judge, and for metrics, partitions and the watchdog.
  const pool = createPool(shardUrl(shard, config.WORKER_URL), { max: PARALLEL_COMMITS + 3, name: `event-worker ${shard.name}` });
  const outside = createOutsideValues(pool, { referrer: config.MAX_REFERRERS, 'user-agent': config.MAX_USER_AGENTS });
  const epoch = createKnownEpoch();
  const committer = createCommitter({ pool, shard, shardsFingerprint: config.SHARDS.fingerprint, epoch, slugs, catalog, outside });
  const worker = createShardWorker({
    connection,
    pool,
    committer,
    shard,
    epoch,
    metrics,
    log,
    manager: streams,
    shardsFingerprint: config.SHARDS.fingerprint,
    streamSize: { maxBytes: config.STREAM_MAX_MIB * 1024 * 1024, replicas: config.STREAM_REPLICAS },
    keepEventsMonths: config.KEEP_EVENTS_MONTHS,
  });
  return { name: shard.name, worker, pool };
});

const isConnected = trackConnected(connection);
addWorkerGauges(registry, { shards: workers, streams, isConnected });
const urls = [config.WORKER_URL, ...servedShards.map((shard) => shardUrl(shard, config.WORKER_URL))];
// A former primary that still runs would commit beside the new one until an agent has seen the new epoch.
const servers = createDatabaseWatch(urls, registry, (host) => {
  for (const pool of [catalogPool, ...workers.map((each) => each.pool)]) leaveHost(pool, host);
});
problems = () => [...workerProblems(workers, isConnected), ...servers.problems()];
committing = true;
log.info({ shards: names }, 'committing events');
await Promise.all([
  ...workers.map(({ worker }) => worker.run(signal)),
  keepStreamStoring({
    connection,
    manager: streams,
    shard: names[0] ?? config.SHARDS.first.name,
    log,
    signal,
    onDeleted: () => metrics.deletedStreams.inc(),
  }),
  keepHeartbeat(catalogPool, log, signal),
  servers.run(signal),
  keepEndingLongQueries({
    databases: [{ pool: catalogPool, schema: 'catalog' }, ...workers.map(({ pool }) => ({ pool, schema: 'shard' as const }))],
    maxSeconds: config.ANALYST_MAX_SECONDS,
    log,
    signal,
    onEnded: (transactions) => metrics.endedQueries.inc(transactions),
  }),
]);

admin?.close();
await connection.drain();
await Promise.all([catalogPool, ...workers.map(({ pool }) => pool)].map((pool) => pool.end()));
