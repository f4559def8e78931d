import { execFile } from 'node:child_process';
import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { jetstream } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { decodeBatch } from '../core/batch.ts';
import { createJetStreamManager, natsOptions } from '../core/nats.ts';
import { parseNatsUrl } from '../core/nats-url.ts';
import { consumerName, eventsSubject, STREAM } from '../core/subjects.ts';
import { EVENT_COLUMNS } from '../event-worker/copy-rows.ts';
import { ensureConsumer } from '../event-worker/ensure-consumer.ts';
import type { Running } from '../stack/process.ts';
import { type Bench, expectEqual, type Figure, median } from './figure.ts';
import { EVENTS } from './fixture.ts';
import { recordPeak } from './memory.ts';
import { batchesOf } from './batches.ts';
import { GROUP_BATCHES, withCommitters } from './committers.ts';
import { withBenchSystem, type BenchSystem, waitUntil } from './system.ts';

// Measures the worker. One million events wait in JetStream when the worker starts. The baseline is a simple client that copies the same
// rows into the same table, with its indexes, in one COPY statement. Postgres flushes every commit to disk.

const ROUNDS = 2;

export const workerBench: Bench = async ({ directory, fixture, progress }) => {
  const log = await fixture.log();
  return withBenchSystem({ directory, members: ['postgres', 'nats'] }, async (benchSystem): Promise<Figure[]> => {
    const payloads = await batchesOf(log.path, benchSystem);
    const rowsPath = join(directory, 'rows.tsv');
    const psql = await promisify(execFile)('psql', ['--version']).then(
      () => true,
      () => false,
    );
    const rates = { worker: [] as number[], judged: [] as number[], committer: [] as number[], node: [] as number[], psql: [] as number[] };
    for (let round = 0; round < ROUNDS; round++) {
      const sides: [Exclude<keyof typeof rates, 'judged'>, () => Promise<number>][] = [
        ['worker', () => runWorker(benchSystem, payloads, (seconds) => rates.judged.push(EVENTS / seconds))],
      ];
      if (round === 0) sides.push(['committer', () => runCommitter(benchSystem, payloads)]);
      sides.push(['node', () => copyFromNode(benchSystem.urlOf('a'), rowsPath)]);
      if (psql) sides.push(['psql', () => copyFromPsql(benchSystem.urlOf('a'), rowsPath)]);
      for (const [side, run] of sides) {
        await emptyTables(benchSystem);
        const rate = EVENTS / (await run());
        await expectAllRows(benchSystem);
        rates[side].push(rate);
        progress(`   round ${round + 1}: ${side} ${Math.round(rate)} rows/s`);
        if (round === 0 && side === 'worker') await saveRows(benchSystem.urlOf('a'), rowsPath);
      }
    }
    const ours = median(rates.worker);
    const node = { what: 'COPY by one Node client', value: median(rates.node) };
    return [
      { what: 'worker: JetStream to committed rows', unit: 'rows/s', ours, bare: node, target: { ratio: 0.4 } },
      { what: 'worker: JetStream to rows and their rollups', unit: 'rows/s', ours: median(rates.judged), bare: node },
      ...(psql
        ? [{ what: 'worker: JetStream to committed rows', unit: 'rows/s', ours, bare: { what: 'psql \\copy', value: median(rates.psql) } }]
        : []),
      { what: 'committer alone, batches already decoded', unit: 'rows/s', ours: median(rates.committer), bare: node },
    ];
  });
};

/**
 * Runs the real worker and returns the seconds from its start until every event is committed. `onJudged` receives the number of seconds
 * until the judge has also processed every event.
 */
