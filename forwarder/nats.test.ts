import { randomUUID } from 'node:crypto';
import { cp, rm } from 'node:fs/promises';
import { type AddressInfo, connect as netConnect, createServer, type Socket } from 'node:net';
import { jetstream, type JetStreamClient, jetstreamManager, type JetStreamManager, type StreamConfig } from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createPool, type Pool } from '../core/postgres.ts';
import { type Ranges, union } from '../core/ranges.ts';
import { createDue, type Ledger } from '../feed/due.ts';
import { type FeedEvent, identityOf, type Item } from '../feed/event.ts';
import type { ChangePosition, Reading } from '../feed/read-events.ts';
import { type Slice, slicesOf } from '../feed/slices.ts';
import type { Subscription } from '../feed/subscription.ts';
import { createRandom } from '../test/chaos/random.ts';
import { runs } from '../test/support/runs.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { eventually, natsConnection, startTestNats, type TestNats } from '../test/support/servers.ts';
import { createNatsReceiver } from './nats.ts';
import { parseLedger } from './nats-ledger.ts';
import { DeliveryError, type Receiver } from './receiver.ts';

let databases: Databases;
let catalog: Pool;

beforeAll(async () => {
  databases = await createDatabases();
  catalog = createPool(databases.roleUrls.forwarder, { max: 2, name: 'test' });
}, 60_000);
afterAll(() => catalog?.end());

/** Adds a subscription to the catalog, so that its report can be stored. */
async function addSubscription(target: string, name = `s${randomUUID().slice(0, 8)}`): Promise<Subscription> {
  const [row] = await databases.query<{ id: number; identity: string }>(
    'catalog',
    `INSERT INTO catalog.subscription (name, target, kinds, wait_seconds, batch) VALUES ($1, $2, '{click}', 0, 500) RETURNING id::int, identity`,
    [name, target],
  );
  const filter = { kinds: ['click'] as const, campaigns: null, verdicts: null, since: null, waitMs: 0 };
  return {
    id: row?.id as number,
    identity: row?.identity as string,
    name,
    target,
    secrets: [],
    filter,
    batch: 500,
    withAddresses: false,
    pausedAt: null,
  };
}

const setDelivered = (subscription: Subscription, delivered: number) =>
  databases.query(
    'catalog',
    `INSERT INTO catalog.subscription_report (subscription_id, shard, reported_at, delivered, due_bytes, lag_seconds) VALUES ($1, 'a', now(), $2, 0, 0)
     ON CONFLICT (subscription_id, shard) DO UPDATE SET delivered = excluded.delivered`,
    [subscription.id, delivered],
  );

const LINE_BYTES = 300;

/** A shard in memory: events of some generations, and changes of their verdicts. */
interface Source {
  readonly events: Map<string, FeedEvent>;
  add(count: number): void;
  changeVerdict(): void;
  readonly committed: Map<string, Ranges>;
  readonly changes: { id: number; micros: number; was: string; becomes: string; identity: string }[];
}

function createSource(pick: (n: number) => number = () => 0, generations = 3): Source {
  const gens = Array.from({ length: generations }, (): string => randomUUID());
  const next = new Map(gens.map((gen) => [gen, 0]));
  const events = new Map<string, FeedEvent>();
  const committed = new Map<string, Ranges>();
  const changes: Source['changes'] = [];
  return {
    events,
    committed,
    changes,
    add(count) {
      for (let i = 0; i < count; i++) {
        const gen = gens[pick(gens.length)] as string;
        const off = next.get(gen) as number;
        next.set(gen, off + LINE_BYTES);
        // Some lines are no events of this subscription.
        if (pick(5) !== 4) events.set(`${gen}:${off}`, eventAt(gen, off));
        committed.set(gen, union(committed.get(gen) ?? [], [[off, off + LINE_BYTES]]));
      }
    },
    changeVerdict() {
      const identity = [...events.keys()][pick(events.size)];
      if (identity === undefined) return;
      const event = events.get(identity) as FeedEvent;
      const becomes = event.verdict === 'human' ? 'machine' : 'human';
      const id = changes.length + 1;
      changes.push({ id, micros: 1_700_000_000_000_000 + id, was: event.verdict as string, becomes, identity });
      events.set(identity, { ...event, verdict: becomes });
    },
  };
}

