// The catalog as a backend holds it in memory: every link and every alias.

/** The fields of a link that a redirect needs. Times are epoch milliseconds. */
export interface Route {
  readonly link: number;
  readonly version: number;
  readonly target: string;
  readonly expiresAt: number | null;
  readonly disabledAt: number | null;
  /** The fallback URL of the campaign. */
  readonly fallback: string | null;
  /** Whether the query of a request is added to where the link leads, also to the fallback. A setting of the campaign. */
  readonly passQuery: boolean;
}

/**
 * The outcomes of a click.
 *   redirect  to the target of the link
 *   fallback  to the fallback URL of the campaign, because the link is expired or disabled
 *   gone      the link is expired or disabled, and the campaign has no fallback URL
 *   unknown   the slug is signed, or the name has the form of an alias, but there is no such link
 *   forged    the name is neither a slug with a valid signature nor an alias
 *   later     the slug is valid, but its link is not in memory and Postgres does not answer
 */
export const OUTCOMES = ['redirect', 'fallback', 'gone', 'unknown', 'forged', 'later'] as const;

/** The outcome of one click. nginx logs `link`, so that the event has the version that was served (0: the fallback). */
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

/** The outcome of a click on a route at a time (epoch milliseconds); undefined is an unknown link. */
export function outcomeOf(route: Route | undefined, nowMs: number): Outcome {
  if (!route) return { kind: 'unknown' };
  const live = (route.disabledAt === null || nowMs < route.disabledAt) && (route.expiresAt === null || nowMs < route.expiresAt);
  if (live) return { kind: 'redirect', location: route.target, link: `${route.link}.${route.version}` };
  if (route.fallback !== null) return { kind: 'fallback', location: route.fallback, link: `${route.link}.0` };
  return { kind: 'gone' };
}
