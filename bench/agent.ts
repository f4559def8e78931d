import { mkdir, rename, copyFile, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { jetstream, type JetStreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { decodeBatch, type LedgerReply, parseLedgerRequest } from '../core/event.ts';
import { createJetStreamManager, natsOptions } from '../core/nats.ts';
import { natsUrlWithCredentials, parseNatsUrl } from '../core/nats-url.ts';
import { covers, NO_RANGES, type Ranges, touches, union } from '../core/ranges.ts';
import { evenShards, parseShards, type ShardMap } from '../core/shards.ts';
import { consumerName, ledgerSubject, STREAM } from '../core/subjects.ts';
import { ensureConsumer } from '../event-worker/ensure-consumer.ts';
import { startNats } from '../stack/nats.ts';
import { startPart } from '../stack/part.ts';
import { freePort } from '../stack/ports.ts';
import { type Bench, expectEqual, median } from './figure.ts';
import { EVENTS, LINES } from './fixture.ts';
import { notePeak } from './memory.ts';
import { NODE_OPTIONS, until } from './stand.ts';

// A log of a million lines appears in the directory of a running agent; the clock stops when the last byte of it is accounted for in
// JetStream. In place of workers a small responder in this process takes the batches, acks them and plays the ledger, in memory.

const ROUNDS = 2;

export const agentBench: Bench = async ({ directory, fixture, say }) => {
  const log = await fixture.log();
  const offsets = await eventOffsets(log.path);
  const rates: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const { seconds, repeated } = await ship({ directory: join(directory, String(round)), log, offsets });
    rates.push(LINES / seconds);
    say(`   round ${round + 1}: ${Math.round(LINES / seconds)} lines/s, ${repeated} batches repeated`);
  }
  return [{ what: 'agent: log to JetStream, 2 shards', unit: 'lines/s', ours: median(rates), target: { atLeast: 100_000 } }];
};

async function ship(options: {
  directory: string;
  log: { path: string; size: number };
  offsets: ReadonlySet<number>;
}): Promise<{ seconds: number; repeated: number }> {
  const { directory, log, offsets } = options;
  const logDir = join(directory, 'logs');
  await mkdir(logDir, { recursive: true });
  const waiting = join(directory, 'access.log');
  await copyFile(log.path, waiting);
  const shardsText = evenShards(2, (name) => `postgres://127.0.0.1/${name}`);
  const port = await freePort();
  const runDir = join(directory, 'run');
  const passwords = { agent: 'agent', worker: 'worker', analyst: 'analyst' };
  const nats = await startNats({ storeDir: join(directory, 'nats'), runDir, port, passwords });
  const url = `nats://127.0.0.1:${port}`;
  let connection: NatsConnection | undefined;
  try {
    connection = await connect(natsOptions(parseNatsUrl(natsUrlWithCredentials(url, 'worker', passwords.worker))));
    const taken = await playWorkers(connection, await createJetStreamManager(connection), parseShards(shardsText));
    const agent = await startPart({
      part: 'log-agent',
      name: 'log-agent',
      runDir,
      env: {
        BASE_URL: 'https://t.example.org',
        LOG_DIR: logDir,
        STATE_DIR: join(directory, 'state'),
        SHARDS: shardsText,
        AGENT_NATS_URL: natsUrlWithCredentials(url, 'agent', passwords.agent),
        LOG_LEVEL: 'warn',
        NODE_OPTIONS,
      },
    });
    try {
      const startedMs = performance.now();
      await rename(waiting, join(logDir, 'access.log'));
      await until('the log is in JetStream', () => [...taken.ledgers.values()].every((ranges) => covers(ranges, 0, log.size)));
      const seconds = (performance.now() - startedMs) / 1000;
      await notePeak('log agent', agent.pid);
      expectExactly(taken.payloads, offsets);
      return { seconds, repeated: taken.repeated };
    } finally {
      await agent.stop();
    }
  } finally {
    await connection?.close();
    await nats.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

interface Taken {
  ledgers: Map<string, Ranges>;
  payloads: Uint8Array[];
  repeated: number;
}

/** Takes batches of both shards; what it looks at is only the range, which stands at the start. */
async function playWorkers(connection: NatsConnection, streams: JetStreamManager, shards: ShardMap): Promise<Taken> {
  const ledgers = new Map<string, Ranges>(shards.list.map(({ name }) => [name, NO_RANGES]));
  const taken: Taken = { ledgers, payloads: [], repeated: 0 };
  let generation: string | undefined;
  for (const { name } of shards.list) {
    connection.subscribe(ledgerSubject(name), {
      queue: 'workers',
      callback: (_error, question) => {
        const committed = (ledgers.get(name) ?? NO_RANGES).map(([from, to]): [number, number] => [from, to]);
        const { gens } = parseLedgerRequest(question.string());
        const known = gens.filter((gen) => gen === generation).map((gen) => [gen, { committed, size: null }] as const);
        const answer: LedgerReply = { shards: shards.fingerprint, gens: Object.fromEntries(known) };
        question.respond(JSON.stringify(answer));
      },
    });
    await ensureConsumer(streams, name, 1024 * 1024 * 1024);
    const consumer = await jetstream(connection).consumers.get(STREAM, consumerName(name));
    await consumer.consume({
      max_messages: 128,
      callback: (message) => {
        const head = Buffer.from(message.data.buffer, message.data.byteOffset, 256).toString('latin1');
        const found = /"gen":"([0-9a-f]{32})".*?"from":(\d+),"to":(\d+)/.exec(head);
        if (!found) throw new Error('a message is no batch');
        generation = found[1];
        const range = [Number(found[2]), Number(found[3])] as const;
        const committed = ledgers.get(name) ?? NO_RANGES;
        // As a worker does: what touches a committed byte was here before.
        if (touches(committed, ...range)) taken.repeated++;
        else {
          ledgers.set(name, union(committed, [range]));
          taken.payloads.push(message.data);
        }
        message.ack();
      },
    });
  }
  return taken;
}

/** Every event of the log is in exactly one batch. */
function expectExactly(payloads: readonly Uint8Array[], offsets: ReadonlySet<number>): void {
  const seen = new Set<number>();
  let events = 0;
  let skipped = 0;
  let dead = 0;
  for (const payload of payloads) {
    const batch = decodeBatch(payload);
    for (const { off } of batch.events) if (offsets.has(off)) seen.add(off);
    events += batch.events.length;
    skipped += batch.skipped['not-served'] ?? 0;
    dead += batch.dead.length;
  }
  expectEqual('events published', events, EVENTS);
  expectEqual('different events published', seen.size, EVENTS);
  expectEqual('lines skipped', skipped, LINES - EVENTS);
  expectEqual('dead letters', dead, 0);
}

/** Offsets of the lines that are events. */
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
