import { randomUUID } from 'node:crypto';
import {
  AckPolicy,
  DeliverPolicy,
  type JetStreamClient,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  RetentionPolicy,
  type StoredMsg,
  type StreamInfo,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import { type Ranges, union } from '../core/ranges.ts';
import type { Ledger } from '../feed/due.ts';
import type { ChangePosition } from '../feed/read-events.ts';
import { formatLedger, type LedgerMessage, parseLedger } from './nats-ledger.ts';
import { beginSubject, ledgerSubject, parseMessageId } from './nats-subjects.ts';
import { DeliveryError } from './receiver.ts';

// Reads what the stream of a receiver has of one shard.
//
// last ledger ──► ranges that were delivered ─────────────┐
//                                                         ├──► everything that was delivered
// events from the sequence of the ledger to a new mark ───┘

/** So many messages are fetched at a time. Only their headers are. */
const FETCH_MESSAGES = 5_000;
const FETCH_MS = 10_000;
const CREATED_MAX_AGE_MS = 7 * 86_400_000;
/** A ledger is published again when it is as old as this part of what the stream keeps, so that the limits of the stream do not remove it. */
const REFRESH_PART = 1 / 8;

/** What the stream has of a shard, and what of it a forwarder knows. */
export interface StreamState {
  /** What was delivered. It has all events of the shard up to `sequence`, and those that this forwarder published since then. */
  readonly delivered: Map<string, Ranges>;
  /** The events since the ledger, by generation, whose verdict was not changed after them. */
  readonly events: ReadonlyMap<string, ReadonlySet<number>>;
  /** The changes of verdicts since the ledger. */
  readonly changes: ReadonlySet<string>;
  position: ChangePosition;
  readonly sequence: number;
  /** The sequence of the last message on the ledger subject. */
  lastSequence: number;
  /** Its nonce. */
  lastNonce: string;
  /** The sequence of the last ledger. 0: there is none. */
  ledgerSequence: number;
  /** The sequences of the last messages on the subjects of events, as far as they are known. */
  readonly heads: Map<string, number>;
  /** Whether a ledger may remove the older messages on its subject. */
  readonly mayRollUp: boolean;
  /** Whether the limits of the stream will remove the ledger soon. */
  readonly isLedgerOld: boolean;
}

export interface StreamDeps {
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly subscription: string;
  readonly stream: string;
  readonly prefix: string;
  readonly create: boolean;
}

/**
 * Reads the state of a shard. Publishes a mark and reads up to it, so another forwarder that is still delivering gets a conflict. `start` gives what is known
 * without a ledger in the stream: the position, and whether the receiver is known to have events of this shard.
 */
export async function readStreamState(
  deps: StreamDeps,
  shard: string,
  start: () => Promise<{ position: ChangePosition; hasDelivered: boolean }>,
): Promise<StreamState> {
  const { jsm, stream, prefix } = deps;
  const info = await readInfo(deps);
  // The first message stays, whatever the ledgers remove. So a first sequence above 1 shows that limits of the stream have removed messages.
  if (info.state.last_seq === 0) await begin(deps);
  const last = await jsm.streams.getMessage(stream, { last_by_subj: ledgerSubject(prefix, shard) });
  const message = last === null ? undefined : readMessage(deps, last);
  const ledger = await findLedger(deps, shard, last, message);
  // A mark that says that there was no ledger yet is as good as a ledger without ranges.
  const wasNone = message !== undefined && 'ledger' in message && message.ledger === 0;
  let position = message?.position;
  if (position === undefined || (ledger === undefined && !wasNone)) {
    const known = await start();
    if (known.hasDelivered && info.state.first_seq > 1)
      throw new DeliveryError(
        'gone',
        `the stream ${stream} has lost its ledger of the shard ${shard}, because it was purged or its limits removed it. So it is not known what was delivered. Remove the subscription, and add it again with --from.`,
      );
    position ??= known.position;
  }
  const mark = await publishMark(deps, shard, { position, ledger: ledger?.seq ?? 0 }, last?.seq ?? 0);
  const { places, ...tail } = await readTail(deps, shard, (ledger?.sequence ?? 0) + 1, mark.seq);
  return {
    ...tail,
    delivered: withEvents(new Map(ledger?.delivered), places),
    position,
    sequence: mark.seq,
    lastSequence: mark.seq,
    lastNonce: mark.nonce,
    ledgerSequence: ledger?.seq ?? 0,
    mayRollUp: info.config.allow_rollup_hdrs,
    isLedgerOld: ledger !== undefined && isOld(ledger, info),
  };
}

function isOld({ seq, atMs }: FoundLedger, { state, config }: StreamInfo): boolean {
  const kept = state.last_seq - Math.max(state.first_seq, 1);
  const maxAgeMs = config.max_age / 1_000_000;
  return state.last_seq - seq > kept * REFRESH_PART || (maxAgeMs > 0 && Date.now() - atMs > maxAgeMs * REFRESH_PART);
}

/** Publishes a mark, if `lastSequence` is still the last sequence on the ledger subject. */
async function publishMark(
  { js, stream, prefix, subscription }: StreamDeps,
  shard: string,
  { position, ledger }: { position: ChangePosition; ledger: number },
  lastSequence: number,
): Promise<{ seq: number; nonce: string }> {
  const nonce = randomUUID();
  const { seq } = await js.publish(ledgerSubject(prefix, shard), formatLedger({ subscription, nonce, position, ledger }), {
    expect: { streamName: stream, lastSubjectSequence: lastSequence },
  });
  return { seq, nonce };
}

async function readInfo(deps: StreamDeps): Promise<StreamInfo> {
  const { jsm, stream, prefix, create } = deps;
  let info: StreamInfo;
  try {
    info = await jsm.streams.info(stream);
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== JetStreamApiCodes.StreamNotFound) throw error;
    if (!create)
      throw new DeliveryError(
        'retry',
        `the stream ${stream} does not exist: create it with the subjects ${prefix}.>, or add &create to the URL`,
      );
    info = await jsm.streams.add({
      name: stream,
      subjects: [`${prefix}.>`],
      allow_rollup_hdrs: true,
      max_age: nanos(CREATED_MAX_AGE_MS),
    });
  }
  const { retention, max_msgs_per_subject, no_ack } = info.config;
  if (retention !== RetentionPolicy.Limits || no_ack || max_msgs_per_subject > 0)
    throw new DeliveryError(
      'retry',
      `the stream ${stream} cannot keep a ledger: it must have the retention 'limits', no limit of messages per subject, and acknowledgements`,
    );
  return info;
}

