import { randomUUID } from 'node:crypto';
import type { AddressRanges } from '../core/address-ranges.ts';
import { messageOf } from '../core/errors.ts';
import type { Pool } from '../core/postgres.ts';
import type { Subscription } from '../feed/subscription.ts';
import { createReceiver } from './create-receiver.ts';
import { assertAccepted, createWebhook } from './webhook.ts';

/** The result of an attempt. `error` is undefined if it succeeded. */
export interface Attempt {
  /** The HTTP status of the answer of a webhook. Undefined: no answer, or another receiver. */
  readonly status?: number | undefined;
  readonly error?: string | undefined;
  readonly milliseconds: number;
}

/**
 * Tries whether a receiver can be reached and accepts deliveries. A webhook gets a signed message of the type `test`, without events. Of other receivers, the ledger
 * is read.
 */
export async function tryReceiver(
  subscription: Subscription,
  catalog: Pool,
  shard: string,
  allowed: AddressRanges,
  natsCaFile: string,
): Promise<Attempt> {
  const startedMs = performance.now();
  const result = (attempt: Omit<Attempt, 'milliseconds'>): Attempt => ({
    ...attempt,
    milliseconds: Math.round(performance.now() - startedMs),
  });
  const isWebhook = /^https?:/.test(subscription.target);
  let status: number | undefined;
  try {
    if (isWebhook) {
      const webhook = createWebhook(subscription.target, subscription.secrets, allowed);
      try {
        const message = { type: 'test', timestamp: new Date().toISOString(), data: { subscription: subscription.name } };
        const answer = await webhook.post(`msg_${randomUUID().replaceAll('-', '')}`, Buffer.from(JSON.stringify(message)));
        status = answer.status;
        assertAccepted(answer);
      } finally {
        webhook.close();
      }
    } else {
      const receiver = createReceiver({ subscription, catalog, holder: randomUUID(), allowed, natsCaFile });
      try {
        await receiver.read(shard);
      } finally {
        await receiver.close();
      }
    }
    return result({ status });
  } catch (error) {
    return result({ status, error: messageOf(error) });
  }
}
