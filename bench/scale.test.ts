import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { HOUR, MINUTE } from '../test/traffic/figures.ts';
import { capacityOf, MEASURED, shareWithin, TRAFFIC } from './capacity.ts';
import { growthOf } from './growth-model.ts';
import { capacityTable, inputTable, MAILS } from './scale-tables.ts';

test('the tables of docs/scale.md are those of the calculation', async () => {
  const text = await readFile(new URL('../docs/scale.md', import.meta.url), 'utf8');
  const between = (name: string): string | undefined => new RegExp(`<!-- scale: ${name} -->\n([\\s\\S]*?)\n<!-- end -->`).exec(text)?.[1];
  // On a difference, copy the output of `npm run scale` to the document.
  expect(between('input')).toBe(inputTable());
  expect(between('result')).toBe(capacityTable(MAILS));
});

test('ten times the mails need ten times the hits, disks and networks', () => {
  const [small, large] = [capacityOf(1e7), capacityOf(1e8)];
  for (const name of [
    'hitsPerDay',
    'clicksPerSecond',
    'edgeCores',
    'postgresCores',
    'logBytesPerDay',
    'eventDiskBytes',
    'walMegabitsPerSecond',
  ] as const)
    expect(large[name] / small[name]).toBeCloseTo(10);
  expect(small.hitsPerDay).toBeCloseTo(1e7 * (TRAFFIC.opens + TRAFFIC.humanClicks + TRAFFIC.machineClicks));
  expect(small.logBytesPerDay).toBeCloseTo(small.hitsPerDay * MEASURED.logBytes);
});

test('the share of a timeline grows evenly between its points', () => {
  const timeline = [
    [0, MINUTE],
    [0.5, HOUR],
    [1, 3 * HOUR],
  ] as const;
  expect([0, HOUR, 2 * HOUR, 5 * HOUR].map((ms) => shareWithin(timeline, ms))).toEqual([0, 0.5, 0.75, 1]);
});

test('each edge writes a log a day, and another one whenever the log is full', () => {
  const input = { edges: 3, shards: 4, years: 1, campaignsPerDay: 2, rotateMiB: 1 };
  expect(growthOf({ ...input, logBytesPerDay: 10 })).toMatchObject({
    generationsPerDay: 3,
    generations: 3 * 365,
    ledgerRows: 4 * 3 * 365,
    campaigns: 730,
  });
  expect(growthOf({ ...input, logBytesPerDay: 3 * 2.5 * 1024 * 1024 })).toMatchObject({ generationsPerDay: 9 });
});
