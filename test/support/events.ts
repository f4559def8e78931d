import type { Event } from '../../core/batch-v1.ts';
import type { Batch, EventColumns } from '../../core/event.ts';

/** Returns events that are stored by column as a list of objects. */
export function eventsOf(columns: EventColumns): Event[] {
  return columns.off.map((off, i) => ({
    off: Number(off),
    rid: columns.rid[i] as string,
    t: columns.t[i] as number,
    kind: columns.kind[i] as Event['kind'],
    slug: columns.slug[i] as string,
    link: columns.link[i] ?? null,
    head: columns.head[i] as boolean,
    altered: columns.altered[i] as boolean,
    ua: columns.agents[columns.agent[i] as number] as string,
    ref: columns.referrers[columns.referrer[i] as number] as string,
    purpose: columns.purposes[columns.purpose[i] as number] as string,
    country: columns.origins[columns.origin[i] as number]?.country ?? null,
    net: columns.origins[columns.origin[i] as number]?.net ?? null,
    visitor: columns.visitor[i] ?? null,
  }));
}

/** Encodes a batch as a message of version 1, as agents of an earlier version did. */
export function encodeV1({ events, ...head }: Batch): Buffer {
  return Buffer.from(JSON.stringify({ v: 1, ...head, events: eventsOf(events) }));
}