async function runWorker(
  { system, query }: BenchSystem,
  payloads: readonly Buffer[],
  onJudged: (seconds: number) => void,
): Promise<number> {
  const endOffset = Number(/"to":(\d+)/.exec((payloads.at(-1) as Buffer).toString('latin1', 0, 256))?.[1]);
  const connectAs = (setting: string): Promise<NatsConnection> => connect(natsOptions(parseNatsUrl(system.env[setting] ?? '')));
  const connections = await Promise.all([connectAs('WORKER_NATS_URL'), connectAs('AGENT_NATS_URL')]);
  try {
    const streams = await createJetStreamManager(connections[0]);
    await ensureConsumer(streams, 'a', { maxBytes: 1024 * 1024 * 1024, replicas: 1 });
    const client = jetstream(connections[1]);
    for (let i = 0; i < payloads.length; i += 8)
      await Promise.all(payloads.slice(i, i + 8).map((payload) => client.publish(eventsSubject('a'), payload)));
    expectEqual('waiting messages', (await streams.consumers.info(STREAM, consumerName('a'))).num_pending, payloads.length);
  } finally {
    for (const connection of connections) await connection.close();
  }
  const worker = system.member('event-worker-1');
  await worker.start();
  const startedMs = performance.now();
  await waitUntil('the worker has committed everything', async () => {
    const [row] = await query<{ done: boolean }>(
      'a',
      'SELECT bool_or(committed = int8multirange(int8range(0, $1))) AS done FROM shard.ledger',
      [endOffset],
    );
    return row?.done === true;
  });
  const seconds = (performance.now() - startedMs) / 1000;
  await waitUntil('the judge has processed everything', async () => {
    const [row] = await query<{ done: boolean }>('a', 'SELECT NOT EXISTS (SELECT FROM shard.delta) AS done');
    return row?.done === true;
  });
  onJudged((performance.now() - startedMs) / 1000);
  const running = worker.running as Running;
  await recordPeak('event worker', running.pid);
  await running.stop();
  worker.running = undefined;
  return seconds;
}

/** Runs the committer in this process. The time for decoding the next batches is not measured. */
async function runCommitter(benchSystem: BenchSystem, payloads: readonly Buffer[]): Promise<number> {
  return withCommitters(benchSystem, async ([shard]) => {
    let milliseconds = 0;
    for (let i = 0; i < payloads.length; i += GROUP_BATCHES) {
      const batches = payloads.slice(i, i + GROUP_BATCHES).map(decodeBatch);
      const startedMs = performance.now();
      await shard?.committer.commit(batches);
      milliseconds += performance.now() - startedMs;
    }
    return milliseconds / 1000;
  });
}

async function copyFromNode(url: string, rowsPath: string): Promise<number> {
  return withClient(url, async (client) => {
    const startedMs = performance.now();
    await pipeline(
      createReadStream(rowsPath, { highWaterMark: 1024 * 1024 }),
      client.query(copyFrom(`COPY shard.event (${EVENT_COLUMNS}) FROM STDIN`)),
    );
    return (performance.now() - startedMs) / 1000;
  });
}

async function copyFromPsql(url: string, rowsPath: string): Promise<number> {
  const startedMs = performance.now();
  await promisify(execFile)('psql', [url, '-q', '-v', 'ON_ERROR_STOP=1', '-c', `\\copy shard.event (${EVENT_COLUMNS}) FROM '${rowsPath}'`]);
  return (performance.now() - startedMs) / 1000;
}

/** Saves the rows that the worker committed as COPY data. */
async function saveRows(url: string, rowsPath: string): Promise<void> {
  await withClient(url, (client) =>
    pipeline(client.query(copyTo(`COPY (SELECT ${EVENT_COLUMNS} FROM shard.event) TO STDOUT`)), createWriteStream(rowsPath)),
  );
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Empties the tables and writes a checkpoint, so that the worker and the baseline start with empty tables and without dirty pages. */
async function emptyTables({ query }: BenchSystem): Promise<void> {
  await query(
    'a',
    'TRUNCATE shard.event, shard.people, shard.hit_count, shard.activity_15m, shard.delta, shard.ledger, shard.skipped, shard.dead_letter, shard.user_agent, shard.outside_value',
  );
  await query('a', 'CHECKPOINT');
}

async function expectAllRows({ query }: BenchSystem): Promise<void> {
  const [row] = await query<{ rows: number; different: number }>(
    'a',
    'SELECT count(*)::int AS rows, count(DISTINCT (gen, off))::int AS different FROM shard.event',
  );
  expectEqual('rows', row?.rows ?? 0, EVENTS);
  expectEqual('different rows', row?.different ?? 0, EVENTS);
}