const eventAt = (gen: string, off: number): FeedEvent => ({
  gen,
  off,
  kind: off % 7 === 0 ? 'open' : 'click',
  at: 1_700_000_000_000 + off,
  campaign_id: 1,
  link_id: 2,
  link_version: 1,
  recipient_id: 3,
  visitor: '4',
  country: 'DE',
  net: null,
  referrer: null,
  client: 'Firefox',
  client_version: '140',
  system: 'Linux',
  device: 'desktop',
  verdict: 'human',
  signals: '',
  rules: 1,
  request_id: '00112233-4455-6677-8899-aabbccddeeff',
  site: null,
});

/** A forwarder as deliverShard is one, but step by step. */
interface Stepper {
  /** Reads the ledger, if it is not known, and what is due. Returns the slices. */
  slices(most?: number): Promise<Slice[]>;
  deliver(slice: Slice): Promise<void>;
  /** Delivers everything that is due. Conflicts make it read again. */
  drain(): Promise<void>;
  readonly receiver: Receiver;
}

function createStepper(source: Source, receiver: Receiver): Stepper {
  let known: { ledger: Ledger; position: ChangePosition } | undefined;
  const read = async () => {
    known ??= await receiver.read('a');
    const due = createDue(new Map(), known.ledger);
    for (const [gen, ranges] of source.committed) due.setReady(gen, ranges);
    const ranges = due.take(1e9);
    const position = known.position;
    const changes = source.changes
      .filter(({ id, identity }) => {
        const [gen, off] = identity.split(':') as [string, string];
        return id > position.id && due.wasDelivered(gen, Number(off));
      })
      .map(({ micros, was, becomes, identity }): Item => {
        const event = source.events.get(identity) as FeedEvent;
        return { event, change: { changedAt: micros, was, becomes } };
      });
    const last = source.changes.at(-1);
    const events = ranges.flatMap(({ gen, range: [from, to] }) =>
      Array.from({ length: Math.ceil(to / LINE_BYTES) }, (_, i) => i * LINE_BYTES)
        .filter((off) => off >= from)
        .flatMap((off): Item[] => {
          const event = source.events.get(`${gen}:${off}`);
          return event === undefined ? [] : [{ event }];
        }),
    );
    const reading: Reading = {
      changes,
      position: last === undefined || last.id <= position.id ? position : { id: last.id, changedAt: String(last.micros) },
      events,
      ranges,
      areChangesLeft: false,
      isLacking: false,
    };
    return { reading, position };
  };
  const stepper: Stepper = {
    receiver,
    async slices(most = 50) {
      const { reading, position } = await read();
      return [...slicesOf(reading, position, most)];
    },
    async deliver(slice) {
      const before = known as NonNullable<typeof known>;
      known = undefined;
      await receiver.deliver('a', slice);
      const ledger = new Map(before.ledger);
      for (const { gen, range } of slice.ranges) ledger.set(gen, union(ledger.get(gen) ?? [], [range]));
      known = { ledger, position: slice.position ?? before.position };
    },
    async drain() {
      known = undefined;
      for (let failures = 0; ; ) {
        try {
          const slices = await stepper.slices();
          if (slices.length === 0) return;
          for (const slice of slices) await stepper.deliver(slice);
          // As the forwarder does it every 30 s.
          known = undefined;
        } catch (error) {
          if (!(error instanceof DeliveryError) || error.failure === 'gone' || ++failures > 40) throw error;
          known = undefined;
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      }
    },
  };
  return stepper;
}

interface Stored {
  seq: number;
  subject: string;
  id: string;
  body: Record<string, unknown>;
}

interface World {
  nats: TestNats;
  subscription: Subscription;
  jsm: JetStreamManager;
  forwarder: (source: Source, port?: number) => Stepper;
  /** All messages in the stream, except ledgers. */
  stored: () => Promise<Stored[]>;
  createStream: (config?: Partial<StreamConfig>) => Promise<void>;
}

async function startWorld(options: { query?: string; config?: Partial<StreamConfig> } = {}): Promise<World> {
  const nats = await startTestNats();
  const target = `${nats.url}/out?stream=OUT${options.query ?? ''}`;
  const subscription = await addSubscription(target);
  const connection = await natsConnection(nats.url);
  onTestFinished(() => connection.close());
  const jsm = await jetstreamManager(connection, { checkAPI: false });
  const createStream = async (config: Partial<StreamConfig> = {}) => {
    await jsm.streams.add({
      name: 'OUT',
      subjects: ['out.>'],
      allow_rollup_hdrs: true,
      // So short that it never helps.
      duplicate_window: nanos(100),
      ...config,
    });
  };
  if (options.query === undefined) await createStream(options.config);
  return {
    nats,
    subscription,
    jsm,
    createStream,
    forwarder(source, port) {
      const url = new URL(target);
      if (port !== undefined) url.port = String(port);
      const receiver = createNatsReceiver({
        subscription: { ...subscription, target: url.toString() },
        catalog,
        natsCaFile: '',
        timeoutMs: 500,
      });
      onTestFinished(() => receiver.close());
      return createStepper(source, receiver);
    },
    async stored() {
      // A new connection, because NATS may have been killed since the last one.
      const reader = await natsConnection(nats.url);
      try {
        return await readAll(jetstream(reader));
      } finally {
        await reader.close();
      }
    },
  };
}

/** A proxy in front of NATS. It can hold back what a client sends. */
async function startProxy(target: number): Promise<{ port: number; hold(): void; heldBytes(): number; release(): void }> {
  const sockets = new Set<Socket>();
  let held: { to: Socket; chunk: Buffer }[] | undefined;
  const server = createServer((client) => {
    const upstream = netConnect(target, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
    client.on('data', (chunk) => (held === undefined ? void upstream.write(chunk) : void held.push({ to: upstream, chunk })));
    upstream.pipe(client);
    client.on('close', () => upstream.end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    hold: () => (held ??= []),
    heldBytes: () => held?.reduce((sum, { chunk }) => sum + chunk.length, 0) ?? 0,
    release() {
      const chunks = held ?? [];
      held = undefined;
      for (const { to, chunk } of chunks) to.write(chunk);
    },
  };
}

async function readAll(js: JetStreamClient): Promise<Stored[]> {
  const consumer = await js.consumers.get('OUT', { filter_subjects: 'out.a.*.*' });
  const { num_pending } = await consumer.info(true);
  const found: Stored[] = [];
  if (num_pending === 0) return found;
  for await (const message of await consumer.consume()) {
    found.push({ seq: message.seq, subject: message.subject, id: message.headers?.get('Nats-Msg-Id') ?? '', body: message.json() });
    if (found.length === num_pending) break;
  }
  return found;
}

const idsOf = (stored: readonly Stored[]): string[] => stored.map(({ body }) => body['id'] as string).toSorted();
const eventIdsOf = (stored: readonly Stored[]): string[] => idsOf(stored.filter(({ body }) => body['type'] !== 'verdict.changed'));
const wanted = (source: Source): string[] => [...source.events.keys()].toSorted();

/** The verdict of each event, as somebody sees it who reads the stream from its beginning. */
function verdictsOf(stored: readonly Stored[]): Map<string, unknown> {
  const verdicts = new Map<string, unknown>();
  for (const { body } of stored.toSorted((a, b) => a.seq - b.seq))
    verdicts.set((body['event_id'] ?? body['id']) as string, body['verdict']);
  return verdicts;
}

test('each event is one message, with its subject and id, and other shards and subscriptions do not disturb', {
  timeout: 60_000,
}, async () => {
  const { forwarder, stored, subscription, jsm } = await startWorld();
  const source = createSource((n) => Math.floor(Math.random() * n));
  source.add(300);
  const first = forwarder(source);
  await first.drain();
  const messages = await stored();
  expect(idsOf(messages)).toEqual(wanted(source));
  for (const { subject, id, body } of messages) {
    expect(subject).toMatch(new RegExp(`^out\\.a\\.${body['type'] as string}\\.\\d\\d$`));
    expect(id).toBe(`${subscription.identity}:${body['id'] as string}`);
    expect(body).toMatchObject({ shard: 'a', verdict: 'human', signals: [] });
  }
  // A second subscription of the same events, in the same stream.
  const other = await addSubscription(subscription.target.replace('/out?', '/out.again?'));
  const receiver = createNatsReceiver({ subscription: other, catalog, natsCaFile: '', timeoutMs: 500 });
  await createStepper(source, receiver).drain();
  await receiver.close();
  expect((await jsm.streams.info('OUT', { subjects_filter: 'out.again.a.*.*' })).state.subjects).toSatisfy(
    (subjects: Record<string, number>) => Object.values(subjects).reduce((a, b) => a + b, 0) === source.events.size,
  );
  // Another forwarder, and nothing new.
  await forwarder(source).drain();
  expect(idsOf(await stored())).toEqual(wanted(source));
  // The ledgers replace one another. The first message stays.
  expect((await jsm.streams.getMessage('OUT', { seq: 1 }))?.subject).toBe('out._begin');
  const last = await jsm.streams.getMessage('OUT', { last_by_subj: 'out.a._ledger' });
  expect(parseLedger(last?.data as Uint8Array)).toMatchObject({ subscription: subscription.identity });
});

describe('a second forwarder', () => {
  test('takes over in the middle of a slice, and the first one, which was frozen, changes nothing', { timeout: 60_000 }, async () => {
    const { forwarder, stored } = await startWorld();
    const source = createSource((n) => Math.floor(Math.random() * n));
    source.add(400);
    const frozen = forwarder(source);
    const slices = await frozen.slices(100);
    await frozen.deliver(slices[0] as Slice);
    // It has read the next slice. Now another forwarder delivers some of the same events, in slices of another size.
    const second = forwarder(source);
    for (const slice of (await second.slices(30)).slice(0, 2)) await second.deliver(slice);
    await expect(frozen.deliver(slices[1] as Slice)).rejects.toMatchObject({ failure: 'conflict' });
    await Promise.all([frozen.drain(), second.drain()]);
    expect(idsOf(await stored())).toEqual(wanted(source));
  });

  test('delivers while messages of the first one are on their way, which arrive after the duplicate window', {
    timeout: 60_000,
  }, async () => {
    const { forwarder, stored, nats } = await startWorld();
    const source = createSource((n) => Math.floor(Math.random() * n));
    source.add(3000);
    const proxy = await startProxy(Number(new URL(nats.url).port));
    const frozen = forwarder(source, proxy.port);
    const [slice] = await frozen.slices(3000);
    const delivery = frozen.deliver(slice as Slice).catch((error: unknown) => error);
    await eventually('some events are stored', async () => (await stored()).length > 200);
    proxy.hold();
    await eventually('messages are on their way', () => proxy.heldBytes() > 0);
    await forwarder(source).drain();
    const before = await stored();
    expect(idsOf(before)).toEqual(wanted(source));
    await new Promise((resolve) => setTimeout(resolve, 300));
    proxy.release();
    expect(await delivery).toBeInstanceOf(DeliveryError);
    await frozen.drain();
    expect(await stored()).toEqual(before);
  });

  test('delivers into a new stream with the same name, and the first one does not take it for the old stream', {
    timeout: 60_000,
  }, async () => {
    const { forwarder, stored, jsm, createStream } = await startWorld();
    const source = createSource();
    source.add(20);
    const frozen = forwarder(source);
    const [slice0, slice1, slice2] = await frozen.slices(1);
    await frozen.deliver(slice0 as Slice);
    const { last_seq } = (await jsm.streams.info('OUT')).state;
    await jsm.streams.delete('OUT');
    await createStream();
    const second = forwarder(source);
    await second.slices();
    await second.deliver(slice1 as Slice);
    // The last mark has the same sequence as the one in the old stream.
    expect((await jsm.streams.info('OUT')).state.last_seq).toBe(last_seq);
    await expect(frozen.deliver(slice2 as Slice)).rejects.toMatchObject({ failure: 'conflict' });
    await frozen.drain();
    expect(idsOf(await stored())).toEqual(wanted(source));
  });

  test('knows the events that a forwarder published before it died', { timeout: 60_000 }, async () => {
    const { forwarder, stored } = await startWorld();
    const source = createSource((n) => Math.floor(Math.random() * n));
    source.add(2000);
    const first = forwarder(source);
    const [slice] = await first.slices(2000);
    const delivery = first.deliver(slice as Slice).catch((error: unknown) => error);
    await expect.poll(async () => (await stored()).length, { interval: 1 }).toBeGreaterThan(100);
    await first.receiver.close();
    expect(await delivery).toBeInstanceOf(DeliveryError);
    expect((await stored()).length).toBeLessThan(source.events.size);
    await forwarder(source).drain();
    expect(idsOf(await stored())).toEqual(wanted(source));
  });
});

test('a change of a verdict is delivered once, after its event', { timeout: 60_000 }, async () => {
  const { forwarder, stored } = await startWorld();
  const source = createSource((n) => Math.floor(Math.random() * n));
  source.add(50);
  await forwarder(source).drain();
  source.changeVerdict();
  source.add(10);
  await forwarder(source).drain();
  await forwarder(source).drain();
  const changes = (await stored()).filter(({ body }) => body['type'] === 'verdict.changed');
  expect(changes).toHaveLength(1);
  expect(changes[0]).toMatchObject({ body: { event_id: source.changes[0]?.identity, was: 'human', verdict: 'machine' } });
  expect(changes[0]?.subject).toMatch(/^out\.a\.verdict-changed\.\d\d$/);
});

test('an event that passes the filter only after a change is delivered once, though its range was delivered before', async () => {
  const { forwarder, stored } = await startWorld();
  const source = createSource();
  const { receiver } = forwarder(source);
  const event = eventAt(randomUUID(), 0);
  const slice: Slice = { items: [], ranges: [{ gen: event.gen, range: [0, LINE_BYTES] }] };
  await receiver.read('a');
  await receiver.deliver('a', slice);
  const changed: Slice = { items: [{ event }], ranges: [] };
  await receiver.deliver('a', changed);
  // The forwarder died before it recorded the position, so the next one reads the same change.
  await receiver.read('a');
  await receiver.deliver('a', { ...changed, position: { id: 1, changedAt: '2026-01-01 00:00:00+00' } });
  expect(idsOf(await stored())).toEqual([identityOf(event)]);
  expect((await receiver.read('a')).position).toEqual({ id: 1, changedAt: '2026-01-01 00:00:00+00' });
});

describe('the stream', () => {
  test('is created if the URL says so, and a stream that was deleted gets everything again', { timeout: 60_000 }, async () => {
    const { forwarder, stored, jsm, subscription } = await startWorld({ query: '&create' });
    const source = createSource((n) => Math.floor(Math.random() * n));
    source.add(100);
    const first = forwarder(source);
    await first.drain();
    expect(idsOf(await stored())).toEqual(wanted(source));
    await setDelivered(subscription, 100);
    await jsm.streams.delete('OUT');
    await first.drain();
    expect(idsOf(await stored())).toEqual(wanted(source));
  });

  test('that does not exist, or cannot keep a ledger, causes an error that says what to do', async () => {
    const { forwarder, jsm, createStream } = await startWorld();
    const { receiver } = forwarder(createSource());
    await jsm.streams.delete('OUT');
    await expect(receiver.read('a')).rejects.toMatchObject({ failure: 'retry', message: expect.stringContaining('does not exist') });
    await createStream({ max_msgs_per_subject: 5 });
    await expect(receiver.read('a')).rejects.toMatchObject({ failure: 'retry', message: expect.stringContaining('limit of messages') });
    await jsm.streams.delete('OUT');
    await createStream({ subjects: ['elsewhere.>'] });
    await expect(receiver.read('a')).rejects.toMatchObject({
      failure: 'retry',
      message: expect.stringContaining('must have the subjects'),
    });
  });

  test('of another subscription is refused', async () => {
    const { forwarder, subscription } = await startWorld();
    const source = createSource();
    source.add(10);
    await forwarder(source).drain();
    const receiver = createNatsReceiver({
      subscription: await addSubscription(subscription.target),
      catalog,
      natsCaFile: '',
      timeoutMs: 500,
    });
    onTestFinished(() => receiver.close());
    await expect(receiver.read('a')).rejects.toMatchObject({
      failure: 'gone',
      message: expect.stringContaining(`'${subscription.identity}'`),
    });
  });

  test('without rollups works, too', { timeout: 60_000 }, async () => {
    const { forwarder, stored } = await startWorld({ config: { allow_rollup_hdrs: false } });
    const source = createSource((n) => Math.floor(Math.random() * n));
    for (let i = 0; i < 3; i++) {
      source.add(100);
      await forwarder(source).drain();
    }
    expect(idsOf(await stored())).toEqual(wanted(source));
  });

  test('whose limits removed the ledger gets nothing again: the subscription asks a person', { timeout: 60_000 }, async () => {
    const { forwarder, stored, jsm, subscription } = await startWorld();
    const source = createSource((n) => Math.floor(Math.random() * n));
    source.add(100);
    await forwarder(source).drain();
    await setDelivered(subscription, 80);
    await jsm.streams.purge('OUT');
    const { receiver } = forwarder(source);
    await expect(receiver.read('a')).rejects.toMatchObject({ failure: 'gone', message: expect.stringContaining('lost its ledger') });
    expect(await stored()).toEqual([]);
    // A new subscription, of which nothing is known, begins.
    await setDelivered(subscription, 0);
    await forwarder(source).drain();
    expect(idsOf(await stored())).toEqual(wanted(source));
  });

  test('that is full of other messages keeps the ledger, because it is published again in time', { timeout: 60_000 }, async () => {
    const { forwarder, jsm, nats } = await startWorld({ config: { max_msgs: 400 } });
    const source = createSource();
    source.add(20);
    const one = forwarder(source);
    await one.drain();
    const { receiver } = one;
    const connection = await natsConnection(nats.url);
    onTestFinished(() => connection.close());
    const before = (await receiver.read('a')).ledger;
    for (let i = 0; i < 30; i++) {
      for (let k = 0; k < 40; k++) await jetstream(connection).publish('out.other', 'x');
      expect((await receiver.read('a')).ledger).toEqual(before);
    }
    expect((await jsm.streams.info('OUT')).state.first_seq).toBeGreaterThan(500);
  });
});

test('a ledger of thousands of generations is compressed', { timeout: 60_000 }, async () => {
  const { forwarder, jsm } = await startWorld();
  const { receiver } = forwarder(createSource());
  const ranges = Array.from({ length: 20_000 }, (_, i) => ({ gen: randomUUID(), range: [0, 30_000_000 + i * 7919] as const }));
  await receiver.read('a');
  await receiver.deliver('a', { items: [], ranges });
  const last = await jsm.streams.getMessage('OUT', { last_by_subj: 'out.a._ledger' });
  expect(last?.data.length).toBeLessThan(700_000);
  expect((await receiver.read('a')).ledger.size).toBe(20_000);
});

test.each(Array.from({ length: runs(3).numRuns }, (_, i) => i + 1))(
  'whatever dies, freezes and is restored, each event is in the stream exactly once (seed %i)',
  { timeout: 240_000 },
  async (seed) => {
    const random = createRandom(seed);
    const pick = (n: number) => random.whole(0, n - 1);
    const { nats, forwarder, stored, createStream, jsm } = await startWorld({ config: { allow_rollup_hdrs: seed % 2 === 1 } });
    const source = createSource(pick);
    const backup = `${nats.storeDir}.backup`;
    onTestFinished(() => rm(backup, { recursive: true, force: true }));
    let hasBackup = false;
    const forwarders = [forwarder(source), forwarder(source)];
    const ended = (error: unknown) => {
      if (!(error instanceof DeliveryError) || error.failure === 'gone') throw error;
    };
    /** Slices that a frozen forwarder has read already. */
    const stale = new Map<Stepper, Slice[]>();
    const deliverSome = async (one: Stepper) => {
      const slices = stale.get(one) ?? (await one.slices(1 + pick(60)));
      stale.delete(one);
      for (const slice of slices.slice(0, 1 + pick(4))) await one.deliver(slice);
    };
    for (let step = 0; step < 60; step++) {
      source.add(pick(80));
      if (pick(2) === 0) source.changeVerdict();
      const i = pick(forwarders.length);
      const one = forwarders[i] as Stepper;
      switch (pick(9)) {
        case 0:
          // It reads, and then freezes.
          await one.slices(1 + pick(60)).then((slices) => stale.set(one, slices), ended);
          break;
        case 1: {
          // It dies at any step.
          const delivery = deliverSome(one).catch(ended);
          await new Promise((resolve) => setTimeout(resolve, pick(25)));
          await one.receiver.close();
          await delivery;
          forwarders[i] = forwarder(source);
          break;
        }
        case 2: {
          // NATS dies at any step.
          const delivery = deliverSome(one).catch(ended);
          await new Promise((resolve) => setTimeout(resolve, pick(25)));
          await nats.running().kill();
          await nats.start();
          await delivery;
          break;
        }
        case 3:
          await nats.running().kill();
          await rm(backup, { recursive: true, force: true });
          await cp(nats.storeDir, backup, { recursive: true });
          hasBackup = true;
          await nats.start();
          break;
        case 4: {
          if (!hasBackup) break;
          const delivery = deliverSome(one).catch(ended);
          await new Promise((resolve) => setTimeout(resolve, pick(25)));
          await nats.running().kill();
          await rm(nats.storeDir, { recursive: true, force: true });
          await cp(backup, nats.storeDir, { recursive: true });
          await nats.start();
          await delivery;
          break;
        }
        case 5:
          if (pick(3) > 0) break;
          await eventually('NATS answers', () => jsm.streams.delete('OUT').catch(() => false));
          await createStream({ allow_rollup_hdrs: seed % 2 === 1 });
          break;
        case 6:
          // Two at the same time.
          await Promise.all(forwarders.map((each) => deliverSome(each).catch(ended)));
          break;
        default:
          await deliverSome(one).catch(ended);
      }
    }
    // One after the other: the lease keeps a second forwarder away in the end.
    for (const each of forwarders) await each.drain();
    const messages = await stored();
    expect(eventIdsOf(messages)).toEqual(wanted(source));
    const changes = idsOf(messages.filter(({ body }) => body['type'] === 'verdict.changed'));
    expect(changes).toEqual([...new Set(changes)]);
    expect(verdictsOf(messages)).toEqual(new Map(Array.from(source.events, ([id, event]) => [id, event.verdict])));
  },
);
