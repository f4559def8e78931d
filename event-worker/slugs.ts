import type { Event } from '../core/event.ts';
import { isAlias, type SlugCodec, type SlugIds } from '../core/slug.ts';

/** Which link of which recipient a hit is for, and the version of the address it was served (null: nothing was). */
export interface Subject extends SlugIds {
  version: number | null;
}

/** Undefined: none of our keys signed this slug. */
export function subjectOf(event: Event, slugs: SlugCodec): Subject | undefined {
  if (event.link !== null) {
    // A backend has verified the slug before it answered with a link.
    const [link, version] = event.link.split('.').map(Number) as [number, number];
    if (isAlias(event.slug)) return { link, recipient: 0, version };
    const ids = slugs.read(event.slug);
    if (ids?.link === link) return { ...ids, version };
  }
  const checked = slugs.verify(event.slug);
  return checked.ok ? { ...checked.ids, version: null } : undefined;
}
