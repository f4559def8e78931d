import { type Health, type Problem, problem } from '../core/health.ts';
import type { LinkStore } from './links.ts';

/** The health of a backend. Stale links do not make it unready: it serves the links that it has, however old they are. */
export function backendHealth(links: LinkStore, ready: boolean): Health {
  if (!ready) return { ready, degraded: [] };
  const degraded: Problem[] = [];
  if (!links.fresh()) degraded.push(problem('links-stale'));
  if (!links.snapshotWritten()) degraded.push(problem('snapshot-unwritable'));
  return { ready, degraded };
}