async function begin({ js, stream, prefix, subscription }: StreamDeps): Promise<void> {
  try {
    await js.publish(beginSubject(prefix), JSON.stringify({ v: 1, subscription }), {
      expect: { streamName: stream, lastSubjectSequence: 0 },
    });
  } catch (error) {
    // Another forwarder has published it.
    if (!isWrongSequence(error)) throw error;
  }
}

/** Whether JetStream refused a message because its subject has another last sequence than expected. */
export const isWrongSequence = (error: unknown): boolean =>
  error instanceof JetStreamApiError &&
  (error.code === JetStreamApiCodes.StreamWrongLastSequence || error.code === JetStreamApiCodes.StreamWrongLastSequenceUnknown);

function readMessage({ subscription, prefix }: StreamDeps, { data }: StoredMsg): LedgerMessage {
  const message = parseLedger(data);
  if (message.subscription !== subscription)
    throw new DeliveryError(
      'gone',
      `the subjects ${prefix}.> belong to the subscription '${message.subscription}': deliver with another subject prefix`,
    );
  return message;
}

interface FoundLedger {
  readonly delivered: Ledger;
  readonly sequence: number;
  readonly seq: number;
  readonly atMs: number;
}

/** The last ledger: the last message on the subject, or the one that it names. Undefined if there is none, or not any more. */
async function findLedger(
  deps: StreamDeps,
  shard: string,
  last: StoredMsg | null,
  message: LedgerMessage | undefined,
): Promise<FoundLedger | undefined> {
  if (last === null || message === undefined) return undefined;
  if ('delivered' in message) return { ...message, seq: last.seq, atMs: last.time.getTime() };
  if (message.ledger === 0) return undefined;
  const found = await deps.jsm.streams.getMessage(deps.stream, { seq: message.ledger });
  if (found === null || found.subject !== ledgerSubject(deps.prefix, shard)) return undefined;
  const content = readMessage(deps, found);
  return 'delivered' in content ? { ...content, seq: found.seq, atMs: found.time.getTime() } : undefined;
}

