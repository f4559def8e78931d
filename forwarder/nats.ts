import { randomUUID } from 'node:crypto';
import {
  type JetStreamClient,
  jetstream,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
  type PubAck,
} from '@nats-io/jetstream';
import { connect, headers as newHeaders, type NatsConnection } from '@nats-io/transport-node';
import { messageOf } from '../core/errors.ts';
import { natsOptions } from '../core/nats.ts';
import type { Pool } from '../core/postgres.ts';
import { covers, union } from '../core/ranges.ts';
import { readAddresses } from '../feed/addresses.ts';
import { byGeneration } from '../feed/due.ts';
import { type Address, type Item, itemId, toJson } from '../feed/event.ts';
import { parseNatsTarget } from '../feed/nats-target.ts';
import type { ChangePosition } from '../feed/read-events.ts';
import type { Slice } from '../feed/slices.ts';
import type { Subscription } from '../feed/subscription.ts';
import { readPosition } from './catalog-ledger.ts';
import { formatLedger, type LedgerMessage, parseLedger } from './nats-ledger.ts';
import { isWrongSequence, readStreamState, type StreamState } from './nats-stream.ts';
import { eventSubject, ledgerSubject, messageIdOf } from './nats-subjects.ts';
import { DeliveryError, type Receiver } from './receiver.ts';

// Delivers into a stream of NATS, each event as one message. The ledger is in the same stream.
//
//   read the stream ──► mark ──► changes of verdicts ──► mark with the position ──► events ──► ledger, or mark if it is too early for a ledger
//          ▲                                                                                    │
//          └──────────────────────────── every error, every 30 s ◄──────────────────────────────┘
//
// Each message names the last sequence that its subject must have. An event always has the same subject, and the forwarder knows all events up to that
// sequence. So JetStream refuses an event that the subject has already, whoever published it and however long ago.
//
// A mark before and after the events makes sure that the ledger follows them in the same stream. If the stream was replaced by an older copy of itself in
// between, it lacks the mark, and refuses the ledger. The older copy gives the same sequences again to other messages. So before each delivery, the last mark
// or ledger is read, and its nonce must be the one that is known.

const TIMEOUT_MS = 5_000;
/** Ledgers are published so rarely that they have at most so many bytes a second. Until the next one, the events themselves show what was delivered. */
const LEDGER_BYTES_PER_SECOND = 20_000;
const WRONG_STREAM = 10060;
/** More than the headers of a message need. The limit of the server includes them. */
const MOST_HEADER_BYTES = 1024;

interface PublishOptions {
  /** The count of broken connections when the delivery began. */
  readonly session: number;
  readonly messageId?: string;
  readonly rollUp?: boolean;
}

interface Clients {
  readonly connection: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
}

