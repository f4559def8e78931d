import { isAlias, type SlugCodec, type SlugIds } from '../core/slug.ts';

/** The link and the recipient of a hit, and the version of the link that the backend served. The version is null if the event has none. */
export interface SlugTarget extends SlugIds {
  version: number | null;
}

/**
 * Finds the link and the recipient of a slug or alias. `served` is the text `<link>.<version>` that a backend returned for the hit. It is
 * null if no backend was asked or none answered. Returns undefined if none of the keys signed the slug.
 */
export function resolveSlug(slug: string, served: string | null, slugs: SlugCodec): SlugTarget | undefined {
  if (served !== null) {
    // The backend verified the slug before it returned a link, so the signature is not verified again here.
    const dot = served.indexOf('.');
    const link = Number(served.slice(0, dot));
    const version = Number(served.slice(dot + 1));
    if (isAlias(slug)) return { link, recipient: 0, version };
    const ids = slugs.decode(slug);
    if (ids?.link === link) return { link, recipient: ids.recipient, version };
  }
  const result = slugs.verify(slug);
  return result.ok ? { link: result.ids.link, recipient: result.ids.recipient, version: null } : undefined;
}
