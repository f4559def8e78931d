import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { type LedgerAnswer, parseLedgerQuestion } from '../core/event.ts';
import type { Logger } from '../core/log.ts';
import type { Pool } from '../core/postgres.ts';
import type { Shard } from '../core/shards.ts';
import { ledgerSubject } from '../core/subjects.ts';
import { readLedger } from './ledger.ts';

/** Answers agents that ask what the shard's ledger has, until stopped. Silence is an answer too: the agent then concludes nothing. */
export function answerLedger(deps: { connection: NatsConnection; pool: Pool; shard: Shard; shardsFingerprint: string; log: Logger }): {
  /** Takes no more questions, and resolves when those that it has taken are answered: an agent would wait for the answer. */
  stop: () => Promise<void>;
} {
  const { connection, pool, shard, shardsFingerprint, log } = deps;
  const answering = new Set<Promise<void>>();
  const questions = connection.subscribe(ledgerSubject(shard.name), {
    queue: 'workers',
    callback(error, question) {
      if (error) return log.warn({ err: error, shard: shard.name }, 'cannot be asked what the ledger has');
      const answered = answer(question).finally(() => answering.delete(answered));
      answering.add(answered);
    },
  });

  async function answer(question: Msg): Promise<void> {
    try {
      const { gens } = parseLedgerQuestion(question.string());
      const ledger = await readLedger(pool, shard, shardsFingerprint, gens);
      const known: LedgerAnswer = { shards: shardsFingerprint, gens: {} };
      for (const [gen, { committed, size }] of ledger) known.gens[gen] = { committed: committed.map(([from, to]) => [from, to]), size };
      question.respond(JSON.stringify(known));
    } catch (error) {
      log.warn({ err: error, shard: shard.name }, 'cannot say what the ledger has');
    }
  }

  return {
    async stop() {
      questions.unsubscribe();
      await Promise.all(answering);
    },
  };
}
