import { jetstream, type JetStreamManager } from '@nats-io/jetstream';
import { errors, type NatsConnection } from '@nats-io/transport-node';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { createJetStreamManager } from '../core/nats.ts';
import { natsUrlWithCredentials } from '../core/nats-url.ts';
import { STREAM } from '../core/subjects.ts';
import { ensureConsumer } from '../event-worker/ensure-consumer.ts';
import { eventually, natsConnection, startTestNats, type TestNats } from '../test/support/servers.ts';
import { NATS_ROLES, type NatsRole } from './nats-conf.ts';

// Tries on a real server the actions that each user must be able to do, and actions that the server must refuse.

/** A request to a subject. An action without a payload is a subscription to the subject. */
type Action = readonly [subject: string, payload: string] | readonly [subject: string];

const config = (more: object): string =>
  JSON.stringify({
    retention: 'limits',
    storage: 'file',
    max_consumers: -1,
    max_msgs: -1,
    max_bytes: -1,
    max_age: 0,
    num_replicas: 1,
    ...more,
  });
const BUCKET = config({ name: 'KV_salts', subjects: ['$KV.salts.>'], allow_direct: true, max_msgs_per_subject: 1, discard: 'new' });
const CONSUMER = JSON.stringify({
  stream_name: STREAM,
  config: { durable_name: 'worker-b', filter_subject: 'events.b', ack_policy: 'explicit', max_deliver: -1 },
});

const DELETE_STREAM = '$JS.API.STREAM.DELETE.EVENTS';
const PROGRESS: Action[] = [
  ['$JS.ledger.API.STREAM.INFO.EVENTS', ''],
  ['$JS.ledger.API.CONSUMER.INFO.EVENTS.worker-a', ''],
];
const STREAM_REQUESTS = (api: string): Action[] => [
  [`${api}.STREAM.PURGE.EVENTS`, ''],
  [`${api}.STREAM.DELETE.EVENTS`, ''],
  [`${api}.STREAM.UPDATE.EVENTS`, config({ name: STREAM, subjects: ['events.>'], max_age: 1_000_000_000 })],
  [`${api}.STREAM.MSG.GET.EVENTS`, '{"seq":1}'],
  [`${api}.STREAM.MSG.DELETE.EVENTS`, '{"seq":1}'],
  [`${api}.DIRECT.GET.EVENTS`, '{"seq":1}'],
  [`${api}.STREAM.SNAPSHOT.EVENTS`, '{"deliver_subject":"_INBOX.x"}'],
  [`${api}.CONSUMER.DELETE.EVENTS.worker-a`, ''],
  [`${api}.STREAM.CREATE.MINE`, config({ name: 'MINE', mirror: { name: STREAM } })],
  [`${api}.STREAM.NAMES`, ''],
  [`${api}.INFO`, ''],
];
const WORKER_REQUESTS = (api: string): Action[] => [
  [`${api}.CONSUMER.CREATE.EVENTS.worker-b.events.b`, CONSUMER],
  [`${api}.CONSUMER.MSG.NEXT.EVENTS.worker-a`, '{"batch":1,"no_wait":true}'],
  ['$JS.ACK.EVENTS.worker-a.1.1.1.1.0', ''],
];
const SUBSCRIPTIONS: Action[] = [['>'], ['events.a'], ['events.>'], ['ledger.a'], ['$JS.>'], ['$KV.>'], ['$SYS.>']];
const SALT_REQUESTS = (api: string, key: string): Action[] => [
  [`${api}.STREAM.INFO.KV_salts`, ''],
  [`${api}.STREAM.CREATE.KV_salts`, BUCKET],
  [`${key}.2026-11-22`, 'salt'],
  [`${api}.DIRECT.GET.KV_salts.$KV.salts.2026-11-22`, ''],
];

