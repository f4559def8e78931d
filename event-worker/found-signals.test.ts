import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EVEN_STEPS, FOUND_SIGNALS, NEARBY, REACH_MS, type Signal, SIGNALS, type Verdict, verdictOf } from '../core/rules.ts';
import { foundSignals, MIDNIGHT_MS, type ModelClick } from '../test/support/found-signals.ts';
import { runs } from '../test/support/runs.ts';
import { type Click, signalsOfClicks } from './found-signals.ts';

const NOON = Date.UTC(2026, 4, 1, 12);
const OWN: Partial<Record<Verdict, Signal[]>> = { human: [], unsure: ['hosting-net'] };
const ownOf = (verdict: Verdict): Signal[] => OWN[verdict] ?? [verdict as Signal];
const byTime = (clicks: readonly ModelClick[]): ModelClick[] => clicks.toSorted((a, b) => a.afterMs - b.afterMs || a.link - b.link);
const judge = (clicks: readonly ModelClick[], known = (click: ModelClick): readonly Signal[] => ownOf(click.verdict)) =>
  signalsOfClicks(
    clicks.map(
      (click): Click => ({
        at: NOON + click.afterMs,
        link: click.link,
        browser: String(click.browser),
        visitor: click.visitor === null ? null : String(click.visitor),
        signals: known(click),
      }),
    ),
  );

const click = (afterMs: number, link: number, changes: Partial<ModelClick> = {}): ModelClick => ({
  afterMs,
  link,
  browser: 1,
  visitor: 1,
  verdict: 'human',
  ...changes,
});
const many = (count: number, stepMs: number, changes: (i: number) => Partial<ModelClick> = () => ({})): ModelClick[] =>
  Array.from({ length: count }, (_, i) => click(i * stepMs, i + 1, changes(i)));

/** For each signal: clicks of which the last one has it, and almost the same clicks, which do not have it. */
const EXAMPLES: Record<(typeof FOUND_SIGNALS)[number], [having: ModelClick[], lacking: ModelClick[]]> = {
  'near-honeypot': [
    [click(0, 1, { verdict: 'honeypot', browser: 2 }), click(10_000, 2)],
    [click(0, 1, { verdict: 'honeypot', browser: 2 }), click(10_001, 2)],
  ],
  burst: [many(5, 250), many(4, 250)],
  'short-burst': [many(3, 500), many(3, 501)],
  'many-links': [many(6, 12_000), many(6, 12_001)],
  'even-steps': [many(5, 15_000), [...many(4, 5000), click(20_501, 5)]],
  'many-visitors': [many(3, 30_000, (i) => ({ visitor: i })), many(3, 30_001, (i) => ({ visitor: i }))],
  'after-head': [
    [click(0, 1, { verdict: 'head' }), click(10_000, 1)],
    [click(0, 1, { verdict: 'head' }), click(10_000, 2)],
  ],
  echo: [
    [click(0, 1), click(60_000, 1, { browser: 2 })],
    [click(0, 1), click(60_000, 1)],
  ],
};

describe('each signal', () => {
  test.each(Object.entries(EXAMPLES))('%s', (signal, [having, lacking]) => {
    expect(judge(having).at(-1)).toContain(signal);
    expect(judge(lacking).at(-1)).not.toContain(signal);
  });

  test('of a few tabs that a person opens one after the other, there is none', () => {
    const tabs = [click(0, 1), click(900, 3), click(2600, 4), click(3300, 7), click(5000, 9)];
    expect(judge(tabs)).toEqual(tabs.map(() => []));
  });

  test("a person's click between those of a scanner with many addresses is none of them", () => {
    const scan = many(3, 1000, (i) => ({ visitor: 10 + i, verdict: 'unsure' }));
    const signals = judge(byTime([...scan, click(1500, 9, { browser: 3, visitor: 7 })]));
    expect(signals.map((each) => each.includes('many-visitors'))).toEqual([true, true, false, true]);
  });

  test('visitors of two days are not compared, because a person has another number after midnight', () => {
    const clicks = [-3000, -1000, 1000, 3000, 5000].map((ms, i) => click(MIDNIGHT_MS + ms, (i % 2) + 1, { visitor: i }));
    const isMarked = (some: readonly ModelClick[]): boolean[] => judge(some).map((each) => each.includes('many-visitors'));
    expect(isMarked(clicks.slice(0, 4))).toEqual([false, false, false, false]);
    expect(isMarked(clicks)).toEqual([false, false, true, true, true]);
  });

  test('a click that is a machine by its own signals gets no others', () => {
    expect(judge(many(5, 100, () => ({ verdict: 'bot-ua' })))).toEqual(Array.from({ length: 5 }, () => ['bot-ua']));
  });
});

