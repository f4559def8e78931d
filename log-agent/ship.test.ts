import { randomBytes } from 'node:crypto';
import { appendFile, copyFile, mkdir, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { jetstream, type JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { Registry } from 'prom-client';
import { describe, expect, onTestFinished, test } from 'vitest';
import { decodeBatch, MAX_BATCH_BYTES } from '../core/batch.ts';
import type { Event } from '../core/batch-v1.ts';
import { type Batch, type DeadLetter, type LedgerReply, parseLedgerRequest } from '../core/event.ts';
import { createLogger } from '../core/log.ts';
import { createJetStreamManager } from '../core/nats.ts';
import { covers, NO_RANGES, type Ranges, subtract, touches, union } from '../core/ranges.ts';
import { parseShards } from '../core/shards.ts';
import { tagOf } from '../core/slug.ts';
import { consumerName, LEDGER_API, ledgerSubject, STREAM } from '../core/subjects.ts';
import { ensureConsumer } from '../event-worker/ensure-consumer.ts';
import { eventsOf } from '../test/support/events.ts';
import { logLine } from '../test/support/log-lines.ts';
import { eventually, natsConnection, startTestNats, temporaryDirectory } from '../test/support/servers.ts';
import { type Agent, createAgent } from './agent.ts';
import { MAX_BATCH_EVENTS } from './batch.ts';
import { Epochs } from './epochs.ts';
import { createLedgerClient, type LedgerClient } from './ledger-client.ts';
import { createEnricher } from './enrich.ts';
import { Follower } from './follow.ts';
import { hashOf } from './lines.ts';
import { createAgentMetrics } from './metrics.ts';
import { createPublisher, type Publisher } from './publish.ts';
import { deleteCommitted } from './delete-committed.ts';
import { createSalts } from './salt.ts';
import { createShipper, type Shipper } from './ship.ts';

const shards = parseShards('a=00=postgres://127.0.0.1/a,b=V0=postgres://127.0.0.1/b');
const log = createLogger('test', 'silent');
const enricher = await createEnricher({ mmdbPath: '', networks: [], site: 'test' });
const STREAM_MAX_BYTES = 512 * 1024 * 1024;

/** Simulates in memory a worker and its database for one shard. */
class Worker {
  readonly shard: string;
  readonly committed = new Map<string, Ranges>();
  readonly sizes = new Map<string, number>();
  /** The events, by generation and offset. */
  events = new Map<string, Event>();
  dead = new Map<string, DeadLetter>();
  skipped: Record<string, number> = {};
  batches = 0;
  repeated = 0;
  largestBytes = 0;
  largestEvents = 0;
  held = false;
  silent = false;
  /** The epoch of the database; undefined for a worker of a version without epochs. */
  epoch: number | undefined;
  /** The highest epoch that a batch or a question had. */
  shown = 0;
  /** Whether to ack a batch without committing it. */
  drop: (batch: Batch) => boolean = () => false;

  constructor(shard: string) {
    this.shard = shard;
  }

  receive(payload: Uint8Array): void {
    const batch = decodeBatch(payload);
    this.batches++;
    this.largestBytes = Math.max(this.largestBytes, payload.length);
    this.largestEvents = Math.max(this.largestEvents, batch.events.off.length + batch.dead.length);
    this.shown = Math.max(this.shown, batch.epoch ?? 0);
    expect(batch).toMatchObject({ shard: this.shard, shards: shards.fingerprint });
    if (this.drop(batch)) return;
    const { gen, from, to } = batch;
    const before = this.committed.get(gen) ?? NO_RANGES;
    if (touches(before, from, to)) {
      this.repeated++;
      return;
    }
    for (const event of eventsOf(batch.events)) this.events.set(`${gen} ${event.off}`, event);
    for (const letter of batch.dead) this.dead.set(`${gen} ${letter.off}`, letter);
    for (const [reason, count] of Object.entries(batch.skipped)) this.skipped[reason] = (this.skipped[reason] ?? 0) + count;
    this.committed.set(gen, union(before, [[from, to]]));
    if (batch.size !== undefined) this.sizes.set(gen, Math.max(batch.size, this.sizes.get(gen) ?? 0));
  }

  /** Removes everything. */
  reset(): void {
    for (const kept of [this.committed, this.sizes, this.events, this.dead]) kept.clear();
  }

  /** Removes a range, as if the database had been restored to a time before it. */
  forget(gen: string, from: number, to: number): void {
    this.committed.set(gen, subtract(this.committed.get(gen) ?? NO_RANGES, [[from, to]]));
    for (const kept of [this.events, this.dead]) {
      for (const key of kept.keys()) {
        const [of, off] = key.split(' ');
        if (of === gen && Number(off) >= from && Number(off) < to) kept.delete(key);
      }
    }
  }

  reply(request: string): string {
    const reply: LedgerReply = { shards: shards.fingerprint, epoch: this.epoch, gens: {} };
    for (const gen of parseLedgerRequest(request).gens) {
      const ranges = this.committed.get(gen);
      if (ranges) reply.gens[gen] = { committed: ranges.map(([from, to]) => [from, to]), size: this.sizes.get(gen) ?? null };
    }
    return JSON.stringify(reply);
  }

  async run(connection: NatsConnection, js: JetStreamManager, signal: AbortSignal): Promise<void> {
    connection.subscribe(ledgerSubject(this.shard), {
      callback: (_, message) => {
        if (!this.silent) message.respond(this.reply(message.string()));
      },
    });
    while (!signal.aborted) {
      try {
        if (this.held) await new Promise((resolve) => setTimeout(resolve, 10));
        else {
          await ensureConsumer(js, this.shard, { maxBytes: STREAM_MAX_BYTES, replicas: 1 });
          const consumer = await jetstream(connection).consumers.get(STREAM, consumerName(this.shard));
          for await (const message of await consumer.fetch({ max_messages: 20, expires: 1000 })) {
            this.receive(message.data);
            message.ack();
          }
        }
      } catch (error) {
        if (error instanceof Error && error.name === 'AssertionError') throw error;
      }
    }
  }
}

interface Setting {
  directory: string;
  stateDir: string;
  workers: { a: Worker; b: Worker };
  /** The connection of the agent, and a JetStream manager with the permissions of the agent. `js` has all permissions. */
  connection: NatsConnection;
  agentJs: JetStreamManager;
  js: JetStreamManager;
  path: (name: string) => string;
}

async function setUp(options: { held: boolean } = { held: false }): Promise<Setting> {
  const nats = await startTestNats();
  const directory = await temporaryDirectory();
  const stateDir = await temporaryDirectory();
  const ended = new AbortController();
  const operator = await natsConnection(nats.url);
  const connection = await natsConnection(nats.urlOf('agent'));
  const js = await createJetStreamManager(operator);
  for (const { name } of shards.list) await ensureConsumer(js, name, { maxBytes: STREAM_MAX_BYTES, replicas: 1 });
  const workers = { a: new Worker('a'), b: new Worker('b') };
  workers.a.held = workers.b.held = options.held;
  const running = Promise.all([workers.a.run(operator, js, ended.signal), workers.b.run(operator, js, ended.signal)]);
  onTestFinished(async () => {
    ended.abort();
    await connection.close();
    await operator.close();
    await running;
  });
  return {
    directory,
    stateDir,
    workers,
    connection,
    agentJs: await createJetStreamManager(connection, LEDGER_API),
    js,
    path: (name) => join(directory, name),
  };
}

interface AgentRun {
  agent: Agent;
  shipper: Shipper;
  publisher: Publisher;
  follower: Follower;
  ledgers: LedgerClient;
  /** Stops the agent and waits until it has ended. */
  stop: () => Promise<void>;
}

/** The part of an AgentRun that knows which generation a log is. */
type Following = Pick<AgentRun, 'follower'>;

/** Starts an agent. A test may start several, one after the other. */
function startAgent(
  { connection, agentJs, directory, stateDir }: Setting,
  options: { windowBytes?: number; now?: () => number } = {},
): AgentRun {
  const metrics = createAgentMetrics(new Registry());
  const follower = new Follower({ directory, quietMs: 0 });
  const publisher = createPublisher(connection, log, metrics);
  const { windowBytes = 64 * 1024 * 1024, now = Date.now } = options;
  const epochs = new Epochs();
  const salts = createSalts({ connection, replicas: 1, log, metrics });
  const shipper = createShipper({ shards, enricher, salts, publisher, epochs, metrics, windowBytes, now });
  const ledgers = createLedgerClient({ connection, manager: agentJs, shards, epochs, log });
  const agent = createAgent({
    follower,
    shipper,
    ledgers,
    publisher,
    epochs,
    shards,
    metrics,
    log,
    stateDir,
    pollMs: 20,
    keepLogsMs: 1e12,
  });
  const ended = new AbortController();
  const running = agent.run(ended.signal);
  const stop = async () => {
    ended.abort();
    await running;
  };
  onTestFinished(stop);
  return { agent, shipper, publisher, follower, ledgers, stop };
}

const codes = (run: AgentRun): string[] => run.agent.degraded().map(({ code }) => code);

/** A log, and the hits and other lines of it that the shards must have. */
interface Content {
  text: string;
  /** Offsets of hits by shard. */
  a: number[];
  b: number[];
  dead: number[];
  skipped: number;
}

const seconds = Math.floor(Date.now() / 1000);
let contentCount = 0;
const slug = (tag: string): string => tag + randomBytes(12).toString('hex').slice(0, 17);

/** Creates a log with hits for both shards, and torn lines, junk and skipped lines between them. */
function makeContent(count: number, uaOf: (line: number) => string = () => 'Mozilla/5.0'): Content {
  const content: Content = { text: '', a: [], b: [], dead: [], skipped: 0 };
  // Each log is newer than the one created before it.
  const t = seconds - 1000 + contentCount++;
  let off = 0;
  const add = (text: string) => {
    content.text += text;
    off += Buffer.byteLength(text);
  };
  for (let i = 0; i < count; i++) {
    const alias = tagOf({ link: i + 1, recipient: 0 }) < 'V0' ? content.a : content.b;
    if (i % 50 === 7) {
      content.dead.push(off);
      add('{"v":1,"rid":"torn');
    }
    if (i % 50 === 11) {
      content.dead.push(off);
      add('junk\n');
    }
    if (i % 50 === 13) {
      content.skipped++;
      add(logLine({ t, s: 404 }));
    }
    if (i % 5 === 0) {
      alias.push(off);
      add(logLine({ t, ua: uaOf(i), u: '/u/black-friday', link: `${i + 1}.1` }));
    } else {
      const [list, tag] = i % 2 === 0 ? [content.a, 'Uz'] : [content.b, 'V0'];
      list.push(off);
      add(logLine({ t, ua: uaOf(i), ref: uaOf(i), ...(i % 3 === 0 ? { u: `/r/${slug(tag)}.gif`, s: 200 } : { u: `/u/${slug(tag)}` }) }));
    }
  }
  return content;
}

const genOf = (run: Following, size: number): string | undefined =>
  run.follower.generations.find((generation) => generation.size === size)?.id;

async function untilCommitted(run: Following, workers: Setting['workers'], contents: Content[]): Promise<void> {
  for (const { text } of contents) {
    const size = Buffer.byteLength(text);
    await eventually(`${size} bytes are committed on both shards`, () => {
      const gen = genOf(run, size) ?? '';
      return [workers.a, workers.b].every((worker) => covers(worker.committed.get(gen) ?? NO_RANGES, 0, size));
    });
  }
}

function expectOnce(run: Following, workers: Setting['workers'], contents: Content[]): void {
  const keys = (offsOf: (content: Content) => number[]) =>
    contents.flatMap((content) => offsOf(content).map((off) => `${genOf(run, Buffer.byteLength(content.text))} ${off}`)).sort();
  expect([...workers.a.events.keys()].sort()).toEqual(keys(({ a }) => a));
  expect([...workers.b.events.keys()].sort()).toEqual(keys(({ b }) => b));
  expect([...workers.a.dead.keys()].sort()).toEqual(keys(({ dead }) => dead));
  expect(workers.b.dead.size).toBe(0);
}

describe('a log with lines of a newer format', () => {
  /** Makes the lines from the byte `from` on lines of version 3, or turns them back. */
  const withVersion = (text: string, from: number, v: 2 | 3): string =>
    text.slice(0, from) + text.slice(from).replaceAll(/^\{"v":2,("rid".*),"x":""\}$/gm, v === 2 ? '$&' : '{"v":3,$1,"y":""}');

  test.each(['plain', 'gzip'])('waits for a newer agent, which counts every line once (%s)', async (form) => {
    const setting = await setUp();
    const { path, workers, directory } = setting;
    // Longer than one read, so that the newer lines are not in the first chunk.
    const content = makeContent(6000);
    const from = content.text.indexOf('\n', content.text.length - 60_000) + 1;
    const other = makeContent(500);
    const name = form === 'gzip' ? 'access.log.2.gz' : 'access.log.2';
    const write = (v: 2 | 3) => {
      const text = withVersion(content.text, from, v);
      return writeFile(path(name), form === 'gzip' ? gzipSync(text) : text);
    };
    await write(3);
    await writeFile(path('access.log'), other.text);
    const old = startAgent(setting);
    const size = Buffer.byteLength(content.text);
    const committed = (worker: Worker) => worker.committed.get(genOf(old, size) ?? '') ?? NO_RANGES;
    await untilCommitted(old, workers, [other]);
    await eventually('the lines before the newer ones are committed', () =>
      [workers.a, workers.b].every((worker) => covers(committed(worker), 0, from)),
    );
    await eventually('the problem is reported', () => codes(old).includes('log-newer'));
    expect(old.agent.degraded().find(({ code }) => code === 'log-newer')?.about).toBe(name);
    await new Promise((resolve) => setTimeout(resolve, 500));
    for (const worker of [workers.a, workers.b]) expect(committed(worker)).toEqual([[0, from]]);
    await old.stop();

    await write(2);
    const run = startAgent({ ...setting, directory });
    await untilCommitted(run, workers, [content, other]);
    expectOnce(run, workers, [content, other]);
    expect(codes(run)).not.toContain('log-newer');
    expect([workers.a.repeated, workers.b.repeated]).toEqual([0, 0]);
  });
});

describe('shipping a log', () => {
  test('every hit arrives once on its shard, across rotations, and nothing is sent twice', async () => {
    const setting = await setUp();
    const { path, workers } = setting;
    const run = startAgent(setting);
    const contents = [2000, 1501, 1002, 3].map((count) => makeContent(count));
    for (const [i, content] of contents.entries()) {
      if (i > 0) await rename(path('access.log'), path(`access.log.${i}`));
      const bytes = Buffer.from(content.text);
      for (let at = 0; at < bytes.length; at += 50_000) {
        await appendFile(path('access.log'), bytes.subarray(at, at + 50_000));
        await eventually('the agent has seen it', () =>
          run.follower.generations.some(({ size }) => size === Math.min(bytes.length, at + 50_000)),
        );
      }
    }
    await untilCommitted(run, workers, contents);
    expectOnce(run, workers, contents);
    expect(workers.a.skipped).toEqual({ 'not-served': contents.reduce((sum, { skipped }) => sum + skipped, 0) });
    expect(workers.b.skipped).toEqual({});
    expect([workers.a.repeated, workers.b.repeated]).toEqual([0, 0]);

    // Only the two oldest logs are final. Both shards have recorded the sizes of these two logs and no other sizes.
    const final = new Map(contents.slice(0, 2).map(({ text }) => [genOf(run, text.length), text.length]));
    for (const worker of [workers.a, workers.b]) {
      await eventually('sizes are recorded', () => worker.sizes.size === 2);
      expect(worker.sizes).toEqual(final);
    }
    await run.stop();
  });

  test('a line that was incomplete at an earlier scan is one hit, also if a turn still has the generation of that scan', async () => {
    const setting = await setUp();
    const { path, workers, connection, directory } = setting;
    const content = makeContent(20);
    const bytes = Buffer.from(content.text);
    const metrics = createAgentMetrics(new Registry());
    const publisher = createPublisher(connection, log, metrics);
    const salts = createSalts({ connection, replicas: 1, log, metrics });
    for (let cut = bytes.indexOf(10) + 1; cut < bytes.length; cut += 97) {
      await rm(path('access.log'), { force: true });
      for (const worker of [workers.a, workers.b]) worker.reset();
      const shipper = createShipper({ shards, enricher, salts, publisher, epochs: new Epochs(), metrics, windowBytes: 1e9 });
      const follower = new Follower({ directory, quietMs: 0 });
      await writeFile(path('access.log'), bytes.subarray(0, cut));
      await follower.scan();
      const [earlier] = follower.generations;
      if (!earlier) throw new Error('the log has no generation');
      await appendFile(path('access.log'), bytes.subarray(cut));
      await follower.scan();
      const { signal } = new AbortController();
      for (const { name } of shards.list) shipper.coverage(earlier.id, name).confirm(NO_RANGES, null, { floor: 0, delivered: 0, last: 0 });
      for (const generation of [earlier, ...follower.generations]) while (await shipper.shipNext(generation, signal));
      await shipper.flush(true);
      await untilCommitted({ follower }, workers, [content]);
      expectOnce({ follower }, workers, [content]);
      await follower.close();
    }
  });

  test('no batch is larger than 512 KiB or has more than 500 lines', async () => {
    const setting = await setUp();
    const { path, workers } = setting;
    const contents = [
      makeContent(1300),
      makeContent(50, (i) => i + '\u0001'.repeat(8000)),
      makeContent(400, (i) => i + '\u0001'.repeat(600)),
      makeContent(500, (i) => i + '\u20ac'.repeat(600)),
    ];
    for (const [i, { text }] of contents.entries()) await writeFile(path(`access.log.${i}`), text);
    // While the clock of the agent does not advance, no batch is published because of its age.
    let still = true;
    const run = startAgent(setting, { now: () => (still ? 0 : Date.now()) });
    for (const worker of [workers.a, workers.b])
      await eventually(
        'batches are full by either measure',
        () => worker.largestBytes > MAX_BATCH_BYTES * 0.9 && worker.largestEvents >= MAX_BATCH_EVENTS,
      );
    still = false;
    await untilCommitted(run, workers, contents);
    expectOnce(run, workers, contents);
    for (const { largestBytes, largestEvents } of [workers.a, workers.b]) {
      expect(largestBytes).toBeLessThanOrEqual(MAX_BATCH_BYTES);
      expect(largestEvents).toBe(MAX_BATCH_EVENTS);
    }
    await run.stop();
  });

  test('a shard that confirms nothing stops at its window, and gets the rest later', async () => {
    const setting = await setUp({ held: true });
    const { path, workers } = setting;
    workers.a.held = false;
    const content = makeContent(8_000);
    const size = Buffer.byteLength(content.text);
    // The size of the largest read. The window is checked before a read, so one read can exceed it.
    const chunk = 512 * 1024;
    const windowBytes = 64 * 1024;
    expect(size).toBeGreaterThan(2 * chunk);
    await writeFile(path('access.log'), content.text);
    const run = startAgent(setting, { windowBytes });
    await eventually('the other shard has everything', () => covers(workers.a.committed.get(genOf(run, size) ?? '') ?? NO_RANGES, 0, size));
    const gen = genOf(run, size) as string;
    const { unconfirmedBytes } = run.shipper.coverage(gen, 'b');
    expect(unconfirmedBytes).toBeGreaterThan(0);
    expect(unconfirmedBytes).toBeLessThanOrEqual(windowBytes + chunk);
    workers.b.held = false;
    await untilCommitted(run, workers, [content]);
    expectOnce(run, workers, [content]);
    expect(workers.b.repeated).toBe(0);
    await run.stop();
  });

  test.each([
    ['a gzip', 'access.log.9.gz', gzipSync],
    ['a zstd file', 'access.log.9.zst', zstdCompressSync],
    ['a plain log', 'access.log.9', (bytes: Buffer) => bytes],
  ] as const)(
    'a line of 256 MiB in %s is one dead letter, costs little memory, and delays no new hit',
    { timeout: 120_000 },
    async (_, name, pack) => {
      const setting = await setUp();
      const { path, workers } = setting;
      const before = makeContent(20);
      const after = makeContent(20);
      const now = [makeContent(1), ...Array.from({ length: 400 }, () => makeContent(1))];
      const run = startAgent(setting, { windowBytes: 1024 * 1024 });
      for (const newer of [2, 1]) await writeFile(path(`access.log.${newer}`), makeContent(1).text);
      await writeFile(path('access.log'), now[0]?.text ?? '');
      await eventually('the first hits are in', () => workers.a.events.size + workers.b.events.size === 3);

      const zeros = Buffer.alloc(64 * 1024 * 1024);
      const packedZeros = pack(zeros);
      await writeFile(path('unfinished.tmp'), pack(Buffer.from(before.text)));
      for (let i = 0; i < 4; i++) await appendFile(path('unfinished.tmp'), packedZeros);
      await appendFile(path('unfinished.tmp'), pack(Buffer.from(`\n${after.text}`)));
      const start = Buffer.byteLength(before.text);
      const length = 4 * zeros.length + 1;
      const size = start + length + Buffer.byteLength(after.text);
      const rssBefore = process.memoryUsage().rss;
      let rss = rssBefore;
      const sampler = setInterval(() => (rss = Math.max(rss, process.memoryUsage().rss)), 10);
      await rename(path('unfinished.tmp'), path(name));

      const done = (worker: Worker) => covers(worker.committed.get(genOf(run, size) ?? '') ?? NO_RANGES, 0, size);
      const delaysMs: number[] = [];
      for (let i = 1; i < now.length && !(done(workers.a) && done(workers.b)); i++) {
        const startedMs = performance.now();
        await appendFile(path('access.log'), now[i]?.text ?? '');
        const last = (await readFile(path('access.log'))).length;
        await eventually('a new hit arrives', () =>
          [workers.a, workers.b].every((worker) => covers(worker.committed.get(genOf(run, last) ?? '') ?? NO_RANGES, 0, last)),
        );
        delaysMs.push(performance.now() - startedMs);
      }
      await eventually('everything is committed', () => done(workers.a) && done(workers.b), 60_000);
      clearInterval(sampler);
      const gen = genOf(run, size) as string;
      expect(delaysMs.length).toBeGreaterThan(0);
      // Each shard has committed the range of the hit. For the shard without the hit, an empty batch may wait for up to a second.
      expect(Math.max(...delaysMs)).toBeLessThan(4000);
      // The test itself keeps copies of the log in memory. The agent alone uses less than 100 MB.
      expect((rss - rssBefore) / 1024 ** 2).toBeLessThan(230);
      const dead = [...workers.a.dead].filter(([key]) => key.startsWith(gen)).map(([, letter]) => letter);
      expect(dead).toContainEqual({ off: start, reason: 'too-long', length, hash: hashOf(zeros) });
      expect(dead.filter(({ reason }) => reason === 'too-long')).toHaveLength(1);
      for (const [worker, offs] of [
        [workers.a, [...before.a, ...after.a.map((off) => off + start + length)]],
        [workers.b, [...before.b, ...after.b.map((off) => off + start + length)]],
      ] as const) {
        expect([...worker.events.keys()].filter((key) => key.startsWith(gen)).sort()).toEqual(offs.map((off) => `${gen} ${off}`).sort());
        expect(worker.repeated).toBe(0);
      }
      await run.stop();
    },
  );

  test('other files in the directory are reported, each with what it is, and not for ever', async () => {
    const setting = await setUp();
    const { path } = setting;
    const run = startAgent(setting);
    await writeFile(path('access.log.1.xz'), Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 1, 2, 3]));
    await writeFile(path('access.log.2.gz'), gzipSync(makeContent(9).text).subarray(0, 100));
    await utimes(path('access.log.2.gz'), 1, 1);
    await writeFile(path('a\u001b[31m.tmp'), '');
    const told = () => run.agent.degraded().map(({ code, about, what }) => `${code} ${about} ${/\((.*)\)$/.exec(what)?.[1]}`);
    await eventually('they are reported', () => told().length === 3);
    expect(told()).toEqual([
      'log-foreign a?[31m.tmp a temporary file',
      'log-foreign access.log.1.xz compressed with xz',
      'log-damaged access.log.2.gz gzip, incomplete or damaged',
    ]);
    for (let i = 0; i < 20; i++) await writeFile(path(`${i}.tmp`), '');
    await eventually('there are more', () => told().at(-1) === 'log-foreign 14 more files undefined');
    expect(told()).toHaveLength(10);
    for (const name of await readdir(setting.directory)) await rm(path(name));
    await eventually('nothing is reported', () => told().length === 0);
    await run.stop();
  });

  test('messages that are acked and not committed are sent again, exactly those', async () => {
    const setting = await setUp();
    const { path, workers } = setting;
    let dropped = 0;
    for (const worker of [workers.a, workers.b]) worker.drop = () => worker.batches % 3 === 1 && worker.batches < 20 && dropped++ >= 0;
    const content = makeContent(8_000);
    await writeFile(path('access.log'), content.text);
    const run = startAgent(setting);
    await untilCommitted(run, workers, [content]);
    expectOnce(run, workers, [content]);
    expect(dropped).toBeGreaterThan(5);
    expect([workers.a.repeated, workers.b.repeated]).toEqual([0, 0]);
    await run.stop();
  });

  test('a stream that was deleted with everything in it is filled again', async () => {
    const setting = await setUp({ held: true });
    const { path, workers, js } = setting;
    const content = makeContent(3_000);
    const size = Buffer.byteLength(content.text);
    await writeFile(path('access.log'), content.text);
    const run = startAgent(setting);
    await eventually('everything is published', () => {
      const gen = genOf(run, size);
      return gen !== undefined && ['a', 'b'].every((shard) => covers(run.shipper.coverage(gen, shard).inFlight, 0, size));
    });
    await eventually(
      'everything is stored',
      async () => (await js.streams.info(STREAM)).state.messages >= 2 * (3_000 / 2 / MAX_BATCH_EVENTS),
    );
    await js.streams.delete(STREAM);
    for (const { name } of shards.list) await ensureConsumer(js, name, { maxBytes: STREAM_MAX_BYTES, replicas: 1 });
    workers.a.held = workers.b.held = false;
    await untilCommitted(run, workers, [content]);
    expectOnce(run, workers, [content]);
    await run.stop();
  });

  test('what a restored database has forgotten is shipped again, and no more than that', async () => {
    const setting = await setUp();
    const { path, workers } = setting;
    const contents = [makeContent(2_000), makeContent(500), makeContent(10)];
    for (const [i, { text }] of contents.entries()) {
      await writeFile(path(i === 2 ? 'access.log' : `access.log.${2 - i}`), text);
    }
    const run = startAgent(setting);
    await untilCommitted(run, workers, contents);
    const gen = genOf(run, Buffer.byteLength((contents[0] as Content).text)) as string;
    const batches = workers.b.batches;
    const line = (contents[0] as Content).a[700] as number;
    workers.a.forget(gen, line, (contents[0] as Content).a[900] as number);
    await untilCommitted(run, workers, contents);
    expectOnce(run, workers, contents);
    expect(workers.a.repeated).toBe(0);
    expect(workers.b.batches).toBeLessThanOrEqual(batches + contents.length);
    await run.stop();
  });

  test('a reply of a former primary is not believed, also after a restart, and batches show the later epoch', async () => {
    const setting = await setUp();
    const { path, workers } = setting;
    const content = makeContent(300);
    const size = Buffer.byteLength(content.text);
    workers.a.epoch = workers.b.epoch = 5;
    let run = startAgent(setting);
    await writeFile(path('access.log'), content.text);
    await untilCommitted(run, workers, [content]);
    const gen = genOf(run, size) as string;
    workers.a.epoch = 6;
    await eventually('the later epoch is known', async () => (await run.ledgers.ask('a', [gen])) !== undefined);
    await run.stop();

    run = startAgent(setting);
    await eventually('the log is known again', () => genOf(run, size) !== undefined && run.agent.uncommittedBytes() !== undefined);
    workers.a.epoch = 5;
    expect(await run.ledgers.ask('a', [gen])).toBeUndefined();
    expect(await run.ledgers.ask('b', [gen])).toBeDefined();
    workers.a.epoch = 7;
    expect(await run.ledgers.ask('a', [gen])).toBeDefined();
    const more = makeContent(100);
    await appendFile(path('access.log'), more.text);
    await eventually('a batch shows the epoch', () => workers.a.shown === 7);
  });

  test.each(['its', 'no', 'an old', 'a foreign', 'a broken'])(
    'an agent that starts again with %s checkpoint doubles and loses nothing',
    async (which) => {
      const setting = await setUp({ held: true });
      const { path, workers, js, stateDir } = setting;
      const file = join(stateDir, 'checkpoint.json');
      const [first, second] = [makeContent(1500), makeContent(1500)];
      const all: Content = {
        text: first.text + second.text,
        a: [...first.a, ...second.a.map((off) => off + Buffer.byteLength(first.text))],
        b: [...first.b, ...second.b.map((off) => off + Buffer.byteLength(first.text))],
        dead: [...first.dead, ...second.dead.map((off) => off + Buffer.byteLength(first.text))],
        skipped: 0,
      };
      let run = startAgent(setting);
      const published = (size: number) => () => {
        const gen = genOf(run, size);
        return gen !== undefined && ['a', 'b'].every((shard) => covers(run.shipper.coverage(gen, shard).inFlight, 0, size));
      };
      await writeFile(path('access.log'), first.text);
      await eventually('the first half is published', published(Buffer.byteLength(first.text)));
      await eventually('a checkpoint is written', async () => (await readdir(stateDir)).includes('checkpoint.json'));
      await copyFile(file, `${file}.old`);
      await appendFile(path('access.log'), second.text);
      const size = Buffer.byteLength(all.text);
      await eventually('everything is published', published(size));
      await run.stop();
      if (which === 'no') await rm(file);
      if (which === 'an old') await rename(`${file}.old`, file);
      if (which === 'a foreign')
        await writeFile(file, (await readFile(file, 'utf8')).replace(/"incarnation":"[^"]*"/, '"incarnation":"before"'));
      if (which === 'a broken') await writeFile(file, '{"v":1,"incarn');
      const before = (await js.streams.info(STREAM)).state.messages;

      run = startAgent(setting);
      await eventually('the second run has everything in flight', published(size));
      const messages = async () => (await js.streams.info(STREAM)).state.messages;
      if (which === 'its') expect(await messages()).toBe(before);
      // The agent publishes again all ranges that it does not know to be in flight. The workers drop the repeated batches.
      else await eventually('some is published again', async () => (await messages()) > before);
      workers.a.held = workers.b.held = false;
      await untilCommitted(run, workers, [all]);
      expectOnce(run, workers, [all]);
      await run.stop();
    },
  );

  test('a state directory that cannot be written, and a ledger that is silent, only degrade it', async () => {
    const setting = await setUp();
    const { path, workers, stateDir } = setting;
    await writeFile(join(stateDir, 'file'), '');
    const run = startAgent({ ...setting, stateDir: join(stateDir, 'file', 'state') });
    const content = makeContent(300);
    await writeFile(path('access.log'), content.text);
    await untilCommitted(run, workers, [content]);
    expectOnce(run, workers, [content]);
    await eventually('it says so', () => codes(run).join() === 'state-unwritable');
    await run.stop();
  });

  test('a full stream is told, and filled again once there is room', async () => {
    const setting = await setUp({ held: true });
    const { path, workers, js } = setting;
    await js.streams.update(STREAM, { max_bytes: 2_000 });
    const run = startAgent(setting);
    const content = makeContent(300);
    await writeFile(path('access.log'), content.text);
    await eventually('it says so', () => run.publisher.failure() === 'stream-full');
    const lag = await run.agent.lag();
    expect(lag.map(({ shard, unshippedBytes }) => [shard, unshippedBytes])).toEqual(
      shards.list.map(({ name }) => [name, content.text.length]),
    );
    await js.streams.update(STREAM, { max_bytes: STREAM_MAX_BYTES });
    workers.a.held = workers.b.held = false;
    await untilCommitted(run, workers, [content]);
    expectOnce(run, workers, [content]);
    expect(run.publisher.failure()).toBeUndefined();
    await eventually('nothing is behind', async () =>
      (await run.agent.lag()).every(({ unshippedBytes, oldestMs }) => unshippedBytes === 0 && oldestMs === undefined),
    );
    await run.stop();
  });

  test('logs that cannot be read are told, and shipped once they can', async () => {
    const setting = await setUp();
    const { directory, workers } = setting;
    const content = makeContent(10);
    await rm(directory, { recursive: true });
    const run = startAgent(setting);
    await eventually('it says so', () => codes(run).includes('logs-unreadable'));
    await mkdir(directory);
    await writeFile(join(directory, 'access.log'), content.text);
    await untilCommitted(run, workers, [content]);
    await eventually('it is well again', () => codes(run).length === 0);
    await run.stop();
  });
});

describe('deleting logs', () => {
  async function released(): Promise<
    Setting & { run: AgentRun; deleteAt: (now: number) => Promise<void>; files: () => Promise<string[]> }
  > {
    const setting = await setUp();
    const { path, workers, directory } = setting;
    const contents = [makeContent(100), makeContent(101), makeContent(102), makeContent(103)];
    for (const [i, { text }] of contents.entries()) {
      const name = path(i === 3 ? 'access.log' : `access.log.${3 - i}`);
      await writeFile(name, text);
      await utimes(name, seconds - 100 + i, seconds - 100 + i);
    }
    const run = startAgent(setting);
    await untilCommitted(run, workers, contents);
    await eventually('two are settled', () => {
      const { generations } = run.follower;
      return generations.filter(({ id, size }) => ['a', 'b'].every((shard) => run.shipper.coverage(id, shard).settled(size))).length === 2;
    });
    const { follower, shipper, ledgers } = run;
    const generations = [...follower.generations];
    const deleteAt = (now: number) =>
      deleteCommitted({
        generations,
        shards: ['a', 'b'],
        shipper,
        ledgers,
        keepLogsMs: 1_000_000,
        log,
        metrics: createAgentMetrics(new Registry()),
        now: () => now,
      });
    const files = async () => (await readdir(directory)).sort();
    return { ...setting, run, deleteAt, files };
  }
  const all = ['access.log', 'access.log.1', 'access.log.2', 'access.log.3'];
  const oldestIsDue = (seconds - 100) * 1000 + 1_000_000;

  test('happens when they are old enough, and final', async () => {
    const { deleteAt, files, run } = await released();
    await deleteAt(oldestIsDue - 1);
    expect(await files()).toEqual(all);
    await deleteAt(oldestIsDue + 1);
    expect(await files()).toEqual(all.slice(0, 3));
    await deleteAt(oldestIsDue + 1e9);
    expect(await files()).toEqual(['access.log', 'access.log.1']);
    await run.stop();
  });

  test('does not happen while a shard has a hole, whatever was known before', async () => {
    const { deleteAt, files, run, workers } = await released();
    const [oldest] = run.follower.generations;
    // The agent is stopped, so its coverage does not show the next change of the ledgers. deleteCommitted must ask the ledgers again.
    await run.stop();
    const { id, size } = oldest as { id: string; size: number };
    workers.b.held = true;
    workers.b.forget(id, 0, 10);
    await expectKept();
    workers.b.committed.set(id, [[0, size]]);
    workers.b.sizes.delete(id);
    await expectKept();
    workers.b.sizes.set(id, size);
    workers.b.committed.delete(id);
    await expectKept();
    workers.b.committed.set(id, [[0, size]]);
    workers.b.silent = true;
    await expectKept();
    workers.b.silent = false;
    await deleteAt(oldestIsDue + 1);
    expect(await files()).toEqual(all.slice(0, 3));

    async function expectKept(): Promise<void> {
      await deleteAt(oldestIsDue + 1);
      expect(await files()).toEqual(all);
    }
  });

  test('takes only what the name still stands for', async () => {
    const { deleteAt, files, run, path } = await released();
    await run.stop();
    await rm(path('access.log.3'));
    await rename(path('access.log.1'), path('access.log.3'));
    await deleteAt(oldestIsDue + 1e9);
    expect(await files()).toEqual(['access.log', 'access.log.3']);
  });

  test('goes on where something cannot be deleted', async () => {
    const { deleteAt, files, run, path } = await released();
    await run.stop();
    await rm(path('access.log.3'));
    await mkdir(path('access.log.3'));
    await deleteAt(oldestIsDue + 1e9);
    expect(await files()).toEqual(['access.log', 'access.log.1', 'access.log.3']);
  });
});