/** The actions that each user must be able to do, and those that the server must refuse. */
const ACTIONS: Readonly<Record<NatsRole, { allowed: Action[]; forbidden: Action[] }>> = {
  worker: {
    allowed: [
      ['$JS.API.STREAM.INFO.EVENTS', ''],
      [
        '$JS.API.STREAM.CREATE.EVENTS',
        config({ name: STREAM, subjects: ['events.>'], retention: 'workqueue', discard: 'new', max_bytes: 1_000_000 }),
      ],
      ['$JS.API.CONSUMER.INFO.EVENTS.worker-a', ''],
      ...WORKER_REQUESTS('$JS.API').slice(0, 2),
      ['events.a', 'x'],
    ],
    forbidden: [
      ['events.a.b', 'x'],
      ['ledger.a', '{}'],
      ...STREAM_REQUESTS('$JS.API').filter(([subject]) => subject !== DELETE_STREAM),
      ...SALT_REQUESTS('$JS.API', '$KV.salts'),
      ...SALT_REQUESTS('$JS.salts.API', '$JS.salts.API.$KV.salts'),
      ...SUBSCRIPTIONS,
    ],
  },
  agent: {
    allowed: [['events.a', 'x'], ['ledger.a', '{}'], ...PROGRESS, ...SALT_REQUESTS('$JS.salts.API', '$JS.salts.API.$KV.salts')],
    forbidden: [
      ...STREAM_REQUESTS('$JS.API'),
      ...STREAM_REQUESTS('$JS.ledger.API'),
      ...WORKER_REQUESTS('$JS.API'),
      ...WORKER_REQUESTS('$JS.ledger.API'),
      ['$JS.salts.API.STREAM.DELETE.KV_salts', ''],
      ['$JS.salts.API.STREAM.PURGE.KV_salts', ''],
      ['$JS.salts.API.STREAM.CREATE.MINE', config({ name: 'MINE', subjects: ['mine'] })],
      ['events.a.b', 'x'],
      ...SUBSCRIPTIONS,
    ],
  },
  analyst: {
    allowed: PROGRESS,
    forbidden: [
      ['events.a', 'x'],
      ['ledger.a', '{}'],
      ...STREAM_REQUESTS('$JS.API'),
      ...STREAM_REQUESTS('$JS.ledger.API'),
      ...WORKER_REQUESTS('$JS.API'),
      ...WORKER_REQUESTS('$JS.ledger.API'),
      ...SALT_REQUESTS('$JS.salts.API', '$JS.salts.API.$KV.salts'),
      ...SUBSCRIPTIONS,
    ],
  },
};

let nats: TestNats;
let operator: JetStreamManager;

async function connectAs(url: string): Promise<NatsConnection> {
  const connection = await natsConnection(url);
  onTestFinished(() => connection.close());
  return connection;
}

const storedMessages = async (): Promise<number> => (await operator.streams.info(STREAM)).state.messages;

beforeEach(async () => {
  nats = await startTestNats();
  operator = await createJetStreamManager(await connectAs(nats.url));
  await ensureConsumer(operator, 'a', { maxBytes: 1_000_000, replicas: 1 });
  const worker = await connectAs(nats.urlOf('worker'));
  worker.subscribe('ledger.*', { queue: 'workers', callback: (_error, request) => void request.respond('the ledger') });
  await worker.flush();
});

describe('each user of NATS', () => {
  /** Returns `done`, `refused`, or the text of the error. */
  async function outcome(connection: NatsConnection, [subject, payload]: Action): Promise<string> {
    try {
      if (payload !== undefined) {
        const reply = await connection.request(subject, payload, { timeout: 2_000 });
        const { error } = (reply.string().startsWith('{"') ? reply.json() : {}) as { error?: { code: number; description: string } };
        return error === undefined || error.code === 404 ? 'done' : error.description;
      }
      const subscription = connection.subscribe(subject);
      await connection.flush();
      subscription.unsubscribe();
      await subscription[Symbol.asyncIterator]().next();
      return 'done';
    } catch (error) {
      return error instanceof errors.PermissionViolationError || (error as Error).cause instanceof errors.PermissionViolationError
        ? 'refused'
        : String(error);
    }
  }

  test.each(NATS_ROLES)('%s may do what it needs and nothing else', async (role) => {
    const connection = await connectAs(nats.urlOf(role));
    for (const action of ACTIONS[role].allowed) expect([await outcome(connection, action), action]).toEqual(['done', action]);
    const before = await storedMessages();
    for (const action of ACTIONS[role].forbidden) expect([await outcome(connection, action), action]).toEqual(['refused', action]);
    expect(await storedMessages()).toBe(before);
  });
});

