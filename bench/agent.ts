import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rename, copyFile, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { jetstream, type JetStreamManager, type JsMsg } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { decodeBatch } from '../core/batch.ts';
import { type LedgerReply, parseLedgerRequest } from '../core/event.ts';
import { createJetStreamManager, natsOptions } from '../core/nats.ts';
import { natsUrlWithCredentials, parseNatsUrl } from '../core/nats-url.ts';
import { covers, NO_RANGES, type Ranges, touches, union } from '../core/ranges.ts';
import { evenShards, parseShards, type ShardMap } from '../core/shards.ts';
import { consumerName, eventsSubject, ledgerSubject, STREAM } from '../core/subjects.ts';
import { ensureConsumer } from '../event-worker/ensure-consumer.ts';
import { startNats } from '../stack/nats.ts';
import { startPart } from '../stack/part.ts';
import { freePort } from '../stack/ports.ts';
import { type Bench, expectEqual, median } from './figure.ts';
import { EVENTS, LINES } from './fixture.ts';
import { recordPeak } from './memory.ts';
import { NODE_OPTIONS, waitUntil } from './system.ts';

// Measures how fast the agent publishes a log. A log of one million lines is moved into the directory of a running agent. The measured time
// ends when JetStream has received the last byte. A small responder in this process replaces the workers: it receives the batches, acks
// them and answers ledger requests from memory. The baseline, bare-agent.ts, publishes the lines of the same log unchanged.

const ROUNDS = 2;

export const agentBench: Bench = async ({ directory, fixture, progress }) => {
  const log = await fixture.log();
  const offsets = await eventOffsets(log.path);
  const rates: number[] = [];
  const bareRates: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const measureBare = async (): Promise<void> => {
      bareRates.push(LINES / (await measureBareRound({ directory: join(directory, `bare ${round}`), log })));
      progress(`   round ${round + 1}: lines published unchanged: ${Math.round(bareRates.at(-1) as number)} lines/s`);
    };
    if (round % 2 === 1) await measureBare();
    const { seconds, repeated } = await measureRound({ directory: join(directory, String(round)), log, offsets });
    rates.push(LINES / seconds);
    progress(`   round ${round + 1}: ${Math.round(LINES / seconds)} lines/s, ${repeated} batches repeated`);
    if (round % 2 === 0) await measureBare();
  }
  const bare = { what: 'lines published unchanged', value: median(bareRates) };
  return [{ what: 'agent: log to JetStream, 2 shards', unit: 'lines/s', ours: median(rates), bare, target: { ratio: 0.5 } }];
};

/** Publishes the lines of the log unchanged. Returns the time in seconds. */
async function measureBareRound({ directory, log }: { directory: string; log: { path: string } }): Promise<number> {
  return withNats(directory, async (connection, agentUrl) => {
    const shards = ['a', 'b'];
    const streams = await createJetStreamManager(connection);
    for (const shard of shards) await consume(connection, streams, shard, (message) => message.ack());
    const child = fork(new URL('bare-agent.ts', import.meta.url), [agentUrl, log.path, ...shards.map(eventsSubject)]);
    await once(child, 'message');
    const startedMs = performance.now();
    child.send('start');
    const [lines] = (await once(child, 'message')) as [number];
    const seconds = (performance.now() - startedMs) / 1000;
    expectEqual('lines published unchanged', lines, LINES);
    return seconds;
  });
}

