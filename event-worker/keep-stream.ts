import { jetstream, JetStreamApiError, type JetStreamManager } from '@nats-io/jetstream';
import { errors, type NatsConnection } from '@nats-io/transport-node';
import type { Logger } from '../core/log.ts';
import { eventsSubject, STREAM } from '../core/subjects.ts';
import { sleep } from '../core/time.ts';

// Deletes a stream that stores nothing or does not answer, so that it is created anew.
//
// Stores nothing: if a stream is deleted and created again at once, nats-server 2.9 may remove the files of the new stream together with those of the old one.
// Then it answers every message with an error, until the stream is deleted or the server restarts. From outside, such a stream looks like one
// that is idle: it has no messages, and its last sequence number does not change. So a worker tests an idle stream with a message. The message
// is empty; workers ack it and do nothing else.
//
// Does not answer: after several losses of servers and stores, a cluster may have no leader for the stream although all servers run. This can last
// for ever. To delete the stream, only the cluster needs a leader. If it has none either, the request to delete the stream has no effect.
//
// The deletion loses nothing, because the agents publish again whatever is not committed.

/** The error of JetStream for a message that it could not store. The reason may also be that the stream or the disk is full. */
const NOT_STORED = 10077;
/** A stream is tested when its last sequence number has not changed for this time. */
const IDLE_MS = 10_000;
const LOOK_EVERY_MS = 2_000;
/** The number of tests in succession that must fail before the stream is deleted. */
const FAILURES = 2;
/** A worker deletes the stream after questions about it were not answered for 1 to 1.5 times this time. The factor is random, so that usually one worker does it. */
const SILENT_MS = 30_000;
/** After a deletion because it stored nothing, the stream is not deleted again for this time. If the disk is full, a new stream stores nothing either. */
const PAUSE_MS = 600_000;

/** Runs until `signal` aborts. `shard` is any shard that this worker serves. `onDeleted` is called after each deletion. */
export async function keepStreamStoring(deps: {
  connection: NatsConnection;
  manager: JetStreamManager;
  shard: string;
  log: Logger;
  signal: AbortSignal;
  onDeleted: () => void;
  idleMs?: number;
  silentMs?: number;
  lookEveryMs?: number;
}): Promise<void> {
  const { connection, manager, shard, log, signal, onDeleted } = deps;
  const { idleMs = IDLE_MS, silentMs = SILENT_MS, lookEveryMs = LOOK_EVERY_MS } = deps;
  const publisher = jetstream(connection, { timeout: 5_000 });
  let seen = '';
  let unchangedSinceMs = 0;
  let failures = 0;
  let deletedMs = Number.NEGATIVE_INFINITY;
  /** The time of the first question in a row that was not answered. */
  let silentSinceMs: number | undefined;
  const patienceMs = silentMs * (1 + Math.random() / 2);

  /** Returns whether the stream refuses to store a message although it is empty. */
  async function refuses(): Promise<boolean> {
    try {
      await publisher.publish(eventsSubject(shard), '', { retries: 0 });
      return false;
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === NOT_STORED) return true;
      throw error;
    }
  }

  /** Identifies the stream and its last message. A refused message may change the last sequence number, but not the time of the last message. */
  async function look(): Promise<{ messages: number; state: string }> {
    const askedMs = performance.now();
    try {
      const { created, state } = await manager.streams.info(STREAM);
      silentSinceMs = undefined;
      return { messages: state.messages, state: `${String(created)} ${state.last_ts}` };
    } catch (error) {
      // JetStream has answered if the error is another one, for example that the stream does not exist.
      if (error instanceof errors.TimeoutError) silentSinceMs ??= askedMs;
      else silentSinceMs = undefined;
      throw error;
    }
  }

  async function deleteSilent(): Promise<void> {
    silentSinceMs = undefined;
    log.error('JetStream does not answer questions about the stream; it is deleted and created again');
    // The servers carry out the deletion, but may not answer it.
    await manager.streams.delete(STREAM).catch(() => {});
    onDeleted();
  }

  async function check(): Promise<void> {
    const { messages, state } = await look();
    if (messages > 0 || state !== seen) {
      seen = state;
      unchangedSinceMs = performance.now();
      failures = 0;
      return;
    }
    if (performance.now() - unchangedSinceMs < idleMs || performance.now() - deletedMs < PAUSE_MS) return;
    failures = (await refuses()) ? failures + 1 : 0;
    if (failures < FAILURES) return;
    failures = 0;
    // Another worker may have deleted the stream meanwhile, or an agent may have published a message after all.
    const now = await look();
    if (now.messages > 0 || now.state !== seen) return;
    log.error('the stream is empty and stores nothing; it is deleted and created again');
    await manager.streams.delete(STREAM);
    deletedMs = performance.now();
    onDeleted();
  }

  while (!signal.aborted) {
    // If JetStream does not answer, or if the stream does not exist, the shard workers report it.
    await check().catch(async (error: unknown) => {
      log.debug({ err: error }, 'the stream cannot be tested');
      if (silentSinceMs !== undefined && performance.now() - silentSinceMs >= patienceMs) await deleteSilent();
    });
    await sleep(lookEveryMs, signal);
  }
}
