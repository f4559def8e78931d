import { randomUUID } from 'node:crypto';
import { createPart } from '../core/part.ts';
import { createPool } from '../core/postgres.ts';
import { shardUrl } from '../core/shards.ts';
import { createShardFeed } from '../feed/shard-feed.ts';
import { TIMES } from './deliver-shard.ts';
import { forwarderHealth } from './health.ts';
import { addForwarderGauges } from './gauges.ts';
import { createForwarderMetrics } from './metrics.ts';
import { createSubscriptions, type ShardSource } from './subscriptions.ts';

// The forwarder: delivers events to other systems, each event once.
//
// ledger of a shard ──► feed: what may be delivered ──► what a subscription has not got yet ──► events ──► receiver: webhook, Postgres, NATS
//                                                              ▲                                          │
//                                                              └────────── ledger of the receiver ◄───────┘

const settings = ['FORWARDER_URL', 'SHARDS', 'FORWARDER_NETWORKS', 'NATS_CA_FILE'] as const;
const part = createPart('forwarder', settings, process.env);
const { config, log, registry, signal } = part;

const metrics = createForwarderMetrics(registry);
const catalog = createPool(config.FORWARDER_URL, { max: 6, name: 'forwarder', queryTimeoutMs: 30_000 });
const shards = config.SHARDS.list.map((shard): ShardSource => {
  const pool = createPool(shardUrl(shard, config.FORWARDER_URL), { max: 4, name: 'forwarder', queryTimeoutMs: 60_000 });
  return { name: shard.name, pool, feed: createShardFeed(pool, log.child({ shard: shard.name })) };
});
const subscriptions = createSubscriptions({
  catalog,
  shards,
  holder: randomUUID(),
  allowed: config.FORWARDER_NETWORKS,
  natsCaFile: config.NATS_CA_FILE,
  metrics,
  log,
  times: TIMES,
});
addForwarderGauges(registry, subscriptions);

let running = false;
const admin = await part.serveAdmin(() => forwarderHealth(subscriptions, shards, running));
running = true;
log.info({ shards: shards.map(({ name }) => name) }, 'forwarding events');
await Promise.all([subscriptions.run(signal), ...shards.map(({ feed }) => feed.run(signal))]);

admin?.close();
await Promise.all([catalog, ...shards.map(({ pool }) => pool)].map((pool) => pool.end()));
