import { messageOf } from '../core/errors.ts';
import { type Health, type Problem, problem } from '../core/health.ts';
import type { ShardSource, Subscriptions } from './subscriptions.ts';

/** Deliveries that fail for a shorter time are ordinary: receivers restart. */
const FAILING_MS = 60_000;
const BEHIND_SECONDS = 600;

/** The present problems. */
export function forwarderHealth(subscriptions: Subscriptions, shards: readonly ShardSource[], isReady: boolean): Health {
  const degraded: Problem[] = [];
  const failure = subscriptions.failure();
  if (failure !== undefined) degraded.push(problem('catalog-unreachable', null, messageOf(failure)));
  for (const { name, feed } of shards) {
    const error = feed.failure();
    if (error !== undefined) degraded.push(problem('shard-unreadable', `shard ${name}`, messageOf(error)));
  }
  for (const name of subscriptions.paused()) degraded.push(problem('subscription-paused', `subscription ${name}`));
  const failing = new Map<string, string>();
  const behind = new Map<string, number>();
  for (const state of subscriptions.states()) {
    if (state.failingMs() > FAILING_MS) failing.set(state.subscription, state.report().lastError ?? '');
    if (state.lagSeconds() > BEHIND_SECONDS)
      behind.set(state.subscription, Math.max(state.lagSeconds(), behind.get(state.subscription) ?? 0));
  }
  for (const [name, error] of failing) degraded.push(problem('delivery-failing', `subscription ${name}`, error));
  for (const [name, seconds] of behind)
    if (!failing.has(name)) degraded.push(problem('delivery-behind', `subscription ${name}`, `${Math.round(seconds)} s`));
  return { ready: isReady, degraded };
}
