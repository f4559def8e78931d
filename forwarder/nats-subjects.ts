import { type Item, identityOf, itemId } from '../feed/event.ts';

// The subjects and the ids of the messages in the stream of a receiver.
//
//   <prefix>.<shard>.<type>.<lane>   one event
//   <prefix>.<shard>._ledger         what was delivered of the shard
//   <prefix>._begin                  the first message of a stream that was empty
//
// The lane follows from the identity of the event, so the same event always has the same subject. JetStream can compare the last sequence of a
// subject before it stores a message there. It does not answer at once, so many lanes are needed to publish many messages at the same time.

const LANES = 64;

export const ledgerSubject = (prefix: string, shard: string): string => `${prefix}.${shard}._ledger`;
export const beginSubject = (prefix: string): string => `${prefix}._begin`;

export function eventSubject(prefix: string, shard: string, { event, change }: Item): string {
  const type = change === undefined ? event.kind : 'verdict-changed';
  return `${prefix}.${shard}.${type}.${laneOf(identityOf(event)).toString().padStart(2, '0')}`;
}

/** FNV-1a. It must never change: a message that an older version was about to publish could otherwise be stored a second time. */
function laneOf(identity: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < identity.length; i++) hash = Math.imul(hash ^ identity.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % LANES;
}

/**
 * The header Nats-Msg-Id. It has the identity of the subscription, because JetStream drops a message whose id another message of the same stream had in the
 * last minutes, and several subscriptions may deliver to one stream.
 */
export const messageIdOf = (subscription: string, item: Item): string => `${subscription}:${itemId(item)}`;

/** The event or change that a message id stands for. */
export interface MessageIdentity {
  readonly gen: string;
  readonly off: number;
  /** The id of a change of a verdict. Undefined: the event itself. */
  readonly change: string | undefined;
}

/** Parses the header Nats-Msg-Id of a subscription. Undefined if it is not one of this subscription. */
export function parseMessageId(subscription: string, text: string): MessageIdentity | undefined {
  const [owner, gen, off, change, ...rest] = text.split(':');
  if (owner !== subscription || gen === undefined || off === undefined || !/^\d{1,16}$/.test(off) || rest.length > 0) return undefined;
  return { gen, off: Number(off), change: change === undefined ? undefined : `${gen}:${off}:${change}` };
}
