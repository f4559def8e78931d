import { type Health, type Problem, problem } from '../core/health.ts';
import type { LinkStore } from './links.ts';

/** What a backend says of itself: it serves whatever it knows, however old. */
export function healthOf(links: LinkStore, ready: boolean): Health {
  if (!ready) return { ready, degraded: [] };
  const degraded: Problem[] = [];
  if (!links.fresh()) degraded.push(problem('links-stale'));
  if (!links.saved()) degraded.push(problem('snapshot-unwritable'));
  return { ready, degraded };
}
