import type { Random } from '../chaos/random.ts';
import type { Timeline } from './figures.ts';

/** True with this probability. */
export function chance(random: Random, probability: number): boolean {
  return random.next() < probability;
}

/** A key of the table, as often as its weight says; weights need not add up to 1. */
export function weighted<K extends string>(random: Random, weights: Readonly<Record<K, number>>): K {
  const entries = Object.entries<number>(weights) as [K, number][];
  let rest = random.next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [key, weight] of entries) {
    rest -= weight;
    if (rest < 0) return key;
  }
  return (entries.at(-1) as [K, number])[0];
}

/** A waiting time with this mean. */
export function exponential(random: Random, mean: number): number {
  return -Math.log(1 - random.next()) * mean;
}

/** 0, 1, 2, … with this mean, each next one with the same probability. */
export function geometric(random: Random, mean: number): number {
  return Math.floor(Math.log(1 - random.next()) / Math.log(mean / (1 + mean)));
}

export function between(random: Random, [min, max]: readonly [number, number]): number {
  return min + random.next() * (max - min);
}

/** A time of the timeline; between two of its points evenly over the logarithm, since most comes early. */
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

/** The share that a timeline has reached by a time. */
export function shareBy(timeline: Timeline, ms: number): number {
  const next = timeline.findIndex(([, time]) => ms < time);
  if (next === 0) return 0;
  if (next === -1) return 1;
  const [low, from] = timeline[next - 1] as readonly [number, number];
  const [high, to] = timeline[next] as readonly [number, number];
  return low + ((high - low) * Math.log(ms / from)) / Math.log(to / from);
}

/** The timeline of the others, when `part` of all, a share of `weight`, has one of its own. */
export function withoutPart(all: Timeline, part: Timeline, weight: number): Timeline {
  return all.map(([share, ms]) => [(share - weight * shareBy(part, ms)) / (1 - weight), ms]);
}