test('a worker may delete the stream, and create it again', async () => {
  const manager = await createJetStreamManager(await connectAs(nats.urlOf('worker')));
  await manager.streams.delete(STREAM);
  await ensureConsumer(manager, 'a', { maxBytes: 1_000_000, replicas: 1 });
  expect(await storedMessages()).toBe(0);
});

describe('answers', () => {
  // JetStream sends replies with its own permissions. If all users shared one account, the reply to the message `two` would purge the
  // stream, and the reply to the next request would be stored in the stream.
  test('cannot be sent where they would do something', async () => {
    const agent = await connectAs(nats.urlOf('agent'));
    const analyst = await connectAs(nats.urlOf('analyst'));
    await jetstream(agent).publish('events.a', 'one');
    agent.publish('events.a', 'two', { reply: '$JS.API.STREAM.PURGE.EVENTS' });
    analyst.publish('$JS.ledger.API.STREAM.INFO.EVENTS', '', { reply: 'events.a' });
    analyst.publish('$JS.ledger.API.STREAM.INFO.EVENTS', '', { reply: '$JS.API.STREAM.DELETE.EVENTS' });
    agent.publish('ledger.a', '{}', { reply: '$JS.API.STREAM.PURGE.EVENTS' });
    await Promise.all([agent.flush(), analyst.flush()]);
    // When these two requests are answered, all earlier requests are answered, too.
    await jetstream(agent).publish('events.a', 'three');
    await analyst.request('$JS.ledger.API.STREAM.INFO.EVENTS');
    expect(await storedMessages()).toBe(3);
  });

  test('reach nobody but who asked', async () => {
    const agent = await connectAs(nats.urlOf('agent'));
    const received: string[] = [];
    agent.subscribe('_INBOX.>', { callback: (_error, { data }) => void received.push(Buffer.from(data).toString()) });
    await agent.flush();
    await (await connectAs(nats.urlOf('analyst'))).request('$JS.ledger.API.STREAM.INFO.EVENTS');
    await (await connectAs(nats.urlOf('worker'))).request('$JS.API.STREAM.INFO.EVENTS');
    await agent.request('ledger.a', '{}');
    await eventually('the agent has received the reply to its own request', () => received.length > 0);
    expect(received).toEqual(['the ledger']);
  });
});

test('a bucket of salts is no way to the events: it cannot be made a mirror of their stream', async () => {
  const agent = await connectAs(nats.urlOf('agent'));
  await jetstream(agent).publish('events.a', 'x');
  const mirror = config({ name: 'KV_salts', mirror: { name: STREAM }, allow_direct: true, mirror_direct: true });
  await agent.request('$JS.salts.API.STREAM.CREATE.KV_salts', mirror);
  await (await connectAs(nats.url)).request('$JS.API.STREAM.CREATE.COPY', config({ name: 'COPY', mirror: { name: STREAM } }));
  // For comparison, this mirror is in the account of the stream. When it has the event, the bucket would also have it if the bucket were a
  // mirror.
  await eventually(
    'the mirror in the account of the events has the event',
    async () => (await operator.streams.info('COPY')).state.messages === 1,
  );
  const info = (await agent.request('$JS.salts.API.STREAM.INFO.KV_salts')).json<{ state: { messages: number } }>();
  expect(info.state.messages).toBe(0);
});

test('nobody comes in without a password, or with that of another', async () => {
  const bare = new URL(nats.url);
  bare.username = bare.password = '';
  for (const url of [
    bare.toString(),
    natsUrlWithCredentials(nats.url, 'agent', 'of-the-worker'),
    natsUrlWithCredentials(nats.url, 'root', 'of-the-worker'),
  ])
    await expect(natsConnection(url)).rejects.toThrow(errors.AuthorizationError);
});
