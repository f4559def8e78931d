import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { type LedgerReply, parseLedgerRequest } from '../core/event.ts';
import type { Logger } from '../core/log.ts';
import type { Pool } from '../core/postgres.ts';
import type { Shard } from '../core/shards.ts';
import { ledgerSubject } from '../core/subjects.ts';
import type { KnownEpoch } from './known-epoch.ts';
import { readLedger } from './ledger.ts';

/**
 * Replies to the requests of agents for the ledger of a shard, until `stop` is called. If the ledger cannot be read, or the database is a
 * former primary, no reply is sent, and the agent draws no conclusion. `onReply` gets the error, or nothing after a success.
 */
export function serveLedger(deps: {
  connection: NatsConnection;
  pool: Pool;
  shard: Shard;
  shardsFingerprint: string;
  epoch: KnownEpoch;
  log: Logger;
  onReply: (error?: unknown) => void;
}): {
  /** Stops accepting requests. Resolves when all accepted requests have a reply, so that no agent waits until its timeout. */
  stop: () => Promise<void>;
} {
  const { connection, pool, shard, shardsFingerprint, epoch, log, onReply } = deps;
  const pending = new Set<Promise<void>>();
  const subscription = connection.subscribe(ledgerSubject(shard.name), {
    queue: 'workers',
    callback(error, request) {
      if (error) return log.warn({ err: error, shard: shard.name }, 'cannot receive requests for the ledger');
      const replied = reply(request).finally(() => pending.delete(replied));
      pending.add(replied);
    },
  });

  async function reply(request: Msg): Promise<void> {
    try {
      const asked = parseLedgerRequest(request.string());
      epoch.see(asked.epoch);
      const { epoch: own, ledger } = await readLedger(pool, shard, shardsFingerprint, asked.gens, epoch.highest);
      const body: LedgerReply = { shards: shardsFingerprint, epoch: own, gens: {} };
      for (const [gen, { committed, size }] of ledger) body.gens[gen] = { committed: committed.map(([from, to]) => [from, to]), size };
      request.respond(JSON.stringify(body));
      onReply();
    } catch (error) {
      onReply(error);
      log.warn({ err: error, shard: shard.name }, 'cannot reply to a request for the ledger');
    }
  }

  return {
    async stop() {
      subscription.unsubscribe();
      await Promise.all(pending);
    },
  };
}
