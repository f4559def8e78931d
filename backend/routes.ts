// The part of the catalog that a backend holds in memory: every link and every alias.

/** The fields of a link that a redirect needs. Times are epoch milliseconds. */
export interface Route {
  readonly link: number;
  readonly version: number;
  readonly target: string;
  readonly expiresAt: number | null;
  readonly disabledAt: number | null;
  /** The fallback URL of the campaign. */
  readonly fallback: string | null;
  /** Whether the query of a request is added to the target of the link and to the fallback URL. This is a setting of the campaign. */
  readonly passQuery: boolean;
  /** The hosts to whose addresses the slug of the click is added. Null: to none. This is a setting of the campaign. */
  readonly followHosts: readonly string[] | null;
}

/**
 * The outcomes of a click:
 *   redirect  to the target of the link
 *   fallback  to the fallback URL of the campaign, because the link is expired or disabled
 *   gone      the link is expired or disabled, and the campaign has no fallback URL
 *   unknown   the slug is signed, or the name has the form of an alias, but there is no such link
 *   forged    the name is neither a slug with a valid signature nor an alias
 *   later     the slug is valid, but its link is not in memory and Postgres does not answer
 */
export const OUTCOMES = ['redirect', 'fallback', 'gone', 'unknown', 'forged', 'later'] as const;

/**
 * The outcome of one click. nginx logs `link`, so that the event contains the version of the link that was served. Version 0 means the
 * fallback URL.
 */
export type Outcome =
  | { kind: 'redirect' | 'fallback'; location: string; link: string }
  | { kind: Exclude<(typeof OUTCOMES)[number], 'redirect' | 'fallback'> };

export interface Routes {
  readonly links: Map<number, Route>;
  readonly aliases: Map<string, number>;
}

export function emptyRoutes(): Routes {
  return { links: new Map(), aliases: new Map() };
}

/** Returns the outcome of a click on a route at a time in epoch milliseconds. The route of an unknown link is undefined. */
export function outcomeOf(route: Route | undefined, nowMs: number): Outcome {
  if (!route) return { kind: 'unknown' };
  const live = (route.disabledAt === null || nowMs < route.disabledAt) && (route.expiresAt === null || nowMs < route.expiresAt);
  if (live) return { kind: 'redirect', location: route.target, link: `${route.link}.${route.version}` };
  if (route.fallback !== null) return { kind: 'fallback', location: route.fallback, link: `${route.link}.0` };
  return { kind: 'gone' };
}
