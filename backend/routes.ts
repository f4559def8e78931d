// A backend's picture of the catalog: every link and alias, in memory.

/** A link as a redirect needs it; times in epoch milliseconds. */
export interface Route {
  readonly link: number;
  readonly version: number;
  readonly target: string;
  readonly expiresAt: number | null;
  readonly disabledAt: number | null;
  /** The campaign's fallback. */
  readonly fallback: string | null;
}

/**
 * How a click can end.
 *   redirect  to the link's address
 *   fallback  to the campaign's: the link is expired or disabled
 *   gone      the same, and the campaign has none
 *   unknown   the name is signed, or could be an alias, but there is no such link
 *   forged    nothing that we have signed, and no alias
 *   later     the slug is good, but its link is new and Postgres does not answer
 */
export const OUTCOMES = ['redirect', 'fallback', 'gone', 'unknown', 'forged', 'later'] as const;

/** What a click gets. `link` is logged by nginx, so that the event knows which version was served (0: the fallback). */
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

/** Decides for a known link at a moment (epoch milliseconds). */
export function outcomeOf(route: Route | undefined, nowMs: number): Outcome {
  if (!route) return { kind: 'unknown' };
  const live = (route.disabledAt === null || nowMs < route.disabledAt) && (route.expiresAt === null || nowMs < route.expiresAt);
  if (live) return { kind: 'redirect', location: route.target, link: `${route.link}.${route.version}` };
  if (route.fallback !== null) return { kind: 'fallback', location: route.fallback, link: `${route.link}.0` };
  return { kind: 'gone' };
}