const anyClick = fc.record({
  afterMs: fc.oneof(
    fc.nat(5000),
    fc.nat(100).map((n) => n * 1000),
    fc.constantFrom(10_000, 10_001, 60_000, 60_001, MIDNIGHT_MS),
    fc.integer({ min: -60, max: 10 }).map((seconds) => MIDNIGHT_MS + seconds * 1000),
  ),
  link: fc.integer({ min: 1, max: 9 }),
  browser: fc.integer({ min: 1, max: 3 }),
  visitor: fc.constantFrom(1, 2, 3, null),
  verdict: fc.constantFrom<Verdict>('human', 'human', 'human', 'unsure', 'head', 'honeypot', 'bot-ua'),
});
const anySweep = fc
  .tuple(anyClick, fc.integer({ min: 4, max: 8 }), fc.constantFrom(0, 300, 5000, EVEN_STEPS.longestMs), fc.constantFrom(0, 250, 251))
  .map(([first, count, stepMs, unevenMs]) =>
    Array.from({ length: count }, (_, i) => ({ ...first, link: i + 1, afterMs: first.afterMs + i * stepMs + (i > 2 ? unevenMs : 0) })),
  );
const anyClicks = fc
  .array(fc.oneof({ weight: 4, arbitrary: anyClick.map((one) => [one]) }, { weight: 1, arbitrary: anySweep }), { maxLength: 12 })
  .map((groups) => byTime(groups.flat()));

describe('any clicks', () => {
  test('have the signals of the model', () => {
    fc.assert(
      fc.property(anyClicks, (clicks) => {
        const expected = clicks.map(({ verdict }, i) => {
          const isOpen = verdict === 'human' || verdict === 'unsure';
          const found = isOpen ? foundSignals(clicks[i] as ModelClick, clicks) : [];
          return SIGNALS.filter((signal) => ownOf(verdict).includes(signal) || found.includes(signal));
        });
        expect(judge(clicks)).toEqual(expected);
      }),
      runs(2000),
    );
  });

  test('have the same signals if those that were found before are known', () => {
    fc.assert(
      fc.property(anyClicks, (clicks) => {
        const first = judge(clicks);
        expect(judge(clicks, (each) => first[clicks.indexOf(each)] as readonly Signal[])).toEqual(first);
      }),
      runs(300),
    );
  });

  test('depend only on clicks within REACH_MS', () => {
    fc.assert(
      fc.property(
        anyClicks.filter(({ length }) => length > 0),
        fc.nat(),
        (clicks, n) => {
          const one = clicks[n % clicks.length] as ModelClick;
          const near = clicks.filter(({ afterMs }) => Math.abs(afterMs - one.afterMs) <= REACH_MS);
          expect(judge(near)[near.indexOf(one)]).toEqual(judge(clicks)[clicks.indexOf(one)]);
        },
      ),
      runs(500),
    );
  });

  test('of a bot that clicks very often take time that grows with their number', () => {
    const clicks = Array.from({ length: 50_000 }, (_, i) => click(i, i % 20, { browser: i % 3, visitor: i % 7 }));
    expect(judge(clicks)).toHaveLength(50_000);
  });
});

test('two of the signals together are enough for a machine, unless both measure the pace', () => {
  const [fastest] = judge(many(NEARBY.links, 12_000, (i) => ({ visitor: i }))).slice(-1);
  expect(fastest).toEqual(['many-links', 'even-steps', 'many-visitors']);
  expect(verdictOf(fastest as readonly Signal[])).toBe('many-links');
  expect(verdictOf(['many-links', 'even-steps'])).toBe('unsure');
});
