import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CAUSES } from '../traffic/hits.ts';
import { makeLetter, type Setup, send, startSetup, type StoredHit, storedHits } from './letters.ts';

// Measures how well the judge separates people from machines. Generated newsletters with hits of known causes go through the whole system,
// and the verdicts are counted.

const SENT_AT = Date.UTC(new Date().getUTCFullYear() + 1, 9, 5, 7);
const RECIPIENTS = 6000;
/** The seed and the number of links of each newsletter. With few links, the burst of a scanner is short. */
const LETTERS = [
  [1, 3],
  [2, 4],
  [3, 6],
  [4, 8],
  [5, 12],
  [6, 25],
] as const;

let setup: Setup;
const found: Record<'ordinary' | 'hard', StoredHit[]> = { ordinary: [], hard: [] };

beforeAll(async () => {
  setup = await startSetup(1);
  const letters = [];
  for (const set of ['ordinary', 'hard'] as const) {
    for (const [seed, links] of LETTERS) {
      const options = { seed, recipients: RECIPIENTS, links, sentAt: SENT_AT, set };
      const targets = Array.from({ length: links }, (_, i) => ({ target: `https://shop.example/page-${i + 1}` }));
      // Each newsletter has different recipients, because a burst may include hits of a recipient from several letters.
      const letter = await makeLetter(setup, { ...options, name: `${set} ${seed}`, people: `${set}-${seed}`, targets });
      letters.push({ set, letter });
    }
  }
  await send(
    setup,
    letters.map(({ letter }) => letter),
  );
  for (const { set, letter } of letters) {
    const stored = await storedHits(setup.analyst, letter);
    found[set].push(...stored.filter((hit) => hit !== undefined));
    if (stored.includes(undefined)) throw new Error(`hits of ${letter.name} are not stored`);
  }
}, 120_000);

afterAll(() => setup?.stop());

interface Judged {
  n: number;
  machines: number;
  unsure: number;
  /** The share that was judged as machines. */
  share: number;
}

const countJudged = (set: 'ordinary' | 'hard', wanted: (hit: StoredHit) => boolean): Judged => {
  const hits = found[set].filter(wanted);
  const unsure = hits.filter(({ verdict }) => verdict === 'unsure').length;
  const machines = hits.filter(({ verdict }) => verdict !== 'human').length - unsure;
  return { n: hits.length, machines, unsure, share: machines / hits.length };
};
const formatShare = ({ n, machines, unsure, share }: Judged): string =>
  `${(share * 100).toFixed(2)} % (${machines} of ${n}), unsure ${((unsure / n) * 100).toFixed(2)} %`;

/** Returns one line for each cause: the share of its hits that were judged as made by a machine. */
function describeSet(set: 'ordinary' | 'hard'): string {
  const lines = (['click', 'open'] as const).flatMap((kind) => [
    `${set}: ${kind}s by machines judged as machines: ${formatShare(countJudged(set, (hit) => hit.kind === kind && hit.truth.who === 'machine'))}`,
    `${set}: ${kind}s by people judged as machines: ${formatShare(countJudged(set, (hit) => hit.kind === kind && hit.truth.who === 'person'))}`,
    ...CAUSES.flatMap((cause) =>
      (['', 'single-link', 'slow-sweep', 'fast-tabs'] as const).flatMap((difficulty) => {
        const group = countJudged(
          set,
          (hit) => hit.kind === kind && hit.truth.cause === cause && (hit.truth.difficulty ?? '') === difficulty,
        );
        return group.n === 0 ? [] : [`    ${cause}${difficulty && `, ${difficulty}`}: ${formatShare(group)}`];
      }),
    ),
  ]);
  return lines.join('\n');
}

describe('the ordinary set', () => {
  test('at least 95 % of the clicks of machines are known as such', () => {
    process.stdout.write(`${describeSet('ordinary')}\n`);
    const clicks = countJudged('ordinary', (hit) => hit.kind === 'click' && hit.truth.who === 'machine');
    expect(clicks.n).toBeGreaterThan(1000);
    expect(clicks.share).toBeGreaterThanOrEqual(0.95);
    // The same must hold without HEAD requests, which are easy to detect.
    expect(
      countJudged('ordinary', (hit) => hit.kind === 'click' && hit.truth.who === 'machine' && hit.method === 'GET').share,
    ).toBeGreaterThanOrEqual(0.95);
  });

  test('under 0.5 % of the clicks of people are taken for machines', () => {
    const clicks = countJudged('ordinary', (hit) => hit.kind === 'click' && hit.truth.who === 'person');
    expect(clicks.n).toBeGreaterThan(1000);
    expect(clicks.share).toBeLessThan(0.005);
  });

  test("opens of Apple's proxy are known, those of people's proxies are people's", () => {
    expect(countJudged('ordinary', (hit) => hit.truth.cause === 'apple-mpp').share).toBeGreaterThanOrEqual(0.95);
    expect(countJudged('ordinary', (hit) => hit.kind === 'open' && hit.truth.who === 'person').share).toBeLessThan(0.005);
  });
});

test('the hard set has no target, and is told', () => {
  process.stdout.write(`${describeSet('hard')}\n`);
  expect(found.hard.length).toBeGreaterThan(found.ordinary.length);
});