/** Runs `work` with a nats-server in a new directory, and removes both. `connection` is that of a worker. */
async function withNats<T>(directory: string, work: (connection: NatsConnection, agentUrl: string) => Promise<T>): Promise<T> {
  const passwords = { agent: 'agent', worker: 'worker', analyst: 'analyst' };
  const port = await freePort();
  await mkdir(directory, { recursive: true });
  const nats = await startNats({ storeDir: join(directory, 'nats'), runDir: join(directory, 'run'), port, passwords });
  const urlOf = (role: 'agent' | 'worker'): string => natsUrlWithCredentials(`nats://127.0.0.1:${port}`, role, passwords[role]);
  let connection: NatsConnection | undefined;
  try {
    connection = await connect(natsOptions(parseNatsUrl(urlOf('worker'))));
    return await work(connection, urlOf('agent'));
  } finally {
    await connection?.close();
    await nats.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

/** Calls `onMessage` for each message of a shard. */
async function consume(
  connection: NatsConnection,
  streams: JetStreamManager,
  shard: string,
  onMessage: (message: JsMsg) => void,
): Promise<void> {
  await ensureConsumer(streams, shard, { maxBytes: 1024 * 1024 * 1024, replicas: 1 });
  const consumer = await jetstream(connection).consumers.get(STREAM, consumerName(shard));
  await consumer.consume({ max_messages: 128, callback: onMessage });
}

async function measureRound(options: {
  directory: string;
  log: { path: string; size: number };
  offsets: ReadonlySet<number>;
}): Promise<{ seconds: number; repeated: number }> {
  const { directory, log, offsets } = options;
  return withNats(directory, async (connection, agentUrl) => {
    const logDir = join(directory, 'logs');
    await mkdir(logDir, { recursive: true });
    const stagedLog = join(directory, 'access.log');
    await copyFile(log.path, stagedLog);
    const shardsText = evenShards(2, (name) => `postgres://127.0.0.1/${name}`);
    const received = await simulateWorkers(connection, await createJetStreamManager(connection), parseShards(shardsText));
    const agent = await startPart({
      part: 'log-agent',
      name: 'log-agent',
      runDir: join(directory, 'run'),
      env: {
        BASE_URL: 'https://t.example.org',
        LOG_DIR: logDir,
        STATE_DIR: join(directory, 'state'),
        SHARDS: shardsText,
        AGENT_NATS_URL: agentUrl,
        LOG_LEVEL: 'warn',
        NODE_OPTIONS,
      },
    });
    try {
      const startedMs = performance.now();
      await rename(stagedLog, join(logDir, 'access.log'));
      await waitUntil('the log is in JetStream', () => [...received.ledgers.values()].every((ranges) => covers(ranges, 0, log.size)));
      const seconds = (performance.now() - startedMs) / 1000;
      await recordPeak('log agent', agent.pid);
      expectEveryEventOnce(received.payloads, offsets);
      return { seconds, repeated: received.repeated };
    } finally {
      await agent.stop();
    }
  });
}

interface Received {
  ledgers: Map<string, Ranges>;
  payloads: Uint8Array[];
  repeated: number;
}

/** Consumes the batches of both shards. It reads only the generation and the range, which are at the start of a batch. */
async function simulateWorkers(connection: NatsConnection, streams: JetStreamManager, shards: ShardMap): Promise<Received> {
  const ledgers = new Map<string, Ranges>(shards.list.map(({ name }) => [name, NO_RANGES]));
  const received: Received = { ledgers, payloads: [], repeated: 0 };
  let generation: string | undefined;
  for (const { name } of shards.list) {
    connection.subscribe(ledgerSubject(name), {
      queue: 'workers',
      callback: (_error, request) => {
        const committed = (ledgers.get(name) ?? NO_RANGES).map(([from, to]): [number, number] => [from, to]);
        const { gens } = parseLedgerRequest(request.string());
        const knownGens = gens.filter((gen) => gen === generation).map((gen) => [gen, { committed, size: null }] as const);
        const reply: LedgerReply = { shards: shards.fingerprint, gens: Object.fromEntries(knownGens) };
        request.respond(JSON.stringify(reply));
      },
    });
    await consume(connection, streams, name, (message) => {
      const header = Buffer.from(message.data.buffer, message.data.byteOffset, 256).toString('latin1');
      const match = /"gen":"([0-9a-f]{32})".*?"from":(\d+),"to":(\d+)/.exec(header);
      if (!match) throw new Error('a message does not start like a batch');
      generation = match[1];
      const range = [Number(match[2]), Number(match[3])] as const;
      const committed = ledgers.get(name) ?? NO_RANGES;
      // Like a worker, the responder treats a batch that overlaps a committed range as a repetition.
      if (touches(committed, ...range)) received.repeated++;
      else {
        ledgers.set(name, union(committed, [range]));
        received.payloads.push(message.data);
      }
      message.ack();
    });
  }
  return received;
}

/** Throws unless every event of the log is in exactly one batch. */
function expectEveryEventOnce(payloads: readonly Uint8Array[], offsets: ReadonlySet<number>): void {
  const seen = new Set<number>();
  let events = 0;
  let skipped = 0;
  let dead = 0;
  for (const payload of payloads) {
    const batch = decodeBatch(payload);
    for (const off of batch.events.off) if (offsets.has(Number(off))) seen.add(Number(off));
    events += batch.events.off.length;
    skipped += batch.skipped['not-served'] ?? 0;
    dead += batch.dead.length;
  }
  expectEqual('events published', events, EVENTS);
  expectEqual('different events published', seen.size, EVENTS);
  expectEqual('lines skipped', skipped, LINES - EVENTS);
  expectEqual('dead letters', dead, 0);
}

/** Returns the byte offsets of the lines that are events. */
async function eventOffsets(path: string): Promise<Set<number>> {
  const bytes = await readFile(path);
  const offsets = new Set<number>();
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf(10, start);
    if (!bytes.toString('latin1', start, end).includes('","s":404,')) offsets.add(start);
    start = end + 1;
  }
  expectEqual('events in the log', offsets.size, EVENTS);
  return offsets;
}
