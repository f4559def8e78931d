import type { AddressRanges } from '../core/address-ranges.ts';
import { ClickledgerError } from '../core/errors.ts';
import type { Pool } from '../core/postgres.ts';
import type { Subscription } from '../feed/subscription.ts';
import { createNatsReceiver } from './nats.ts';
import { createPostgresReceiver } from './postgres.ts';
import type { Receiver } from './receiver.ts';
import { createWebhookReceiver } from './webhook.ts';

/** Creates the receiver of a subscription, by the protocol of its target. Throws `bad-input` for another protocol. */
export function createReceiver(deps: {
  subscription: Subscription;
  catalog: Pool;
  holder: string;
  allowed: AddressRanges;
  /** The setting NATS_CA_FILE. */
  natsCaFile: string;
}): Receiver {
  const { protocol } = new URL(deps.subscription.target);
  switch (protocol) {
    case 'http:':
    case 'https:':
      return createWebhookReceiver(deps);
    case 'postgres:':
    case 'postgresql:':
      return createPostgresReceiver(deps);
    case 'nats:':
    case 'tls:':
      return createNatsReceiver(deps);
    default:
      throw new ClickledgerError('bad-input', `the target of the subscription has the unknown protocol ${protocol}`);
  }
}
