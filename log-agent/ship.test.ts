import { randomBytes } from 'node:crypto';
import { appendFile, copyFile, mkdir, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jetstream, type JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { Registry } from 'prom-client';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  type Batch,
  type DeadLetter,
  decodeBatch,
  type Event,
  type LedgerReply,
  MAX_BATCH_BYTES,
  parseLedgerRequest,
} from '../core/event.ts';
import { createLogger } from '../core/log.ts';
import { createJetStreamManager } from '../core/nats.ts';
import { covers, NO_RANGES, type Ranges, subtract, touches, union } from '../core/ranges.ts';
import { parseShards } from '../core/shards.ts';
import { tagOf } from '../core/slug.ts';
import { consumerName, LEDGER_API, ledgerSubject, STREAM } from '../core/subjects.ts';
import { ensureConsumer } from '../event-worker/ensure-consumer.ts';
import { logLine } from '../test/support/log-lines.ts';
import { eventually, natsConnection, startTestNats, temporaryDirectory } from '../test/support/servers.ts';
import { type Agent, createAgent } from './agent.ts';
import { MAX_BATCH_EVENTS } from './batch.ts';
import { createLedgers, type Ledgers } from './ledger-client.ts';
import { createEnricher } from './enrich.ts';
import { Follower } from './follow.ts';
import { createAgentMetrics } from './metrics.ts';
import { createPublisher, type Publisher } from './publish.ts';
import { deleteReleased } from './delete-committed.ts';
import { createSalts } from './salt.ts';
import { createShipper, type Shipper } from './ship.ts';

const shards = parseShards('a=00=postgres://127.0.0.1/a,b=V0=postgres://127.0.0.1/b');
const log = createLogger('test', 'silent');
const enricher = await createEnricher({ mmdbPath: '', networks: [], site: 'test' });
const STREAM_MAX_BYTES = 512 * 1024 * 1024;

/** The other end: what a worker and its database do for one shard, in memory. */
class Worker {
  readonly shard: string;
  readonly committed = new Map<string, Ranges>();
  readonly sizes = new Map<string, number>();
  /** By generation and offset. */
  events = new Map<string, Event>();
  dead = new Map<string, DeadLetter>();
  skipped: Record<string, number> = {};
  batches = 0;
  repeated = 0;
  largestBytes = 0;
  largestEvents = 0;
  held = false;
  silent = false;
  /** Acked, and forgotten. */
  drop: (batch: Batch) => boolean = () => false;

  constructor(shard: string) {
    this.shard = shard;
  }

  take(payload: Uint8Array): void {
    const batch = decodeBatch(payload);
    this.batches++;
    this.largestBytes = Math.max(this.largestBytes, payload.length);
    this.largestEvents = Math.max(this.largestEvents, batch.events.length + batch.dead.length);
    expect(batch).toMatchObject({ shard: this.shard, shards: shards.fingerprint });
    if (this.drop(batch)) return;
    const { gen, from, to } = batch;
    const before = this.committed.get(gen) ?? NO_RANGES;
    if (touches(before, from, to)) {
      this.repeated++;
      return;
    }
    for (const event of batch.events) this.events.set(`${gen} ${event.off}`, event);
    for (const letter of batch.dead) this.dead.set(`${gen} ${letter.off}`, letter);
    for (const [reason, count] of Object.entries(batch.skipped)) this.skipped[reason] = (this.skipped[reason] ?? 0) + count;
    this.committed.set(gen, union(before, [[from, to]]));
    if (batch.size !== undefined) this.sizes.set(gen, Math.max(batch.size, this.sizes.get(gen) ?? 0));
  }

  /** As if the database had been restored from before these bytes. */
  forget(gen: string, from: number, to: number): void {
    this.committed.set(gen, subtract(this.committed.get(gen) ?? NO_RANGES, [[from, to]]));
    for (const kept of [this.events, this.dead]) {
      for (const key of kept.keys()) {
        const [of, off] = key.split(' ');
        if (of === gen && Number(off) >= from && Number(off) < to) kept.delete(key);
      }
    }
  }

  answer(question: string): string {
    const answer: LedgerReply = { shards: shards.fingerprint, gens: {} };
    for (const gen of parseLedgerRequest(question).gens) {
      const ranges = this.committed.get(gen);
      if (ranges) answer.gens[gen] = { committed: ranges.map(([from, to]) => [from, to]), size: this.sizes.get(gen) ?? null };
    }
    return JSON.stringify(answer);
  }

