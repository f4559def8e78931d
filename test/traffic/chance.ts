import type { Random } from '../chaos/random.ts';
import type { Timeline } from './figures.ts';

/** Returns true with this probability. */
export function chance(random: Random, probability: number): boolean {
  return random.next() < probability;
}

/** Picks a key with a probability proportional to its weight. The weights need not add up to 1. */
export function weighted<K extends string>(random: Random, weights: Readonly<Record<K, number>>): K {
  const entries = Object.entries<number>(weights) as [K, number][];
  let rest = random.next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [key, weight] of entries) {
    rest -= weight;
    if (rest < 0) return key;
  }
  return (entries.at(-1) as [K, number])[0];
}

/** Returns a random waiting time from an exponential distribution with this mean. */
export function exponential(random: Random, mean: number): number {
  return -Math.log(1 - random.next()) * mean;
}

/** Returns a random number 0, 1, 2, … from a geometric distribution with this mean. */
export function geometric(random: Random, mean: number): number {
  return Math.floor(Math.log(1 - random.next()) / Math.log(mean / (1 + mean)));
}

export function between(random: Random, [min, max]: readonly [number, number]): number {
  return min + random.next() * (max - min);
}

/**
 * Returns a random time from the timeline. Between two points of the timeline, the logarithm of the time is interpolated, because most hits
 * come early.
 */
export function timeOf(random: Random, timeline: Timeline): number {
  const share = random.next();
  const next = Math.max(
    1,
    timeline.findIndex(([upTo]) => share < upTo),
  );
  const [low, from] = timeline[next - 1] as readonly [number, number];
  const [high, to] = timeline[next] as readonly [number, number];
  return from * (to / from) ** ((share - low) / (high - low));
}

/** Returns the share of hits that the timeline has reached at a time. */
export function shareBy(timeline: Timeline, ms: number): number {
  const next = timeline.findIndex(([, time]) => ms < time);
  if (next === 0) return 0;
  if (next === -1) return 1;
  const [low, from] = timeline[next - 1] as readonly [number, number];
  const [high, to] = timeline[next] as readonly [number, number];
  return low + ((high - low) * Math.log(ms / from)) / Math.log(to / from);
}

/**
 * Returns the timeline of the remaining hits when a part of all hits is removed. `part` is the timeline of this part, and `weight` is its
 * share.
 */
export function withoutPart(all: Timeline, part: Timeline, weight: number): Timeline {
  return all.map(([share, ms]) => [(share - weight * shareBy(part, ms)) / (1 - weight), ms]);
}