interface Tail {
  readonly events: Map<string, Set<number>>;
  readonly changes: Set<string>;
  readonly heads: Map<string, number>;
  /** The places of the events, by generation. */
  readonly places: Map<string, number[]>;
}

/**
 * Reads the headers of all messages of a shard from a sequence on, up to that of the mark. The number of pending messages that the server gives cannot be
 * used to find the end, because it may be wrong while messages arrive.
 */
async function readTail(deps: StreamDeps, shard: string, from: number, mark: number): Promise<Tail> {
  const { js, jsm, stream, prefix, subscription } = deps;
  const tail = { events: new Map<string, Set<number>>(), changes: new Set<string>(), heads: new Map<string, number>() };
  const places = new Map<string, number[]>();
  const created = await jsm.consumers.add(stream, {
    filter_subject: `${prefix}.${shard}.>`,
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: from,
    ack_policy: AckPolicy.None,
    headers_only: true,
    mem_storage: true,
    inactive_threshold: nanos(60_000),
  });
  try {
    const consumer = await js.consumers.get(stream, created.name);
    for (let delivered = 0, isEnd = false; !isEnd; ) {
      let got = 0;
      for await (const { subject, headers, seq, info } of await consumer.fetch({ max_messages: FETCH_MESSAGES, expires: FETCH_MS })) {
        delivered += 1;
        if (info.deliverySequence !== delivered) throw new DeliveryError('retry', 'messages of NATS were lost while the stream was read');
        if (seq > mark) throw new DeliveryError('conflict', 'another forwarder has published while the stream was read');
        got += 1;
        if (seq === mark) {
          isEnd = true;
          break;
        }
        tail.heads.set(subject, seq);
        const id = parseMessageId(subscription, headers?.get('Nats-Msg-Id') ?? '');
        if (id !== undefined) addIdentity(id);
      }
      if (got === 0) throw new DeliveryError('retry', `the stream ${stream} did not answer while it was read`);
    }
  } finally {
    // The server deletes the consumer itself if this request is lost.
    await jsm.consumers.delete(stream, created.name).catch(() => false);
  }
  return { ...tail, places };

  function addIdentity({ gen, off, change }: NonNullable<ReturnType<typeof parseMessageId>>): void {
    if (change !== undefined) {
      tail.changes.add(change);
      tail.events.get(gen)?.delete(off);
      return;
    }
    const offs = tail.events.get(gen);
    if (offs === undefined) tail.events.set(gen, new Set([off]));
    else offs.add(off);
    const all = places.get(gen);
    if (all === undefined) places.set(gen, [off]);
    else all.push(off);
  }
}

function withEvents(delivered: Map<string, Ranges>, places: ReadonlyMap<string, readonly number[]>): Map<string, Ranges> {
  for (const [gen, offs] of places)
    delivered.set(
      gen,
      union(
        delivered.get(gen) ?? [],
        offs.map((off) => [off, off + 1]),
      ),
    );
  return delivered;
}
