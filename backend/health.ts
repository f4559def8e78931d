import { type Health, problem } from '../core/health.ts';
import type { LinkStore } from './links.ts';

/** What a backend says of itself: it serves whatever it knows, however old. */
export function healthOf(links: LinkStore, ready: boolean): Health {
  if (!ready) return { ready, degraded: [problem('starting')] };
  const degraded = [];
  if (!links.fresh()) degraded.push(problem('links-stale'));
  if (!links.saved()) degraded.push(problem('snapshot-unwritable'));
  return { ready, degraded };
}
