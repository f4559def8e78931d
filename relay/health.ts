import { messageOf } from '../core/errors.ts';
import { type Health, problem, type Problem } from '../core/health.ts';
import type { Tracking } from './tracking.ts';
import type { Upstream } from './upstream.ts';

/** Asks the catalog and the mail server. `isReady` is whether the relay accepts connections. */
export async function relayHealth(tracking: Tracking, upstream: Upstream, isReady: boolean): Promise<Health> {
  const degraded: Problem[] = [];
  const [obstacle, isReachable] = await Promise.all([tracking.obstacle().catch((error: unknown) => ({ error })), upstream.isReachable()]);
  if (typeof obstacle === 'object') degraded.push(problem('untrackable', null, messageOf(obstacle.error)));
  else if (obstacle !== undefined) degraded.push(problem('untrackable', null, obstacle));
  if (!isReachable) degraded.push(problem('upstream-unreachable'));
  return { ready: isReady, degraded };
}
