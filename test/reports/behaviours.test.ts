import { afterAll, beforeAll, expect, test } from 'vitest';
import { readOnly } from '../../reporting/run-report.ts';
import { type BehavedHit, BEHAVIOURS, generateBehaviours, OPENS } from '../traffic/behaviours.ts';
import type { Hit } from '../traffic/hits.ts';
import { type Letter, makeLetter, type Setup, send, startSetup, type StoredHit, storedHits } from './letters.ts';

// Measures the verdicts by behaviour, on traffic of networks of every kind. The hits go through the whole system. The seeds were not used when
// the weights were chosen; BEHAVIOUR_SEED selects others.

const SEED = Number(process.env['BEHAVIOUR_SEED'] ?? 90_001);
const SENT_AT = Date.UTC(new Date().getUTCFullYear() + 1, 9, 5, 7);
const RECIPIENTS = 4000;
const LINKS = [1, 2, 4, 7, 12];
const SETS = ['ordinary', 'hard'] as const;

type Judged = StoredHit & { behaviour: string };
let setup: Setup;
const judged: Record<(typeof SETS)[number], Judged[]> = { ordinary: [], hard: [] };
/** For each set: the number of recipients for whom a person clicked, and the number that the reports count. */
const clickers: Record<(typeof SETS)[number], { truth: number; counted: number }> = {
  ordinary: { truth: 0, counted: 0 },
  hard: { truth: 0, counted: 0 },
};

/** For each letter: the recipients who clicked, and who are counted with COUNT_UNSURE=yes. */
const likely: { human: number; expected: number; counted: number | undefined }[] = [];

/** The number of recipients with a click of such a verdict. */
const recipientsWith = (stored: readonly (StoredHit | undefined)[], sent: readonly Hit[], verdicts: readonly string[]): number =>
  new Set(sent.filter(({ kind }, i) => kind === 'click' && verdicts.includes(stored[i]?.verdict ?? '')).map(({ recipient }) => recipient))
    .size;

beforeAll(async () => {
  setup = await startSetup(1);
  const letters: { set: (typeof SETS)[number]; letter: Letter }[] = [];
  for (const set of SETS)
    for (const [i, links] of LINKS.entries()) {
      const options = { seed: SEED + i, recipients: RECIPIENTS, links, sentAt: SENT_AT, set };
      const targets = Array.from({ length: links }, (_, n) => ({ target: `https://shop.example/page-${links - n}` }));
      letters.push({
        set,
        letter: await makeLetter(setup, { ...options, name: `${set} ${i}`, people: `${set}-${i}`, targets, generate: generateBehaviours }),
      });
    }
  await send(
    setup,
    letters.map(({ letter }) => letter),
  );
  for (const { set, letter } of letters) {
    const hits = await storedHits(setup.analyst, letter);
    if (hits.includes(undefined)) throw new Error(`hits of ${letter.name} are not stored`);
    judged[set].push(...hits.map((hit, i) => ({ ...(hit as StoredHit), behaviour: (letter.hits[i] as BehavedHit).behaviour })));
    const people = letter.hits.filter(({ kind, truth }) => kind === 'click' && truth.who === 'person').map(({ recipient }) => recipient);
    clickers[set].truth += new Set(people).size;
    const { rows } = await setup.analyst.query<{ n: number }>(
      `SELECT human_recipients AS n FROM analytics.campaign_totals WHERE campaign_id = $1 AND kind = 'click'`,
      [letter.campaign],
    );
    clickers[set].counted += rows[0]?.n ?? 0;
    likely.push({
      human: rows[0]?.n ?? 0,
      expected: recipientsWith(hits, letter.hits, ['human', 'unsure']),
      counted: await readOnly(setup.analyst, { timeoutSeconds: 30, countUnsure: true }, async (client) => {
        const rates = await client.query<{ n: number }>('SELECT human_clicked AS n FROM analytics.campaign_rates WHERE campaign_id = $1', [
          letter.campaign,
        ]);
        return rates.rows[0]?.n;
      }),
    });
  }
}, 180_000);

afterAll(() => setup?.stop());

interface Shares {
  n: number;
  human: number;
  unsure: number;
  machine: number;
}

function sharesOf(hits: readonly Judged[]): Shares {
  const n = hits.length;
  const share = (wanted: (verdict: string) => boolean): number => hits.filter(({ verdict }) => wanted(verdict)).length / n;
  const [human, unsure] = [share((verdict) => verdict === 'human'), share((verdict) => verdict === 'unsure')];
  return { n, human, unsure, machine: 1 - human - unsure };
}

/** The 95 % confidence interval of a share, by Wilson: https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval. */
function interval(share: number, n: number): string {
  const z2 = 1.96 ** 2;
  const middle = (share + z2 / (2 * n)) / (1 + z2 / n);
  const half = (1.96 * Math.sqrt((share * (1 - share)) / n + z2 / (4 * n * n))) / (1 + z2 / n);
  const percent = (value: number): string => (100 * Math.max(0, value)).toFixed(1);
  return `${percent(share)} (${percent(middle - half)} to ${percent(middle + half)})`;
}

function describeSet(set: (typeof SETS)[number]): string {
  const row = (name: string, hits: readonly Judged[]): string => {
    const { n, human, unsure, machine } = sharesOf(hits);
    return `${set}: ${name}: ${n} hits; human ${interval(human, n)} %, unsure ${interval(unsure, n)} %, machine ${interval(machine, n)} %`;
  };
  const of = (kind: string, who: string): Judged[] => judged[set].filter((hit) => hit.kind === kind && hit.truth.who === who);
  const rows = ['click', 'open'].flatMap((kind) => ['person', 'machine'].map((who) => row(`${kind}s of a ${who}`, of(kind, who))));
  const named = [...Object.keys(BEHAVIOURS), ...Object.keys(OPENS)].flatMap((name) => {
    const hits = judged[set].filter(({ behaviour }) => behaviour === name);
    return hits.length === 0 ? [] : [`    ${row(name, hits)}`];
  });
  const { truth, counted } = clickers[set];
  return [
    ...rows,
    ...named,
    `${set}: people who clicked: ${counted} instead of ${truth} (${((100 * (counted - truth)) / truth).toFixed(1)} %)`,
  ].join('\n');
}

test.each([
  ['ordinary', { clicksCalledHuman: 0.02, peopleCalledMachines: 0.003, opensCalledHuman: 0.02, clickersError: 0.01 }],
  ['hard', { clicksCalledHuman: 0.06, peopleCalledMachines: 0.005, opensCalledHuman: 0.06, clickersError: 0.04 }],
] as const)('verdicts in the %s set', (set, limits) => {
  process.stdout.write(`${describeSet(set)}\n`);
  const of = (kind: string, who: string): Shares => sharesOf(judged[set].filter((hit) => hit.kind === kind && hit.truth.who === who));
  expect(of('click', 'machine').human).toBeLessThanOrEqual(limits.clicksCalledHuman);
  expect(of('click', 'person').machine).toBeLessThanOrEqual(limits.peopleCalledMachines);
  expect(of('open', 'machine').human).toBeLessThanOrEqual(limits.opensCalledHuman);
  const { truth, counted } = clickers[set];
  expect(Math.abs(counted - truth) / truth).toBeLessThanOrEqual(limits.clickersError);
});

test('with COUNT_UNSURE the rates count recipients with an unsure click', () => {
  for (const { human, expected, counted } of likely) {
    expect(counted).toBe(expected);
    expect(expected).toBeGreaterThan(human);
  }
});
