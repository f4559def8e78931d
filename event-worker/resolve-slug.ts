import type { Event } from '../core/event.ts';
import { isAlias, type SlugCodec, type SlugIds } from '../core/slug.ts';

/** The link and the recipient of a hit, and the version of the link that the backend served; null if the event has none. */
export interface SlugTarget extends SlugIds {
  version: number | null;
}

/** Finds the link and the recipient of an event. Undefined if none of the keys signed its slug. */
export function resolveSlug(event: Event, slugs: SlugCodec): SlugTarget | undefined {
  if (event.link !== null) {
    // The backend verified the slug before it responded with a link, so the signature need not be verified again.
    const dot = event.link.indexOf('.');
    const link = Number(event.link.slice(0, dot));
    const version = Number(event.link.slice(dot + 1));
    if (isAlias(event.slug)) return { link, recipient: 0, version };
    const ids = slugs.decode(event.slug);
    if (ids?.link === link) return { link, recipient: ids.recipient, version };
  }
  const result = slugs.verify(event.slug);
  return result.ok ? { link: result.ids.link, recipient: result.ids.recipient, version: null } : undefined;
}
