import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Range, Ranges } from '../core/ranges.ts';
import { union } from '../core/ranges.ts';
import { runs } from '../test/support/runs.ts';
import { createDue } from './due.ts';

const GENS = ['g', 'h'] as const;
const SIZE = 30;
const range = fc.tuple(fc.nat(SIZE), fc.nat(SIZE)).map(([a, b]): Range => [Math.min(a, b), Math.max(a, b)]);
const ranges = fc.array(range, { maxLength: 3 }).map((list) => union(list));
const gen = fc.constantFrom(...GENS);
const ledger = fc.record({ g: ranges, h: ranges }).map((both) => new Map<string, Ranges>(Object.entries(both)));
const step = fc.oneof(
  fc.record({ do: fc.constant('ready' as const), gen, ranges }),
  fc.record({ do: fc.constant('take' as const), bytes: fc.integer({ min: 1, max: 40 }), isDelivered: fc.boolean() }),
  fc.record({ do: fc.constant('hold' as const), gen, ms: fc.nat(5) }),
  fc.record({ do: fc.constant('pass' as const), ms: fc.nat(5) }),
  fc.record({ do: fc.constant('read again' as const) }),
);

/** The places of ranges, one by one. */
const placesOf = (gen: string, list: Ranges): string[] =>
  list.flatMap(([from, to]) => Array.from({ length: to - from }, (_, i) => `${gen}${from + i}`));

test('against a model of single bytes: what is due is what is ready, without what is delivered and what was before the start', () => {
  fc.assert(
    fc.property(ledger, ledger, ledger, fc.array(step, { maxLength: 40 }), (start, delivered, attempted, steps) => {
      let now = 0;
      let due = createDue(start, delivered, attempted, () => now);
      const before = new Set(GENS.flatMap((name) => placesOf(name, start.get(name) ?? [])));
      const done = new Set(GENS.flatMap((name) => placesOf(name, delivered.get(name) ?? [])));
      const perhaps = new Set(GENS.flatMap((name) => placesOf(name, attempted.get(name) ?? [])));
      const ready = new Map<string, Set<string>>(GENS.map((name) => [name, new Set()]));
      const held = new Map<string, number>();
      /** Since when a place has been due. */
      const since = new Map<string, number>();
      const dueNow = (name: string): string[] => [...(ready.get(name) as Set<string>)].filter((p) => !before.has(p) && !done.has(p));
      for (const action of steps) {
        if (action.do === 'pass') now += action.ms;
        if (action.do === 'read again') {
          const rangesOf = (name: string, places: ReadonlySet<string>): Ranges =>
            union([...places].filter((p) => p.startsWith(name)).map((p): Range => [Number(p.slice(1)), Number(p.slice(1)) + 1]));
          const again = createDue(start, new Map(GENS.map((name) => [name, rangesOf(name, done)])), attempted, () => now);
          for (const name of GENS) again.setReady(name, rangesOf(name, ready.get(name) as Set<string>));
          again.continueFrom(due);
          due = again;
          held.clear();
        }
        if (action.do === 'hold') {
          due.hold(action.gen, action.ms);
          held.set(action.gen, now + action.ms);
        }
        if (action.do === 'ready') {
          due.setReady(action.gen, action.ranges);
          ready.set(action.gen, new Set(placesOf(action.gen, action.ranges)));
        }
        if (action.do === 'take') {
          const taken = due.take(action.bytes);
          const places = taken.flatMap((one) => placesOf(one.gen, [one.range]));
          const possible = GENS.filter((name) => (held.get(name) ?? 0) <= now).flatMap(dueNow);
          expect(new Set(places).size).toBe(places.length);
          expect(places.filter((place) => !possible.includes(place))).toEqual([]);
          expect(places.length).toBe(Math.min(action.bytes, possible.length));
          if (action.isDelivered)
            for (const { gen: name, range: one } of taken) {
              due.setDelivered(name, [one]);
              for (const place of placesOf(name, [one])) done.add(place);
            }
        }
        const all = GENS.flatMap(dueNow);
        expect(due.bytes()).toBe(all.length);
        for (const place of since.keys()) if (!all.includes(place)) since.delete(place);
        for (const place of all) since.set(place, since.get(place) ?? now);
        // The time may be too early, because there are only two sets, but never too late.
        if (all.length === 0) expect(due.waitsSince()).toBeUndefined();
        else expect(due.waitsSince()).toBeLessThanOrEqual(Math.min(...since.values()));
        for (const name of GENS)
          for (let off = 0; off < SIZE; off++) {
            const place = `${name}${off}`;
            expect(due.wasDelivered(name, off)).toBe((done.has(place) || perhaps.has(place)) && !before.has(place));
          }
      }
    }),
    runs(300),
  );
});

test('generations take turns', () => {
  const due = createDue(new Map(), new Map());
  due.setReady('long', [[0, 1_000_000]]);
  due.setReady('short', [[0, 10]]);
  due.take(100);
  expect(due.take(100).map((one) => one.gen)).toContain('short');
});

test('the time for which something waits begins anew when what was there before is delivered', () => {
  let now = 0;
  const due = createDue(new Map(), new Map(), new Map(), () => now);
  for (now = 1; now <= 100; now++) {
    due.setReady('g', [[0, now * 10]]);
    // One step behind: there is always something due.
    due.setDelivered('g', [[0, (now - 1) * 10]]);
    expect(now - (due.waitsSince() as number)).toBeLessThanOrEqual(2);
  }
});
