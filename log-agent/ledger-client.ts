import type { JetStreamManager } from '@nats-io/jetstream';
import { JetStreamApiError } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { type LedgerReply, type LedgerRequest, parseLedgerReply } from '../core/event.ts';
import type { Logger } from '../core/log.ts';
import type { ShardMap } from '../core/shards.ts';
import { consumerName, ledgerSubject, STREAM } from '../core/subjects.ts';
import type { Progress } from './coverage.ts';
import type { Epochs } from './epochs.ts';

// Asks the ledger of each shard which ranges are committed, and asks JetStream which messages are processed. Both answers together show
// which messages are lost.

const GENERATIONS_PER_REQUEST = 200;
/** A worker that stops at the wrong moment does not reply to a request. The request fails after this time. */
export const REPLY_TIMEOUT_MS = 5_000;

/** The state of a shard at one time. `incarnation` is the creation time of the stream. It changes when the stream is created again. */
export interface ShardState {
  incarnation: string;
  progress: Progress;
  generations: LedgerReply['gens'];
}

export interface LedgerClient {
  /**
   * Reads the ranges of some generations and the progress of the consumer. Undefined if NATS, the stream, the consumer or all workers of
   * the shard do not answer, if the workers have another shard list, or if the reply comes from a former primary. In this case the caller
   * must not draw any conclusion.
   */
  ask(shard: string, gens: readonly string[]): Promise<ShardState | undefined>;
}

export function createLedgerClient(deps: {
  connection: NatsConnection;
  manager: JetStreamManager;
  shards: ShardMap;
  epochs: Epochs;
  log: Logger;
}): LedgerClient {
  const { connection, manager, shards, epochs, log } = deps;
  const silentShards = new Set<string>();

  async function queryShard(shard: string, gens: readonly string[]): Promise<ShardState | undefined> {
    // The progress is read before the ledger. A message that is acked at this time was committed before, so the ledger must contain it.
    const stream = await manager.streams.info(STREAM);
    const consumer = await manager.consumers.info(STREAM, consumerName(shard));
    const idle = consumer.num_pending === 0 && consumer.num_ack_pending === 0;
    const last = stream.state.last_seq;
    // If nothing is pending, everything up to the end of the stream is acked, even if the floor has not moved over gaps.
    const floor = idle ? last : consumer.ack_floor.stream_seq;
    const delivered = consumer.num_pending === 0 ? last : consumer.delivered.stream_seq;
    const generations: LedgerReply['gens'] = {};
    for (let i = 0; i < gens.length; i += GENERATIONS_PER_REQUEST) {
      const request: LedgerRequest = { gens: gens.slice(i, i + GENERATIONS_PER_REQUEST), epoch: epochs.of(shard) };
      const message = await connection.request(ledgerSubject(shard), JSON.stringify(request), { timeout: REPLY_TIMEOUT_MS });
      const reply = parseLedgerReply(message.string());
      if (reply.shards !== shards.fingerprint) {
        log.error(
          { shard, theirs: reply.shards, ours: shards.fingerprint },
          'the workers of this shard use another SHARDS setting; nothing is confirmed until both are equal',
        );
        return undefined;
      }
      if (reply.epoch !== undefined && !epochs.see(shard, reply.epoch))
        throw new Error('the reply comes from a former primary of this shard, which is still running');
      Object.assign(generations, reply.gens);
    }
    return { incarnation: String(stream.created), progress: { floor, delivered, last }, generations };
  }

  return {
    async ask(shard, gens) {
      try {
        const state = await queryShard(shard, gens);
        if (silentShards.delete(shard)) log.info({ shard }, 'the ledger answers again');
        return state;
      } catch (error) {
        const code = error instanceof JetStreamApiError ? error.code : undefined;
        if (!silentShards.has(shard)) log.warn({ err: error, shard, code }, 'the ledger does not answer; unconfirmed batches wait');
        silentShards.add(shard);
        return undefined;
      }
    },
  };
}
