import fc from 'fast-check';
import { expect, test } from 'vitest';
import { runs } from '../../test/support/runs.ts';
import { createPace, parseRate } from './pace.ts';

test('a rate is a number for each second, minute, hour or day', () => {
  expect(['10/s', '600/m', '0.5/s', '3600/h', '86400/d'].map(parseRate)).toEqual([100, 100, 2000, 1000, 1000]);
  for (const text of ['10', '10/', '0/s', '-1/s', '10/w', 'fast', '1e3/s'])
    expect(() => parseRate(text)).toThrow(`'${text}' is not a rate`);
});

test('no two messages are closer than the interval, however irregularly they are asked for', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1000 }), fc.array(fc.nat(3000), { minLength: 2, maxLength: 50 }), (interval, pauses) => {
      let clock = 0;
      const wait = createPace(interval, () => clock);
      const times = pauses.map((pause) => {
        clock += pause;
        clock += wait();
        return clock;
      });
      for (const [i, time] of times.slice(1).entries()) expect(time - (times[i] as number)).toBeGreaterThanOrEqual(interval);
      // Nobody waits without need: the last message is not later than the pauses and the intervals add up to.
      expect(times.at(-1)).toBeLessThanOrEqual(pauses.reduce((sum, pause) => sum + Math.max(pause, interval), 0));
    }),
    runs(200),
  );
});