  async run(connection: NatsConnection, js: JetStreamManager, signal: AbortSignal): Promise<void> {
    connection.subscribe(ledgerSubject(this.shard), {
      callback: (_, message) => {
        if (!this.silent) message.respond(this.answer(message.string()));
      },
    });
    while (!signal.aborted) {
      try {
        if (this.held) await new Promise((resolve) => setTimeout(resolve, 10));
        else {
          await ensureConsumer(js, this.shard, STREAM_MAX_BYTES);
          const consumer = await jetstream(connection).consumers.get(STREAM, consumerName(this.shard));
          for await (const message of await consumer.fetch({ max_messages: 20, expires: 1000 })) {
            this.take(message.data);
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
  /** The agent's, and what it sees of JetStream; `js` may do anything there. */
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
  for (const { name } of shards.list) await ensureConsumer(js, name, STREAM_MAX_BYTES);
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

interface Life {
  agent: Agent;
  shipper: Shipper;
  publisher: Publisher;
  follower: Follower;
  ledgers: Ledgers;
  /** Ends it in good order. */
  stop: () => Promise<void>;
}

/** One life of an agent. */
function start({ connection, agentJs, directory, stateDir }: Setting, options: { windowBytes?: number; now?: () => number } = {}): Life {
  const metrics = createAgentMetrics(new Registry());
  const follower = new Follower({ directory, quietMs: 0 });
  const publisher = createPublisher(connection, log, metrics);
  const { windowBytes = 64 * 1024 * 1024, now = Date.now } = options;
  const shipper = createShipper({ shards, enricher, salts: createSalts(connection, log, metrics), publisher, metrics, windowBytes, now });
  const ledgers = createLedgers({ connection, manager: agentJs, shards, log });
  const agent = createAgent({ follower, shipper, ledgers, publisher, shards, metrics, log, stateDir, pollMs: 20, keepLogsMs: 1e12 });
  const ended = new AbortController();
  const running = agent.run(ended.signal);
  const stop = async () => {
    ended.abort();
    await running;
  };
  onTestFinished(stop);
  return { agent, shipper, publisher, follower, ledgers, stop };
}

const codes = (life: Life): string[] => life.agent.degraded().map(({ code }) => code);

/** What is in a log, as the one who wrote it knows it. */
interface Content {
  text: string;
  /** Offsets of hits by shard. */
  a: number[];
  b: number[];
  dead: number[];
  skipped: number;
}

const seconds = Math.floor(Date.now() / 1000);
let contentsMade = 0;
const slug = (tag: string): string => tag + randomBytes(12).toString('hex').slice(0, 17);

/** Hits for both shards, with everything else a log can have between them. */
function makeContent(count: number, ua: string = 'Mozilla/5.0'): Content {
  const content: Content = { text: '', a: [], b: [], dead: [], skipped: 0 };
  // Each log is younger than the one made before it.
  const t = seconds - 1000 + contentsMade++;
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
      add(logLine({ t, ua, u: '/u/black-friday', link: `${i + 1}.1` }));
    } else {
      const [list, tag] = i % 2 === 0 ? [content.a, 'Uz'] : [content.b, 'V0'];
      list.push(off);
      add(logLine({ t, ua, ref: ua, ...(i % 3 === 0 ? { u: `/r/${slug(tag)}.gif`, s: 200 } : { u: `/u/${slug(tag)}` }) }));
    }
  }
  return content;
}

const genOf = (life: Life, size: number): string | undefined =>
  life.follower.generations.find((generation) => generation.size === size)?.id;

async function untilCommitted(life: Life, workers: Setting['workers'], contents: Content[]): Promise<void> {
  for (const { text } of contents) {
    const size = Buffer.byteLength(text);
    await eventually(`${size} bytes are committed on both shards`, () => {
      const gen = genOf(life, size) ?? '';
      return [workers.a, workers.b].every((worker) => covers(worker.committed.get(gen) ?? NO_RANGES, 0, size));
    });
  }
}

function expectOnce(life: Life, workers: Setting['workers'], contents: Content[]): void {
  const keys = (offsOf: (content: Content) => number[]) =>
    contents.flatMap((content) => offsOf(content).map((off) => `${genOf(life, Buffer.byteLength(content.text))} ${off}`)).sort();
  expect([...workers.a.events.keys()].sort()).toEqual(keys(({ a }) => a));
  expect([...workers.b.events.keys()].sort()).toEqual(keys(({ b }) => b));
  expect([...workers.a.dead.keys()].sort()).toEqual(keys(({ dead }) => dead));
  expect(workers.b.dead.size).toBe(0);
}

describe('shipping a log', () => {
  test('every hit arrives once on its shard, across rotations, and nothing is sent twice', async () => {
    const setting = await setUp();
    const { path, workers } = setting;
    const life = start(setting);
    const contents = [2000, 1501, 1002, 3].map((count) => makeContent(count));
    for (const [i, content] of contents.entries()) {
      if (i > 0) await rename(path('access.log'), path(`access.log.${i}`));
      const bytes = Buffer.from(content.text);
      for (let at = 0; at < bytes.length; at += 50_000) {
        await appendFile(path('access.log'), bytes.subarray(at, at + 50_000));
        await eventually('the agent has seen it', () =>
          life.follower.generations.some(({ size }) => size === Math.min(bytes.length, at + 50_000)),
        );
      }
    }
    await untilCommitted(life, workers, contents);
    expectOnce(life, workers, contents);
    expect(workers.a.skipped).toEqual({ 'not-served': contents.reduce((sum, { skipped }) => sum + skipped, 0) });
    expect(workers.b.skipped).toEqual({});
    expect([workers.a.repeated, workers.b.repeated]).toEqual([0, 0]);

    // The two oldest are final: their size is on record, on both shards, and that of no other.
    const final = new Map(contents.slice(0, 2).map(({ text }) => [genOf(life, text.length), text.length]));
    for (const worker of [workers.a, workers.b]) {
      await eventually('sizes are recorded', () => worker.sizes.size === 2);
      expect(worker.sizes).toEqual(final);
    }
    await life.stop();
  });

  test('no batch is larger than 512 KiB or has more than 500 lines', async () => {
    const setting = await setUp();
    const { path, workers } = setting;
    const contents = [
      makeContent(1300),
      makeContent(50, '\u0001'.repeat(8000)),
      makeContent(400, '\u0001'.repeat(600)),
      makeContent(500, '\u20ac'.repeat(600)),
    ];
    for (const [i, { text }] of contents.entries()) await writeFile(path(`access.log.${i}`), text);
    // As long as the clock stands still, no batch is sent because it has waited for company.
    let still = true;
    const life = start(setting, { now: () => (still ? 0 : Date.now()) });
    for (const worker of [workers.a, workers.b])
      await eventually(
        'batches are full by either measure',
        () => worker.largestBytes > MAX_BATCH_BYTES * 0.9 && worker.largestEvents >= MAX_BATCH_EVENTS,
      );
    still = false;
    await untilCommitted(life, workers, contents);
    expectOnce(life, workers, contents);
    for (const { largestBytes, largestEvents } of [workers.a, workers.b]) {
      expect(largestBytes).toBeLessThanOrEqual(MAX_BATCH_BYTES);
      expect(largestEvents).toBe(MAX_BATCH_EVENTS);
    }
    await life.stop();
  });

  test('a shard that confirms nothing stops at its window, and gets the rest later', async () => {
    const setting = await setUp({ held: true });
    const { path, workers } = setting;
    workers.a.held = false;
    const content = makeContent(8_000);
    const size = Buffer.byteLength(content.text);
    // What one read gives at the most; the window is only looked at before.
    const chunk = 512 * 1024;
    const windowBytes = 64 * 1024;
    expect(size).toBeGreaterThan(2 * chunk);
    await writeFile(path('access.log'), content.text);
    const life = start(setting, { windowBytes });
    await eventually('the other shard has everything', () =>
      covers(workers.a.committed.get(genOf(life, size) ?? '') ?? NO_RANGES, 0, size),
    );
    const gen = genOf(life, size) as string;
    const { unconfirmedBytes } = life.shipper.coverage(gen, 'b');
    expect(unconfirmedBytes).toBeGreaterThan(0);
    expect(unconfirmedBytes).toBeLessThanOrEqual(windowBytes + chunk);
    workers.b.held = false;
    await untilCommitted(life, workers, [content]);
    expectOnce(life, workers, [content]);
    expect(workers.b.repeated).toBe(0);
    await life.stop();
  });

  test('messages that are acked and not committed are sent again, exactly those', async () => {
    const setting = await setUp();
    const { path, workers } = setting;
    let dropped = 0;
    for (const worker of [workers.a, workers.b]) worker.drop = () => worker.batches % 3 === 1 && worker.batches < 20 && dropped++ >= 0;
    const content = makeContent(8_000);
    await writeFile(path('access.log'), content.text);
    const life = start(setting);
    await untilCommitted(life, workers, [content]);
    expectOnce(life, workers, [content]);
    expect(dropped).toBeGreaterThan(5);
    expect([workers.a.repeated, workers.b.repeated]).toEqual([0, 0]);
    await life.stop();
  });

  test('a stream that was deleted with everything in it is filled again', async () => {
    const setting = await setUp({ held: true });
    const { path, workers, js } = setting;
    const content = makeContent(3_000);
    const size = Buffer.byteLength(content.text);
    await writeFile(path('access.log'), content.text);
    const life = start(setting);
    await eventually('everything is published', () => {
      const gen = genOf(life, size);
      return gen !== undefined && ['a', 'b'].every((shard) => covers(life.shipper.coverage(gen, shard).inFlight, 0, size));
    });
    await eventually(
      'everything is stored',
      async () => (await js.streams.info(STREAM)).state.messages >= 2 * (3_000 / 2 / MAX_BATCH_EVENTS),
    );
    await js.streams.delete(STREAM);
    for (const { name } of shards.list) await ensureConsumer(js, name, STREAM_MAX_BYTES);
    workers.a.held = workers.b.held = false;
    await untilCommitted(life, workers, [content]);
    expectOnce(life, workers, [content]);
    await life.stop();
  });

  test('what a restored database has forgotten is shipped again, and no more than that', async () => {
    const setting = await setUp();
    const { path, workers } = setting;
    const contents = [makeContent(2_000), makeContent(500), makeContent(10)];
    for (const [i, { text }] of contents.entries()) {
      await writeFile(path(i === 2 ? 'access.log' : `access.log.${2 - i}`), text);
    }
    const life = start(setting);
    await untilCommitted(life, workers, contents);
    const gen = genOf(life, Buffer.byteLength((contents[0] as Content).text)) as string;
    const batches = workers.b.batches;
    const line = (contents[0] as Content).a[700] as number;
    workers.a.forget(gen, line, (contents[0] as Content).a[900] as number);
    await untilCommitted(life, workers, contents);
    expectOnce(life, workers, contents);
    expect(workers.a.repeated).toBe(0);
    expect(workers.b.batches).toBeLessThanOrEqual(batches + contents.length);
    await life.stop();
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
      let life = start(setting);
      const published = (size: number) => () => {
        const gen = genOf(life, size);
        return gen !== undefined && ['a', 'b'].every((shard) => covers(life.shipper.coverage(gen, shard).inFlight, 0, size));
      };
      await writeFile(path('access.log'), first.text);
      await eventually('the first half is published', published(Buffer.byteLength(first.text)));
      await eventually('a checkpoint is written', async () => (await readdir(stateDir)).includes('checkpoint.json'));
      await copyFile(file, `${file}.old`);
      await appendFile(path('access.log'), second.text);
      const size = Buffer.byteLength(all.text);
      await eventually('everything is published', published(size));
      await life.stop();
      if (which === 'no') await rm(file);
      if (which === 'an old') await rename(`${file}.old`, file);
      if (which === 'a foreign')
        await writeFile(file, (await readFile(file, 'utf8')).replace(/"incarnation":"[^"]*"/, '"incarnation":"before"'));
      if (which === 'a broken') await writeFile(file, '{"v":1,"incarn');
      const before = (await js.streams.info(STREAM)).state.messages;

      life = start(setting);
      await eventually('the second life has taken everything up', published(size));
      const messages = async () => (await js.streams.info(STREAM)).state.messages;
      if (which === 'its') expect(await messages()).toBe(before);
      // What is not known to be on its way is published again; the workers drop it.
      else await eventually('some is published again', async () => (await messages()) > before);
      workers.a.held = workers.b.held = false;
      await untilCommitted(life, workers, [all]);
      expectOnce(life, workers, [all]);
      await life.stop();
    },
  );

  test('a state directory that cannot be written, and a ledger that is silent, only degrade it', async () => {
    const setting = await setUp();
    const { path, workers, stateDir } = setting;
    await writeFile(join(stateDir, 'file'), '');
    const life = start({ ...setting, stateDir: join(stateDir, 'file', 'state') });
    const content = makeContent(300);
    await writeFile(path('access.log'), content.text);
    await untilCommitted(life, workers, [content]);
    expectOnce(life, workers, [content]);
    await eventually('it says so', () => codes(life).join() === 'state-unwritable');
    await life.stop();
  });

  test('a full stream is told, and filled again once there is room', async () => {
    const setting = await setUp({ held: true });
    const { path, workers, js } = setting;
    await js.streams.update(STREAM, { max_bytes: 2_000 });
    const life = start(setting);
    const content = makeContent(300);
    await writeFile(path('access.log'), content.text);
    await eventually('it says so', () => life.publisher.refused() === 'stream-full');
    const lag = await life.agent.lag();
    expect(lag.map(({ shard, unshippedBytes }) => [shard, unshippedBytes])).toEqual(
      shards.list.map(({ name }) => [name, content.text.length]),
    );
    await js.streams.update(STREAM, { max_bytes: STREAM_MAX_BYTES });
    workers.a.held = workers.b.held = false;
    await untilCommitted(life, workers, [content]);
    expectOnce(life, workers, [content]);
    expect(life.publisher.refused()).toBeUndefined();
    await eventually('nothing is behind', async () =>
      (await life.agent.lag()).every(({ unshippedBytes, oldestMs }) => unshippedBytes === 0 && oldestMs === undefined),
    );
    await life.stop();
  });

  test('logs that cannot be read are told, and shipped once they can', async () => {
    const setting = await setUp();
    const { directory, workers } = setting;
    const content = makeContent(10);
    await rm(directory, { recursive: true });
    const life = start(setting);
    await eventually('it says so', () => codes(life).includes('logs-unreadable'));
    await mkdir(directory);
    await writeFile(join(directory, 'access.log'), content.text);
    await untilCommitted(life, workers, [content]);
    await eventually('it is well again', () => codes(life).length === 0);
    await life.stop();
  });
});

describe('deleting logs', () => {
  async function released(): Promise<Setting & { life: Life; deleteAt: (now: number) => Promise<void>; files: () => Promise<string[]> }> {
    const setting = await setUp();
    const { path, workers, directory } = setting;
    const contents = [makeContent(100), makeContent(101), makeContent(102), makeContent(103)];
    for (const [i, { text }] of contents.entries()) {
      const name = path(i === 3 ? 'access.log' : `access.log.${3 - i}`);
      await writeFile(name, text);
      await utimes(name, seconds - 100 + i, seconds - 100 + i);
    }
    const life = start(setting);
    await untilCommitted(life, workers, contents);
    await eventually('two are settled', () => {
      const { generations } = life.follower;
      return generations.filter(({ id, size }) => ['a', 'b'].every((shard) => life.shipper.coverage(id, shard).settled(size))).length === 2;
    });
    const { follower, shipper, ledgers } = life;
    const generations = [...follower.generations];
    const deleteAt = (now: number) =>
      deleteReleased({
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
    return { ...setting, life, deleteAt, files };
  }
  const all = ['access.log', 'access.log.1', 'access.log.2', 'access.log.3'];
  const oldestIsDue = (seconds - 100) * 1000 + 1_000_000;

  test('happens when they are old enough, and final', async () => {
    const { deleteAt, files, life } = await released();
    await deleteAt(oldestIsDue - 1);
    expect(await files()).toEqual(all);
    await deleteAt(oldestIsDue + 1);
    expect(await files()).toEqual(all.slice(0, 3));
    await deleteAt(oldestIsDue + 1e9);
    expect(await files()).toEqual(['access.log', 'access.log.1']);
    await life.stop();
  });

  test('does not happen while a shard has a hole, whatever was known before', async () => {
    const { deleteAt, files, life, workers } = await released();
    const [oldest] = life.follower.generations;
    // The agent is at rest: it asks again just before it deletes.
    await life.stop();
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
    const { deleteAt, files, life, path } = await released();
    await life.stop();
    await rm(path('access.log.3'));
    await rename(path('access.log.1'), path('access.log.3'));
    await deleteAt(oldestIsDue + 1e9);
    expect(await files()).toEqual(['access.log', 'access.log.3']);
  });

  test('goes on where something cannot be deleted', async () => {
    const { deleteAt, files, life, path } = await released();
    await life.stop();
    await rm(path('access.log.3'));
    await mkdir(path('access.log.3'));
    await deleteAt(oldestIsDue + 1e9);
    expect(await files()).toEqual(['access.log', 'access.log.1', 'access.log.3']);
  });
});
