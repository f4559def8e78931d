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
    const dot = event.link.indexOf('.');
    const link = Number(event.link.slice(0, dot));
    const version = Number(event.link.slice(dot + 1));
    if (isAlias(event.slug)) return { link, recipient: 0, version };
    const ids = slugs.read(event.slug);
    if (ids?.link === link) return { link, recipient: ids.recipient, version };
  }
  const checked = slugs.verify(event.slug);
  return checked.ok ? { link: checked.ids.link, recipient: checked.ids.recipient, version: null } : undefined;
}
