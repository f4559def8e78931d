import fc from 'fast-check';
import { expect, test } from 'vitest';
import { utcOffsetMs } from '../../core/time-zone.ts';
import { intoSteps } from './timeline.ts';

const QUARTER_MS = 900_000;
const DAY_MS = 86_400_000;
const zones = fc.constantFrom('UTC', 'Asia/Kathmandu', 'America/New_York', 'Europe/Berlin', 'Australia/Lord_Howe', 'America/Santiago');
/** Quarters of an hour in 2026, with some hits. */
const quarters = fc
  .array(
    fc.record({
      quarter: fc.integer({ min: 0, max: 35_000 }).map((n) => new Date(Date.UTC(2026, 0, 1) + n * QUARTER_MS)),
      kind: fc.constantFrom('open' as const, 'click' as const),
      hits: fc.integer({ min: 1, max: 50 }),
    }),
    { minLength: 1, maxLength: 40 },
  )
  .map((list) => list.toSorted((a, b) => a.quarter.getTime() - b.quarter.getTime()));

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

test('every hit of the period is in one step, steps are in order, and there are not too many', () => {
  fc.assert(
    fc.property(quarters, zones, fc.integer({ min: 1, max: 400 * 96 }), (list, zone, length) => {
      const from = list[0]?.quarter.getTime() ?? 0;
      const to = from + length * QUARTER_MS;
      const { at, opens, clicks, stepMs } = intoSteps(list, from, to, zone);
      const inside = list.filter(({ quarter }) => quarter.getTime() < to);
      for (const [kind, counted] of [
        ['open', opens],
        ['click', clicks],
      ] as const)
        expect(sum(counted)).toBe(sum(inside.filter((each) => each.kind === kind).map(({ hits }) => hits)));
      expect(at.length).toBeLessThanOrEqual(62);
      for (const [i, step] of at.slice(1).entries()) expect(step.getTime()).toBeGreaterThan((at[i] as Date).getTime());
      // A day begins at local midnight. Where clocks are changed at midnight, it begins an hour later.
      if (stepMs >= DAY_MS)
        for (const step of at) expect((step.getTime() + utcOffsetMs(zone, step.getTime())) % DAY_MS).toBeLessThanOrEqual(3_600_000);
    }),
    { numRuns: 500 },
  );
});

test('a day on which clocks are changed is one step', () => {
  const at = (text: string) => ({ quarter: new Date(text), kind: 'open' as const, hits: 1 });
  const { at: steps, opens } = intoSteps(
    [at('2026-03-28T12:00Z'), at('2026-03-28T23:00Z'), at('2026-03-29T21:45Z'), at('2026-03-29T22:00Z')],
    Date.parse('2026-03-20T23:00Z'),
    Date.parse('2026-04-10T22:00Z'),
    'Europe/Berlin',
  );
  const days = steps.map((step) => step.toISOString());
  expect(days.slice(7, 11)).toEqual([
    '2026-03-27T23:00:00.000Z',
    '2026-03-28T23:00:00.000Z',
    '2026-03-29T22:00:00.000Z',
    '2026-03-30T22:00:00.000Z',
  ]);
  expect(opens.slice(7, 11)).toEqual([1, 2, 1, 0]);
});
