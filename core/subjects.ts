// The names on NATS that several parts use: stream, subjects, consumers and the bucket of salts.

export const STREAM = 'EVENTS';
export const STREAM_SUBJECTS = 'events.>';
export const SALT_BUCKET = 'salts';

/**
 * The API prefixes of JetStream. Agents and analysts have separate NATS accounts. They use these prefixes to reach the JetStream API of the
 * accounts that own the stream and the salts. See operating/nats-conf.ts.
 */
export const LEDGER_API = '$JS.ledger.API';
export const SALTS_API = '$JS.salts.API';

/** The subject on which the agent publishes the batches of a shard. */
export const eventsSubject = (shard: string): string => `events.${shard}`;

/** The subject on which workers reply to requests for the ledger of a shard. */
export const ledgerSubject = (shard: string): string => `ledger.${shard}`;

/** The name of the durable consumer that the workers of a shard share. */
export const consumerName = (shard: string): string => `worker-${shard}`;
