import { jetstream, type JetStreamManager } from '@nats-io/jetstream';
import { errors, type NatsConnection } from '@nats-io/transport-node';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { createJetStreamManager } from '../core/nats.ts';
import { natsUrlWithCredentials } from '../core/nats-url.ts';
import { STREAM } from '../core/subjects.ts';
import { ensureConsumer } from '../event-worker/ensure-consumer.ts';
import { eventually, natsConnection, startTestNats, type TestNats } from '../test/support/servers.ts';
import { NATS_ROLES, type NatsRole } from './nats-conf.ts';

// Every right and every wrong is tried on a real server.

/** Something to ask of a subject; a subscription, where there is nothing to ask. */
type Act = readonly [subject: string, payload: string] | readonly [subject: string];

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

const HOW_FAR: Act[] = [
  ['$JS.ledger.API.STREAM.INFO.EVENTS', ''],
  ['$JS.ledger.API.CONSUMER.INFO.EVENTS.worker-a', ''],
];
const STREAM_OF_OTHERS = (api: string): Act[] => [
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
const WORK_OF_WORKERS = (api: string): Act[] => [
  [`${api}.CONSUMER.CREATE.EVENTS.worker-b.events.b`, CONSUMER],
  [`${api}.CONSUMER.MSG.NEXT.EVENTS.worker-a`, '{"batch":1,"no_wait":true}'],
  ['$JS.ACK.EVENTS.worker-a.1.1.1.1.0', ''],
];
const EVERYTHING: Act[] = [['>'], ['events.a'], ['events.>'], ['ledger.a'], ['$JS.>'], ['$KV.>'], ['$SYS.>']];
const SALTS = (api: string, key: string): Act[] => [
  [`${api}.STREAM.INFO.KV_salts`, ''],
  [`${api}.STREAM.CREATE.KV_salts`, BUCKET],
  [`${key}.2026-11-22`, 'salt'],
  [`${api}.DIRECT.GET.KV_salts.$KV.salts.2026-11-22`, ''],
];

/** In this order: the worker makes what the others ask for. */
const ACTS: Readonly<Record<NatsRole, { may: Act[]; mayNot: Act[] }>> = {
  worker: {
    may: [
      ['$JS.API.STREAM.INFO.EVENTS', ''],
      [
        '$JS.API.STREAM.CREATE.EVENTS',
        config({ name: STREAM, subjects: ['events.>'], retention: 'workqueue', discard: 'new', max_bytes: 1_000_000 }),
      ],
      ['$JS.API.CONSUMER.INFO.EVENTS.worker-a', ''],
      ...WORK_OF_WORKERS('$JS.API').slice(0, 2),
    ],
    mayNot: [
      ['events.a', 'x'],
      ['ledger.a', '{}'],
      ...STREAM_OF_OTHERS('$JS.API'),
      ...SALTS('$JS.API', '$KV.salts'),
      ...SALTS('$JS.salts.API', '$JS.salts.API.$KV.salts'),
      ...EVERYTHING,
    ],
  },
  agent: {
    may: [['events.a', 'x'], ['ledger.a', '{}'], ...HOW_FAR, ...SALTS('$JS.salts.API', '$JS.salts.API.$KV.salts')],
    mayNot: [
      ...STREAM_OF_OTHERS('$JS.API'),
      ...STREAM_OF_OTHERS('$JS.ledger.API'),
      ...WORK_OF_WORKERS('$JS.API'),
      ...WORK_OF_WORKERS('$JS.ledger.API'),
      ['$JS.salts.API.STREAM.DELETE.KV_salts', ''],
      ['$JS.salts.API.STREAM.PURGE.KV_salts', ''],
      ['$JS.salts.API.STREAM.CREATE.MINE', config({ name: 'MINE', subjects: ['mine'] })],
      ['events.a.b', 'x'],
      ...EVERYTHING,
    ],
  },
  analyst: {
    may: HOW_FAR,
    mayNot: [
      ['events.a', 'x'],
      ['ledger.a', '{}'],
      ...STREAM_OF_OTHERS('$JS.API'),
      ...STREAM_OF_OTHERS('$JS.ledger.API'),
      ...WORK_OF_WORKERS('$JS.API'),
      ...WORK_OF_WORKERS('$JS.ledger.API'),
      ...SALTS('$JS.salts.API', '$JS.salts.API.$KV.salts'),
      ...EVERYTHING,
    ],
  },
};

let nats: TestNats;
let operator: JetStreamManager;

async function as(url: string): Promise<NatsConnection> {
  const connection = await natsConnection(url);
  onTestFinished(() => connection.close());
  return connection;
}

const stored = async (): Promise<number> => (await operator.streams.info(STREAM)).state.messages;

beforeEach(async () => {
  nats = await startTestNats();
  operator = await createJetStreamManager(await as(nats.url));
  await ensureConsumer(operator, 'a', 1_000_000);
  const worker = await as(nats.urlOf('worker'));
  worker.subscribe('ledger.*', { queue: 'workers', callback: (_error, question) => void question.respond('what the ledger has') });
  await worker.flush();
});

describe('each user of NATS', () => {
  /** `done`, `refused`, or whatever else became of it. */
  async function outcome(connection: NatsConnection, [subject, payload]: Act): Promise<string> {
    try {
      if (payload !== undefined) {
        const answer = await connection.request(subject, payload, { timeout: 2_000 });
        const { error } = (answer.string().startsWith('{"') ? answer.json() : {}) as { error?: { code: number; description: string } };
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
    const connection = await as(nats.urlOf(role));
    for (const act of ACTS[role].may) expect([await outcome(connection, act), act]).toEqual(['done', act]);
    const before = await stored();
    for (const act of ACTS[role].mayNot) expect([await outcome(connection, act), act]).toEqual(['refused', act]);
    expect(await stored()).toBe(before);
  });
});

describe('answers', () => {
  // JetStream answers with rights of its own. In one account for all, the first two of these emptied the stream and filled it with rubbish.
  test('cannot be sent where they would do something', async () => {
    const agent = await as(nats.urlOf('agent'));
    const analyst = await as(nats.urlOf('analyst'));
    await jetstream(agent).publish('events.a', 'one');
    agent.publish('events.a', 'two', { reply: '$JS.API.STREAM.PURGE.EVENTS' });
    analyst.publish('$JS.ledger.API.STREAM.INFO.EVENTS', '', { reply: 'events.a' });
    analyst.publish('$JS.ledger.API.STREAM.INFO.EVENTS', '', { reply: '$JS.API.STREAM.DELETE.EVENTS' });
    agent.publish('ledger.a', '{}', { reply: '$JS.API.STREAM.PURGE.EVENTS' });
    await Promise.all([agent.flush(), analyst.flush()]);
    // Whatever was asked before has been answered when this is.
    await jetstream(agent).publish('events.a', 'three');
    await analyst.request('$JS.ledger.API.STREAM.INFO.EVENTS');
    expect(await stored()).toBe(3);
  });

  test('reach nobody but who asked', async () => {
    const agent = await as(nats.urlOf('agent'));
    const heard: string[] = [];
    agent.subscribe('_INBOX.>', { callback: (_error, { data }) => void heard.push(Buffer.from(data).toString()) });
    await agent.flush();
    await (await as(nats.urlOf('analyst'))).request('$JS.ledger.API.STREAM.INFO.EVENTS');
    await (await as(nats.urlOf('worker'))).request('$JS.API.STREAM.INFO.EVENTS');
    await agent.request('ledger.a', '{}');
    await eventually('the agent has heard its own answer', () => heard.length > 0);
    expect(heard).toEqual(['what the ledger has']);
  });
});

test('a bucket of salts is no way to the events: it cannot be made a mirror of their stream', async () => {
  const agent = await as(nats.urlOf('agent'));
  await jetstream(agent).publish('events.a', 'x');
  const mirror = config({ name: 'KV_salts', mirror: { name: STREAM }, allow_direct: true, mirror_direct: true });
  await agent.request('$JS.salts.API.STREAM.CREATE.KV_salts', mirror);
  await (await as(nats.url)).request('$JS.API.STREAM.CREATE.COPY', config({ name: 'COPY', mirror: { name: STREAM } }));
  // In the account of the events, a mirror has them by then.
  await eventually(
    'a mirror that is none of the agent has the event',
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
