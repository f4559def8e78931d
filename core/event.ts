import { z } from 'zod';
import { ClickledgerError } from './errors.ts';

// The format of the messages between log agent and event worker. One message on the stream is one batch: the events of one shard in one
// byte range of one generation. Agent and worker also exchange a request and a reply about the ledger of a shard.

export const KINDS = ['click', 'open'] as const;
export type Kind = (typeof KINDS)[number];

/**
 * Why a line can never become an event. The worker stores such a line as a dead letter: its offset, length and hash. The text of the line
 * is only in the log.
 */
export const DEAD_REASONS = ['torn', 'not-json', 'bad-field', 'unknown-version', 'too-long', 'unterminated', 'rejected'] as const;
export type DeadReason = (typeof DEAD_REASONS)[number];

/** Why a well-formed line is not counted. The worker sets `forged`; the agent sets the other reasons. */
export const SKIP_REASONS = ['not-tracking', 'not-served', 'malformed-slug', 'forged'] as const;
export type SkipReason = (typeof SKIP_REASONS)[number];

export const MAX_BATCH_BYTES = 512 * 1024;

const offset = z.int().min(0);
const id = z.string().regex(/^[0-9a-f]{32}$/);

const eventSchema = z.object({
  /** Byte offset of the line in its generation. */
  off: offset,
  rid: id,
  /** The time at which nginx finished the request, in epoch milliseconds. The maximum is the largest time of a Date. */
  t: z.int().min(0).max(8.64e15),
  kind: z.enum(KINDS),
  /** The slug or alias in the URL. For an alias `link` is never null. */
  slug: z.string().max(64),
  /** `<link id>.<version>` from the response of the backend; version 0 is the fallback of the campaign. Null if nginx asked no backend. */
  link: z
    .string()
    .regex(/^[1-9]\d{0,15}\.\d{1,9}$/)
    .nullable(),
  head: z.boolean(),
  ua: z.string().max(512),
  ref: z.string().max(512),
  purpose: z.string().max(64),
  /** ISO 3166-1 alpha-2. */
  country: z
    .string()
    .regex(/^[A-Z]{2}$/)
    .nullable(),
  /** Label of a known mail proxy or scanner network. */
  net: z.string().max(64).nullable(),
  /** 64 bits as a signed decimal; null if the salt of the day no longer exists. */
  visitor: z
    .string()
    .regex(/^-?\d{1,19}$/)
    .nullable(),
});

const deadSchema = z.object({ off: offset, reason: z.enum(DEAD_REASONS), length: offset, hash: z.string().regex(/^[0-9a-f]{0,32}$/) });

const batchSchema = z
  .object({
    v: z.literal(1),
    gen: id,
    shard: z.string().min(1).max(16),
    /** Fingerprint of the shard list. */
    shards: z.string().max(16),
    from: offset,
    to: offset,
    /** The length of the generation in bytes. Only the closing batch of a final generation has it. */
    size: offset.optional(),
    skipped: z.partialRecord(z.enum(SKIP_REASONS), z.int().min(1)),
    dead: z.array(deadSchema),
    events: z.array(eventSchema),
  })
  .refine((batch) => batch.from <= batch.to && [...batch.events, ...batch.dead].every(({ off }) => off >= batch.from && off < batch.to), {
    message: 'an offset is outside the range',
  })
  // An empty range overlaps no committed range, so the worker commits such a batch at every delivery. Its lines would be counted
  // repeatedly.
  .refine((batch) => batch.from < batch.to || Object.keys(batch.skipped).length === 0, { message: 'an empty range has skipped lines' });

/** One hit that is counted. */
export type Event = z.infer<typeof eventSchema>;
export type DeadLetter = z.infer<typeof deadSchema>;
export type Skipped = Partial<Record<SkipReason, number>>;
export type Batch = z.infer<typeof batchSchema>;

/**
 * Parses a message; throws `bad-batch`. The error shows nothing of the text, because an invalid message may contain anything, also secrets.
 */
function parse<T>(schema: z.ZodType<T>, text: string, type: string): T {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new ClickledgerError('bad-batch', `a message is not a ${type}: it is not JSON`);
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  // Only the first name of the path: it is a field of the schema. Names further down may be keys from the message.
  throw new ClickledgerError('bad-batch', `a message is not a ${type}: ${String(issue?.path[0] ?? 'all of it')}: ${issue?.code}`);
}

/** Parses the payload of a message. Throws `bad-batch` if it is not a batch. Takes about 2 µs per event. */
export function decodeBatch(payload: Uint8Array): Batch {
  return parse(batchSchema, Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8'), 'batch');
}

const ledgerRequestSchema = z.object({ gens: z.array(id).max(1000) });
const ledgerReplySchema = z.object({
  shards: z.string(),
  gens: z.record(id, z.object({ committed: z.array(z.tuple([offset, offset])), size: offset.nullable() })),
});

/** The ledger of a shard, by generation: the committed ranges, and the length of the generation in bytes once it is final. */
export type LedgerReply = z.infer<typeof ledgerReplySchema>;

/** Parses the request of an agent: the generations that it asks for, at most 1000. Throws `bad-batch`. */
export const parseLedgerRequest = (text: string): { gens: string[] } => parse(ledgerRequestSchema, text, 'ledger request');

/** Parses the reply of a worker. Throws `bad-batch`. */
export const parseLedgerReply = (text: string): LedgerReply => parse(ledgerReplySchema, text, 'ledger reply');
