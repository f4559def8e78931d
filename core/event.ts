import { z } from 'zod';
import { ClickledgerError } from './errors.ts';

// The contract between log agent and event worker: one message is one batch, the events of one shard in one byte range of one generation.

export const KINDS = ['click', 'open'] as const;
export type Kind = (typeof KINDS)[number];

/** Why a line is no event and cannot be one: it is kept as a dead letter with its offset; the line itself stays in the log. */
export const DEAD_REASONS = ['torn', 'not-json', 'bad-field', 'unknown-version', 'too-long', 'unterminated', 'rejected'] as const;
export type DeadReason = (typeof DEAD_REASONS)[number];

/** Why a well-formed line is not counted. `forged` is the worker's word, the others are the agent's. */
export const SKIP_REASONS = ['not-tracking', 'not-served', 'malformed-slug', 'forged'] as const;
export type SkipReason = (typeof SKIP_REASONS)[number];

export const MAX_BATCH_BYTES = 512 * 1024;

const offset = z.int().min(0);
const id = z.string().regex(/^[0-9a-f]{32}$/);

const eventSchema = z.object({
  /** Byte offset of the line in its generation. */
  off: offset,
  rid: id,
  /** When nginx finished the request, epoch milliseconds; at most what a Date can be. */
  t: z.int().min(0).max(8.64e15),
  kind: z.enum(KINDS),
  /** As in the URL: a slug, or an alias (then `link` is never null). */
  slug: z.string().max(64),
  /** `<link id>.<version>` as the backend answered it; version 0 is the campaign's fallback. Null where no backend was asked. */
  link: z
    .string()
    .regex(/^[1-9]\d{0,15}\.\d{1,9}$/)
    .nullable(),
  head: z.boolean(),
  ua: z.string().max(512),
  ref: z.string().max(512),
  purpose: z.string().max(64),
  /** ISO 3166-1 alpha-2. */
  country: z.string().length(2).nullable(),
  /** Label of a known mail proxy or scanner network. */
  net: z.string().max(64).nullable(),
  /** 64 bits as a signed decimal; null where the day's salt is gone. */
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
    /** Set by the closing batch of a final generation: how long it is. */
    size: offset.optional(),
    skipped: z.partialRecord(z.enum(SKIP_REASONS), z.int().min(1)),
    dead: z.array(deadSchema),
    events: z.array(eventSchema),
  })
  .refine((batch) => batch.from <= batch.to && [...batch.events, ...batch.dead].every(({ off }) => off >= batch.from && off < batch.to), {
    message: 'an offset lies outside the range',
  })
  // An empty range touches nothing, so such a batch is taken at every delivery: it must have nothing to count.
  .refine((batch) => batch.from < batch.to || Object.keys(batch.skipped).length === 0, { message: 'an empty range has lines' });

/** One hit that counts. */
export type Event = z.infer<typeof eventSchema>;
export type DeadLetter = z.infer<typeof deadSchema>;
export type Skipped = Partial<Record<SkipReason, number>>;
export type Batch = z.infer<typeof batchSchema>;

/** Throws `bad-batch`, and shows nothing of the text: what is no batch may be anything. */
function parse<T>(schema: z.ZodType<T>, text: string, what: string): T {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new ClickledgerError('bad-batch', `a message is no ${what}: it is not JSON`);
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  // The names that the schema itself has: below them there may be any.
  throw new ClickledgerError('bad-batch', `a message is no ${what}: ${String(issue?.path[0] ?? 'all of it')}: ${issue?.code}`);
}

/** Parses a payload; throws `bad-batch`. Costs about 2 µs an event. */
export function decodeBatch(payload: Uint8Array): Batch {
  return parse(batchSchema, Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8'), 'batch');
}

const ledgerQuestionSchema = z.object({ gens: z.array(id).max(1000) });
const ledgerAnswerSchema = z.object({
  shards: z.string(),
  gens: z.record(id, z.object({ committed: z.array(z.tuple([offset, offset])), size: offset.nullable() })),
});

/** What the ledger of a shard says of a generation: the committed ranges, and its length once it is final. */
export type LedgerAnswer = z.infer<typeof ledgerAnswerSchema>;

/** Both throw `bad-batch`. */
export const parseLedgerQuestion = (text: string): { gens: string[] } => parse(ledgerQuestionSchema, text, 'question');
export const parseLedgerAnswer = (text: string): LedgerAnswer => parse(ledgerAnswerSchema, text, 'answer');
