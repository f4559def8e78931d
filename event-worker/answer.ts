import type { NatsConnection } from '@nats-io/transport-node';
import { type LedgerAnswer, parseLedgerQuestion } from '../core/event.ts';
import type { Logger } from '../core/log.ts';
import type { Pool } from '../core/postgres.ts';
import type { Shard } from '../core/shards.ts';
import { ledgerSubject } from '../core/subjects.ts';
import { readLedger } from './ledger.ts';

/** Answers agents that ask what the shard's ledger has. Silence is an answer too: the agent then concludes nothing. */
export async function answerLedger(deps: {
  connection: NatsConnection;
  pool: Pool;
  shard: Shard;
  shardsFingerprint: string;
  log: Logger;
}): Promise<void> {
  const { connection, pool, shard, shardsFingerprint, log } = deps;
  const questions = connection.subscribe(ledgerSubject(shard.name), { queue: 'workers' });
  for await (const question of questions) {
    void (async () => {
      try {
        const { gens } = parseLedgerQuestion(question.string());
        const ledger = await readLedger(pool, shard, shardsFingerprint, gens);
        const answer: LedgerAnswer = { shards: shardsFingerprint, gens: {} };
        for (const [gen, { committed, size }] of ledger) answer.gens[gen] = { committed: committed.map(([from, to]) => [from, to]), size };
        question.respond(JSON.stringify(answer));
      } catch (error) {
        log.warn({ err: error, shard: shard.name }, 'cannot say what the ledger has');
      }
    })();
  }
}
