import { type Health, type Problem, problem } from '../core/health.ts';
import type { LinkStore } from './links.ts';

/** Returns the health of a backend. A backend with outdated links is still ready, because it serves the links that it has in memory. */
export function backendHealth(links: LinkStore, ready: boolean): Health {
  if (!ready) return { ready, degraded: [] };
  const degraded: Problem[] = [];
  if (!links.fresh()) degraded.push(problem('links-stale'));
  if (!links.snapshotWritten()) degraded.push(problem('snapshot-unwritable'));
  return { ready, degraded };
}
