// Names that the parts share on NATS.

export const STREAM = 'EVENTS';
export const STREAM_SUBJECTS = 'events.>';
export const SALT_BUCKET = 'salts';

/** Where agents and analysts, which are in accounts of their own, find JetStream's API of those accounts. See operating/nats-conf.ts. */
export const LEDGER_API = '$JS.ledger.API';
export const SALTS_API = '$JS.salts.API';

/** Where the agent publishes a shard's batches. */
export const eventsSubject = (shard: string): string => `events.${shard}`;

/** Where a worker answers what the shard's ledger has. */
export const ledgerSubject = (shard: string): string => `ledger.${shard}`;

/** The durable consumer that the workers of a shard share. */
export const consumerName = (shard: string): string => `worker-${shard}`;
