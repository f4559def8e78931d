import { z } from 'zod';
import { SLUG } from './slug.ts';

// A site event is a visit of a page of an author's own site, or a goal there, such as a purchase. A batch contains site events and hits. The
// fields below come from the query of the request (log-agent/site-query.ts).

export const SITE_KINDS = ['visit', 'goal'] as const;
export type SiteKind = (typeof SITE_KINDS)[number];
export const isSiteKind = (kind: string): kind is SiteKind => kind === 'visit' || kind === 'goal';

// Limits, in characters.
export const MAX_NAME = 64;
export const MAX_PAGE = 300;
export const MAX_KEY = 32;
export const MAX_VALUE = 100;
export const MAX_PROPERTIES = 8;

/** A text without control characters. They would be invisible in reports, and Postgres does not store a NUL. */
export const PRINTABLE = /^[^\p{Cc}\p{Cs}]+$/u;
export const SESSION = /^[0-9a-z]{1,10}$/;
/** A decimal number. Postgres stores it exactly. */
export const AMOUNT = /^-?\d{1,12}(?:\.\d{1,6})?$/;
/** A code of ISO 4217. */
export const CURRENCY = /^[A-Z]{3}$/;
export const KEY = /^[A-Za-z][A-Za-z0-9_-]*$/;

const text = (max: number) => z.string().max(max).regex(PRINTABLE);

export const siteFields = z.strictObject({
  /** The id of the site: a slug whose link is the number of the site and whose recipient is 0. */
  site: z.string().regex(SLUG),
  /** The name of the goal. Empty for a visit. */
  name: text(MAX_NAME).or(z.literal('')),
  /** A random number of the browser's tab, in base 36. */
  session: z.string().regex(SESSION).optional(),
  /** Host and path of the page. */
  page: text(MAX_PAGE).optional(),
  value: z.string().regex(AMOUNT).optional(),
  currency: z.string().regex(CURRENCY).optional(),
  properties: z
    .record(z.string().max(MAX_KEY).regex(KEY), text(MAX_VALUE))
    .refine((properties) => Object.keys(properties).length <= MAX_PROPERTIES)
    .optional(),
  /** The number of parameters that were left out, because they are malformed, too long or too many. */
  dropped: z.int().min(0).max(100_000),
});

/** The fields of a site event that other events do not have. */
export type SiteFields = z.infer<typeof siteFields>;
