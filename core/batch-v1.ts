import { z } from 'zod';
import {
  type Batch,
  country,
  type EventColumns,
  headFields,
  id,
  isConsistent,
  type Kind,
  HIT_KINDS,
  MAX_PURPOSE,
  MAX_TEXT,
  MAX_TIME,
  noEvents,
  offset,
  type Origin,
  parseMessage,
} from './event.ts';
import { Listed } from './listed.ts';
import type { SiteFields } from './site-event.ts';

// Version 1 of the format of a batch: one JSON text, with an object for each event. Agents no longer write this version, but the stream of
// a system that was upgraded may still contain such messages.

const eventSchema = z.object({
  off: offset,
  rid: id,
  t: z.int().min(0).max(MAX_TIME),
  kind: z.enum(HIT_KINDS),
  slug: z.string().max(64),
  link: z
    .string()
    .regex(/^[1-9]\d{0,15}\.\d{1,9}$/)
    .nullable(),
  head: z.boolean(),
  ua: z.string().max(MAX_TEXT),
  ref: z.string().max(MAX_TEXT),
  purpose: z.string().max(MAX_PURPOSE),
  country: country.nullable(),
  net: z.string().max(64).nullable(),
  visitor: z
    .string()
    .regex(/^-?\d{1,19}$/)
    .nullable(),
});

const batchSchema = z
  .object({ v: z.literal(1), ...headFields, events: z.array(eventSchema) })
  .refine((batch) => isConsistent(batch) && batch.events.every(({ off }) => off >= batch.from && off < batch.to));

/** One event as an object. */
export interface Event extends Omit<z.infer<typeof eventSchema>, 'kind'> {
  /** Version 1 has no unsubscribes. */
  kind: Kind;
  /** Not part of version 1. */
  altered: boolean;
  /** The fields of a site event. Version 1 has none. */
  site?: SiteFields;
}
export type BatchV1 = z.input<typeof batchSchema>;

/** Parses the text of a message of version 1. Throws `bad-batch` if it is not a batch. */
export function decodeBatchV1(text: string): Batch {
  const { v: _, events, ...head } = parseMessage(batchSchema, text, 'batch');
  return { ...head, events: columnsOf(events.map((event) => ({ ...event, altered: false }))) };
}

/** The columns of events. */
export function columnsOf(events: readonly Event[]): EventColumns {
  const columns = noEvents();
  const agents = new Listed(columns.agents);
  const referrers = new Listed(columns.referrers);
  const purposes = new Listed(columns.purposes);
  const origins = new Listed<Origin>(columns.origins);
  for (const { off, rid, t, kind, head, altered, slug, link, visitor, ua, ref, purpose, country: countryCode, net, site } of events) {
    columns.off.push(String(off));
    columns.rid.push(rid);
    columns.t.push(t);
    columns.kind.push(kind);
    columns.head.push(head);
    columns.altered.push(altered);
    columns.slug.push(slug);
    columns.link.push(link);
    columns.visitor.push(visitor);
    columns.agent.push(agents.indexOf(ua, ua));
    columns.referrer.push(referrers.indexOf(ref, ref));
    columns.purpose.push(purposes.indexOf(purpose, purpose));
    if (site) columns.sites.push(site);
    columns.origin.push(origins.indexOf(JSON.stringify([countryCode, net]), { country: countryCode, net }));
  }
  return columns;
}
