// A backend's picture of the catalog: every link and alias, in memory.

/** A link as a redirect needs it; times in epoch milliseconds. */
export interface Route {
  readonly link: number;
  readonly version: number;
  /** Null for a pixel, which leads nowhere. */
  readonly target: string | null;
  readonly expiresAt: number | null;
  readonly disabledAt: number | null;
  /** The campaign's fallback. */
  readonly fallback: string | null;
}

/** What a click gets; `later`: the slug is good, but its link is new and Postgres does not answer. `link` is logged by nginx, so that the event knows which version was served (0: the fallback). */
export type Outcome = { kind: 'redirect'; location: string; link: string } | { kind: 'gone' } | { kind: 'unknown' } | { kind: 'later' };

export interface Routes {
  readonly links: Map<number, Route>;
  readonly aliases: Map<string, number>;
}

export function emptyRoutes(): Routes {
  return { links: new Map(), aliases: new Map() };
}

/** Decides for a known link at a moment (epoch milliseconds). */
export function outcomeOf(route: Route | undefined, nowMs: number): Outcome {
  if (!route || route.target === null) return { kind: 'unknown' };
  const live = (route.disabledAt === null || nowMs < route.disabledAt) && (route.expiresAt === null || nowMs < route.expiresAt);
  if (live) return { kind: 'redirect', location: route.target, link: `${route.link}.${route.version}` };
  if (route.fallback !== null) return { kind: 'redirect', location: route.fallback, link: `${route.link}.0` };
  return { kind: 'gone' };
}