export function createNatsReceiver(deps: { subscription: Subscription; catalog: Pool; natsCaFile: string; timeoutMs?: number }): Receiver {
  const { subscription, catalog, timeoutMs = TIMEOUT_MS } = deps;
  const { id, identity, withAddresses } = subscription;
  const { servers, stream, prefix, create } = parseNatsTarget(subscription.target);
  const options = natsOptions(servers, deps.natsCaFile);
  let opened: Promise<Clients> | undefined;
  /** How often the connection broke. A delivery ends with its connection. */
  let connections = 0;
  /** What the stream has of each shard. After an error it is not known, and must be read again. */
  const states = new Map<string, StreamState>();
  const ledgers = new Map<string, { atMs: number; bytes: number }>();

  async function open(): Promise<Clients> {
    const connection = await connect({
      ...options,
      name: 'clickledger forwarder',
      maxReconnectAttempts: -1,
      ignoreAuthErrorAbort: true,
      reconnectTimeWait: 250,
      timeout: timeoutMs,
      pingInterval: 5_000,
      maxPingOut: 2,
    });
    void countConnections(connection);
    return {
      connection,
      js: jetstream(connection, { timeout: timeoutMs }),
      jsm: await jetstreamManager(connection, { checkAPI: false, timeout: timeoutMs }),
    };
  }

  async function countConnections(connection: NatsConnection): Promise<void> {
    for await (const { type } of connection.status()) if (type === 'disconnect') connections += 1;
  }

  function clients(): Promise<Clients> {
    opened ??= open().catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return opened;
  }

  async function readStart(shard: string): Promise<{ position: ChangePosition; hasDelivered: boolean }> {
    const { rows } = await catalog.query<{ delivered: number }>(
      'SELECT delivered FROM catalog.subscription_report WHERE subscription_id = $1 AND shard = $2',
      [id, shard],
    );
    return { position: await readPosition(catalog, id, shard), hasDelivered: (rows[0]?.delivered ?? 0) > 0 };
  }

  /**
   * Throws a conflict if the stream was replaced since the state was read, e.g. by an older copy of itself. Its sequences may then belong to other
   * messages, so they cannot show it.
   */
  async function assertSameStream(shard: string, state: StreamState): Promise<void> {
    const { jsm } = await clients();
    const last = await jsm.streams.getMessage(stream, { seq: state.lastSequence });
    if (last === null || last.subject !== ledgerSubject(prefix, shard) || parseLedger(last.data).nonce !== state.lastNonce)
      throw new DeliveryError('conflict', `the stream ${stream} was replaced, or its limits are too small`);
  }

  async function publish(subject: string, body: Buffer, lastSequence: number, options: PublishOptions): Promise<PubAck> {
    const { connection, js } = await clients();
    const most = connection.info?.max_payload;
    if (most !== undefined && body.length + MOST_HEADER_BYTES > most)
      throw new DeliveryError(
        'retry',
        `a message on ${subject} has ${body.length} bytes, and the server accepts ${most}: raise max_payload of nats-server`,
      );
    const { messageId, rollUp, session } = options;
    // The client sends what was not sent yet after it has connected again. Until then, the stream may have been replaced.
    if (session !== connections) throw new DeliveryError('retry', 'the connection to NATS broke');
    const headers = rollUp ? newHeaders() : undefined;
    headers?.set('Nats-Rollup', 'sub');
    const ack = await js.publish(subject, body, {
      expect: { streamName: stream, lastSubjectSequence: lastSequence },
      ...(messageId === undefined ? {} : { msgID: messageId }),
      ...(headers === undefined ? {} : { headers }),
    });
    if (ack.duplicate) throw new DeliveryError('conflict', `another forwarder has published ${messageId}`);
    return ack;
  }

  async function publishMark(shard: string, state: StreamState, session: number): Promise<void> {
    const nonce = randomUUID();
    const mark: LedgerMessage = { subscription: identity, nonce, position: state.position, ledger: state.ledgerSequence };
    const { seq } = await publish(ledgerSubject(prefix, shard), formatLedger(mark), state.lastSequence, { session });
    state.lastSequence = seq;
    state.lastNonce = nonce;
  }

  async function publishLedger(shard: string, state: StreamState, session: number): Promise<void> {
    const { position, delivered, sequence, mayRollUp } = state;
    const nonce = randomUUID();
    const body = formatLedger({ subscription: identity, nonce, position, delivered, sequence });
    const { seq } = await publish(ledgerSubject(prefix, shard), body, state.lastSequence, { session, rollUp: mayRollUp });
    state.lastSequence = seq;
    state.lastNonce = nonce;
    state.ledgerSequence = seq;
    ledgers.set(shard, { atMs: performance.now(), bytes: body.length });
  }

  function isLedgerDue(shard: string): boolean {
    const last = ledgers.get(shard);
    return last === undefined || performance.now() - last.atMs >= (last.bytes * 1000) / LEDGER_BYTES_PER_SECOND;
  }

  /** The sequence of the last message on a subject of events. */
  async function headOf(state: StreamState, subject: string): Promise<number> {
    const known = state.heads.get(subject);
    if (known !== undefined) return known;
    const { jsm } = await clients();
    const last = await jsm.streams.getMessage(stream, { last_by_subj: subject });
    if (last !== null && last.seq > state.sequence) throw new DeliveryError('conflict', `another forwarder has published to ${subject}`);
    return last?.seq ?? 0;
  }

  /** Publishes items: those of one subject one after the other, those of different subjects at the same time. */
  async function publishItems(
    shard: string,
    state: StreamState,
    items: readonly Item[],
    addresses: ReadonlyMap<number, Address> | undefined,
    session: number,
  ): Promise<void> {
    const bySubject = Map.groupBy(items, (item) => eventSubject(prefix, shard, item));
    let isFailed = false;
    const results = await Promise.allSettled(
      Array.from(bySubject, async ([subject, list]) => {
        try {
          for (const item of list) {
            if (isFailed) return;
            const body = Buffer.from(JSON.stringify(toJson(item, shard, addresses)));
            const { seq } = await publish(subject, body, await headOf(state, subject), {
              session,
              messageId: messageIdOf(identity, item),
            });
            state.heads.set(subject, seq);
          }
        } catch (error) {
          isFailed = true;
          throw error;
        }
      }),
    );
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  async function deliver(shard: string, state: StreamState, slice: Slice): Promise<void> {
    const { items, position } = slice;
    if (items.length > 0 || position !== undefined || isLedgerDue(shard)) {
      const session = connections;
      const addresses = withAddresses ? await readAddresses(catalog, items) : undefined;
      const { changes, events } = divide(slice, state);
      await assertSameStream(shard, state);
      // The stream gets the position after the changes and before the events. So if the events are read again, their verdicts do not change once more.
      if (changes.length > 0) {
        await publishMark(shard, state, session);
        await publishItems(shard, state, changes, addresses, session);
      }
      state.position = position ?? state.position;
      if (events.length > 0 || position !== undefined) await publishMark(shard, state, session);
      await publishItems(shard, state, events, addresses, session);
      addRanges(state, slice);
      if (isLedgerDue(shard)) await publishLedger(shard, state, session);
      else await publishMark(shard, state, session);
    } else addRanges(state, slice);
  }

  return {
    async read(shard) {
      states.delete(shard);
      try {
        const state = await readStreamState({ ...(await clients()), subscription: identity, stream, prefix, create }, shard, () =>
          readStart(shard),
        );
        if (state.isLedgerOld) await publishLedger(shard, state, connections);
        states.set(shard, state);
        return { ledger: new Map(state.delivered), position: state.position };
      } catch (error) {
        throw failed(error, stream);
      }
    },
    async deliver(shard, slice) {
      const state = states.get(shard);
      if (state === undefined) throw new DeliveryError('conflict', 'the stream must be read again');
      states.delete(shard);
      try {
        await deliver(shard, state, slice);
      } catch (error) {
        throw failed(error, stream);
      }
      states.set(shard, state);
    },
    async close() {
      await (await opened?.catch(() => undefined))?.connection.close();
    },
  };
}

function addRanges({ delivered }: StreamState, { ranges }: Slice): void {
  for (const [gen, some] of byGeneration(ranges)) delivered.set(gen, union(delivered.get(gen) ?? [], some));
}

/** Divides the items of a slice: those that follow from changes of verdicts, and the events of its ranges. Leaves out what the stream has already. */
function divide(slice: Slice, state: StreamState): { changes: Item[]; events: Item[] } {
  const ranges = new Map(byGeneration(slice.ranges));
  const changes: Item[] = [];
  const events: Item[] = [];
  for (const item of slice.items) {
    const { gen, off } = item.event;
    if (item.change === undefined && covers(ranges.get(gen) ?? [], off, off + 1)) events.push(item);
    else if (!isInTail(item, state)) changes.push(item);
  }
  return { changes, events };
}

function isInTail(item: Item, { events, changes }: StreamState): boolean {
  const { gen, off } = item.event;
  return item.change === undefined ? (events.get(gen)?.has(off) ?? false) : changes.has(itemId(item));
}

function failed(cause: unknown, stream: string): DeliveryError {
  if (cause instanceof DeliveryError) return cause;
  if (isWrongSequence(cause)) return new DeliveryError('conflict', 'another forwarder has published to this stream', { cause });
  if (cause instanceof JetStreamApiError && cause.code === WRONG_STREAM)
    return new DeliveryError('retry', `the subjects do not belong to the stream ${stream}: it must have the subjects PREFIX.>`, { cause });
  if (cause instanceof Error && cause.name === 'JetStreamNotEnabled')
    return new DeliveryError(
      'retry',
      `no stream takes the subjects, or JetStream is off: the stream ${stream} must have the subjects PREFIX.>`,
      {
        cause,
      },
    );
  return new DeliveryError('retry', `NATS reported: ${messageOf(cause).slice(0, 200)}`, { cause });
}
