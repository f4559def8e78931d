import fc from 'fast-check';
import { expect, test } from 'vitest';
import { covers, type Range, type Ranges, union } from '../core/ranges.ts';
import { runs } from '../test/support/runs.ts';
import type { DueRange } from './due.ts';
import type { FeedEvent, Item } from './event.ts';
import { NO_CHANGES, type Reading } from './read-events.ts';
import { slicesOf } from './slices.ts';

const itemAt = (gen: string, off: number): Item => ({ event: { gen, off } as FeedEvent });

/** A reading: disjoint ranges of two generations, and events in some of their places. */
const reading = fc
  .record({
    cuts: fc.uniqueArray(fc.nat(60), { maxLength: 8 }),
    offs: fc.uniqueArray(fc.nat(60), { maxLength: 30 }),
    changes: fc.nat(25),
    isMoved: fc.boolean(),
  })
  .map(({ cuts, offs, changes, isMoved }): Reading => {
    const sorted = cuts.toSorted((a, b) => a - b);
    const ranges: DueRange[] = [];
    for (let i = 0; i + 1 < sorted.length; i += 2)
      ranges.push({ gen: i % 4 === 0 ? 'g' : 'h', range: [sorted[i] as number, sorted[i + 1] as number] satisfies Range });
    const events = ranges.flatMap(({ gen, range: [from, to] }) =>
      offs
        .filter((off) => off >= from && off < to)
        .toSorted((a, b) => a - b)
        .map((off) => itemAt(gen, off)),
    );
    return {
      changes: Array.from({ length: changes }, (_, i) => itemAt('old', i)),
      position: isMoved || changes > 0 ? { id: 7, changedAt: 'then' } : NO_CHANGES,
      events,
      ranges,
      areChangesLeft: false,
      isLacking: false,
    };
  });

test('slices have all items once, in order, and each range only together with its events; the position comes with the last change', () => {
  fc.assert(
    fc.property(reading, fc.integer({ min: 1, max: 7 }), (read, most) => {
      const slices = [...slicesOf(read, NO_CHANGES, most)];
      expect(slices.flatMap(({ items }) => items)).toEqual([...read.changes, ...read.events]);
      const merged = (list: readonly DueRange[], gen: string): Ranges =>
        union(list.filter((one) => one.gen === gen).map((one) => one.range));
      for (const gen of ['g', 'h'])
        expect(
          merged(
            slices.flatMap(({ ranges }) => ranges),
            gen,
          ),
        ).toEqual(merged(read.ranges, gen));
      let delivered = 0;
      const done: DueRange[] = [];
      const isMoved = read.position !== NO_CHANGES;
      for (const { items, ranges, position } of slices) {
        expect(items.length).toBeLessThanOrEqual(most);
        expect(items.length + ranges.length + (position === undefined ? 0 : 1)).toBeGreaterThan(0);
        delivered += items.length;
        done.push(...ranges);
        if (position !== undefined) expect(delivered).toBeGreaterThanOrEqual(read.changes.length);
        // If the process dies after this slice, exactly the events after it are still due.
        const place = [...read.changes, ...read.events];
        for (const [i, { event }] of place.entries()) {
          if (event.gen === 'old') continue;
          const isDone = covers(merged(done, event.gen), event.off, event.off + 1);
          expect(isDone).toBe(i < delivered);
        }
      }
      expect(slices.filter(({ position }) => position !== undefined).length).toBe(isMoved ? 1 : 0);
    }),
    runs(500),
  );
});
