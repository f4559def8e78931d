import { z } from 'zod';
import { ClickledgerError } from './errors.ts';
import { SITE_KINDS, type SiteFields } from './site-event.ts';

// The data that the log agent and the event worker exchange. One message on the stream is one batch: the events of one shard in one byte
// range of one generation. batch.ts defines the format of a batch. The agent and the worker also exchange a request and a reply about the
// ledger of a shard.

/** The kinds of hits, which have verdicts. */
export const HIT_KINDS = ['click', 'open'] as const;
export type HitKind = (typeof HIT_KINDS)[number];
/** The kinds of events. An `unsubscribe` is a request by which a recipient asks for no more mail. core/site-event.ts has the others. */
export const KINDS = [...HIT_KINDS, 'unsubscribe', ...SITE_KINDS] as const;
export type Kind = (typeof KINDS)[number];

/**
 * The reasons why a line can never become an event. The worker stores such a line as a dead letter: its offset, length and hash. The text
 * of the line is only in the log.
 */
export const DEAD_REASONS = ['torn', 'not-json', 'bad-field', 'unknown-version', 'too-long', 'unterminated', 'rejected'] as const;
export type DeadReason = (typeof DEAD_REASONS)[number];

/** The reasons why a well-formed line is not counted. The worker sets `forged`; the agent sets the other reasons. */
export const SKIP_REASONS = ['not-tracking', 'not-served', 'malformed-slug', 'malformed-name', 'forged'] as const;
export type SkipReason = (typeof SKIP_REASONS)[number];

/** The maximum number of characters in a text of an event. */
export const MAX_TEXT = 512;
export const MAX_PURPOSE = 64;

export const offset = z.int().min(0);
/** An epoch of a shard. The bound leaves room for promotions after any epoch that a message can have. */
const epoch = z
  .int()
  .min(0)
  .max(2 ** 48);
export const id = z.string().regex(/^[0-9a-f]{32}$/);
/** ISO 3166-1 alpha-2. */
export const country = z.string().regex(/^[A-Z]{2}$/);
const deadSchema = z.object({ off: offset, reason: z.enum(DEAD_REASONS), length: offset, hash: z.string().regex(/^[0-9a-f]{0,32}$/) });

/** The fields of a batch that are not about single events. */
export const headFields = {
  gen: id,
  shard: z.string().min(1).max(16),
  /** Fingerprint of the shard list. */
  shards: z.string().max(16),
  from: offset,
  to: offset,
  /** The length of the generation in bytes. Only the closing batch of a final generation has it. */
  size: offset.optional(),
  /** The highest epoch of the shard that the agent knows. A former primary has a lower one, and refuses the batch. */
  epoch: epoch.optional(),
  skipped: z.partialRecord(z.enum(SKIP_REASONS), z.int().min(1)),
  dead: z.array(deadSchema),
};

/** The largest time of a Date, in epoch milliseconds. */
export const MAX_TIME = 8.64e15;

/** Returns whether the fields of a batch head are consistent with each other. */
export function isConsistent({ from, to, dead, skipped }: BatchHead): boolean {
  const isInRange = from <= to && dead.every(({ off }) => off >= from && off < to);
  // A batch with an empty range must not have skipped lines. An empty range overlaps no committed range, so the worker commits such a batch
  // at every delivery and would count its skipped lines each time.
  return isInRange && (from < to || Object.keys(skipped).length === 0);
}

/**
 * The origin of a request: the ISO 3166-1 alpha-2 code of the country, and the label of the network if it is listed (hosting
 * provider, proxy, mail service or scanner).
 */
export interface Origin {
  readonly country: string | null;
  readonly net: string | null;
}

/**
 * The events of a batch, stored by column. The values at the same index of all columns are one event, which is a hit that is counted.
 * Values that many events share are stored once, in the lists `agents`, `referrers`, `purposes` and `origins`. The columns `agent`,
 * `referrer`, `purpose` and `origin` contain indexes into these lists.
 */
export interface EventColumns {
  /** Byte offset of the line in its generation, in decimal. */
  off: string[];
  /** The request id: 32 hex digits. */
  rid: string[];
  /** The time at which nginx finished the request, in epoch milliseconds. */
  t: number[];
  kind: Kind[];
  /** Whether the request was a HEAD. */
  head: boolean[];
  /** Whether the path of the request had further characters after the slug. */
  altered: boolean[];
  /**
   * The slug or alias in the URL. For an alias, the column `link` is never null. For a site event, the slug of the click that led to it, or
   * `-`.
   */
  slug: string[];
  /**
   * `<link id>.<version>` from the response of the backend. Version 0 means the fallback address of the campaign. Null if nginx asked no
   * backend.
   */
  link: (string | null)[];
  /** The visitor number: 64 bits as a signed decimal. Null if the salt of the day no longer exists. */
  visitor: (string | null)[];
  agent: number[];
  referrer: number[];
  purpose: number[];
  origin: number[];
  /** The fields of the site events, in their order. */
  sites: SiteFields[];
  agents: string[];
  referrers: string[];
  purposes: string[];
  origins: Origin[];
}

export type DeadLetter = z.infer<typeof deadSchema>;
export type Skipped = Partial<Record<SkipReason, number>>;
export type BatchHead = z.infer<z.ZodObject<typeof headFields>>;
export type Batch = BatchHead & { events: EventColumns };

/** Returns columns without any event. */
export function noEvents(): EventColumns {
  return {
    off: [],
    rid: [],
    t: [],
    kind: [],
    head: [],
    altered: [],
    slug: [],
    link: [],
    visitor: [],
    agent: [],
    referrer: [],
    purpose: [],
    origin: [],
    sites: [],
    agents: [],
    referrers: [],
    purposes: [],
    origins: [],
  };
}

/**
 * Parses a message. Throws `bad-batch` if it is invalid. The error contains no part of the text, because an invalid message may contain
 * secrets.
 */
export function parseMessage<T>(schema: z.ZodType<T>, text: string, type: string): T {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new ClickledgerError('bad-batch', `a message is not a ${type}: it is not JSON`);
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  // The error shows only the first name of the path, because that name is a field of the schema. Later names may be keys from the message.
  throw new ClickledgerError('bad-batch', `a message is not a ${type}: ${String(issue?.path[0] ?? 'all of it')}: ${issue?.code}`);
}

const ledgerRequestSchema = z.object({ gens: z.array(id).max(1000), epoch: epoch.optional() });
const ledgerReplySchema = z.object({
  shards: z.string(),
  // Replies of workers without epochs lack this field.
  epoch: epoch.optional(),
  gens: z.record(id, z.object({ committed: z.array(z.tuple([offset, offset])), size: offset.nullable() })),
});

/**
 * The ledger of a shard, by generation: the committed ranges, and the length of the generation in bytes once it is final. `epoch` is that of
 * the database.
 */
export type LedgerReply = z.infer<typeof ledgerReplySchema>;

/** A question of an agent: the ids of at most 1000 generations, and the highest epoch of the shard that the agent knows. */
export type LedgerRequest = z.infer<typeof ledgerRequestSchema>;

/** Parses the question of an agent. Throws `bad-batch`. */
export const parseLedgerRequest = (text: string): LedgerRequest => parseMessage(ledgerRequestSchema, text, 'ledger request');

/** Parses the reply of a worker. Throws `bad-batch`. */
export const parseLedgerReply = (text: string): LedgerReply => parseMessage(ledgerReplySchema, text, 'ledger reply');
