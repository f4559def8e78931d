import type { JetStreamManager } from '@nats-io/jetstream';
import { JetStreamApiError } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { type LedgerReply, parseLedgerReply } from '../core/event.ts';
import type { Logger } from '../core/log.ts';
import type { ShardMap } from '../core/shards.ts';
import { consumerName, ledgerSubject, STREAM } from '../core/subjects.ts';
import type { Progress } from './coverage.ts';

// The closed loop: what does each shard's ledger have, and which messages are certain to be no longer on their way?

const GENERATIONS_PER_QUESTION = 200;

/** One look at a shard. `incarnation` is when the stream was created: another one means that it was made anew. */
export interface ShardState {
  incarnation: string;
  progress: Progress;
  generations: LedgerReply['gens'];
}

export interface Ledgers {
  /** Undefined while NATS, the stream, the consumer or every worker of the shard is out of reach: then nothing is concluded. */
  ask(shard: string, gens: readonly string[]): Promise<ShardState | undefined>;
}

export function createLedgers(deps: { connection: NatsConnection; manager: JetStreamManager; shards: ShardMap; log: Logger }): Ledgers {
  const { connection, manager, shards, log } = deps;
  const silent = new Set<string>();

  async function look(shard: string, gens: readonly string[]): Promise<ShardState | undefined> {
    // In this order: a message that was acked before the ledger is read has been committed before it.
    const stream = await manager.streams.info(STREAM);
    const consumer = await manager.consumers.info(STREAM, consumerName(shard));
    const idle = consumer.num_pending === 0 && consumer.num_ack_pending === 0;
    const last = stream.state.last_seq;
    // With nothing waiting, everything up to the stream's end has been acked, even if the floor was not moved over gaps.
    const floor = idle ? last : consumer.ack_floor.stream_seq;
    const generations: LedgerReply['gens'] = {};
    for (let i = 0; i < gens.length; i += GENERATIONS_PER_QUESTION) {
      const question = JSON.stringify({ gens: gens.slice(i, i + GENERATIONS_PER_QUESTION) });
      const reply = await connection.request(ledgerSubject(shard), question, { timeout: 5_000 });
      const answer = parseLedgerReply(reply.string());
      if (answer.shards !== shards.fingerprint) {
        log.error({ shard, theirs: answer.shards, ours: shards.fingerprint }, 'the workers of this shard have another shard list; holding');
        return undefined;
      }
      Object.assign(generations, answer.gens);
    }
    return { incarnation: String(stream.created), progress: { floor, last }, generations };
  }

  return {
    async ask(shard, gens) {
      try {
        const state = await look(shard, gens);
        if (silent.delete(shard)) log.info({ shard }, 'the ledger answers again');
        return state;
      } catch (error) {
        const code = error instanceof JetStreamApiError ? error.code : undefined;
        if (!silent.has(shard)) log.warn({ err: error, shard, code }, 'the ledger cannot be asked; unconfirmed batches wait');
        silent.add(shard);
        return undefined;
      }
    },
  };
}
