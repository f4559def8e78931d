import { hash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureLink } from '../../authoring/links.ts';
import { ensureSite } from '../../authoring/sites.ts';
import { readReport } from '../../reporting/report-file.ts';
import { runReport } from '../../reporting/run-report.ts';
import { toRows } from '../support/results.ts';
import { generateBehaviours } from '../traffic/behaviours.ts';
import { SHARED } from '../traffic/hits.ts';
import { generateVisits, type SiteHit, siteLine } from '../traffic/visits.ts';
import { type Letter, makeLetter, type Setup, send, startSetup, type StoredHit, storedHits } from './letters.ts';

// Sends the hard traffic (test/traffic/behaviours.ts) through the whole system twice: once without visits, goals and unsubscribes, and once with
// them. It is known who caused each of them, so the verdicts can be checked. The reports must equal a recount.

const SEED = 90_001;
const SENT_AT = Date.UTC(new Date().getUTCFullYear() + 1, 9, 5, 7);
const RECIPIENTS = 4000;
const LINKS = 7;
const ridOf = (i: number): string => hash('sha256', `site ${i}`, 'hex').slice(0, 32);
const GOAL_MS = 30 * 86_400_000;

let setup: Setup;
const letters: Record<'without' | 'with', Letter> = {} as Record<'without' | 'with', Letter>;
const stored: Record<'without' | 'with', StoredHit[]> = { without: [], with: [] };
let siteHits: SiteHit[];

beforeAll(async () => {
  setup = await startSetup(2);
  const targets = Array.from({ length: LINKS }, (_, n) => ({ target: `https://shop.example/page-${n + 1}` }));
  for (const name of ['without', 'with'] as const) {
    const plan = { seed: SEED, recipients: RECIPIENTS, links: LINKS, sentAt: SENT_AT, set: 'hard' as const, name, people: name, targets };
    letters[name] = await makeLetter(setup, { ...plan, generate: generateBehaviours });
  }
  const { urls, author } = setup;
  const letter = letters.with;
  const last = (url: string): string => new URL(url).pathname.slice(3);
  const site = last(urls.site((await ensureSite(author, 'shop.example')).id));
  const unsubscribe = await ensureLink(author, letter.campaign, { kind: 'unsubscribe' });
  siteHits = generateVisits(letter.hits, SEED).filter(({ kind, click }) => kind !== 'unsubscribe' || click?.recipient !== SHARED);
  const lines = siteHits.map((hit, i) => {
    const person = hit.click && letter.people[hit.click.recipient];
    const link = letter.links[hit.click?.link ?? 0]?.id as number;
    const paths = {
      site,
      click: last(urls.click(link, person?.id ?? 0)),
      unsubscribe: last(urls.unsubscribe(unsubscribe, person?.id ?? 0)),
    };
    return siteLine(hit, paths, ridOf(i));
  });
  // The first third of the visits and goals is in the log before their clicks, and the rest arrives after the clicks were judged.
  const third = Math.floor(lines.length / 3);
  await send(setup, [letters.without, { ...letter, lines: [...lines.slice(0, third), ...letter.lines] }]);
  await send(setup, [{ ...letter, lines: lines.slice(third) }]);
  for (const name of ['without', 'with'] as const) {
    const hits = await storedHits(setup.analyst, letters[name]);
    if (hits.includes(undefined)) throw new Error(`hits of ${name} are not stored`);
    stored[name] = hits as StoredHit[];
  }
}, 180_000);

afterAll(() => setup?.stop());

const report = async (name: string, values: Record<string, string>): Promise<Record<string, unknown>[]> =>
  toRows(await runReport(setup.analyst, await readReport(name), values, { timeoutSeconds: 60, zone: 'UTC' }));

/** The shares of the verdicts of clicks. */
function sharesOf(name: 'without' | 'with', who: 'person' | 'machine'): { human: number; unsure: number; machine: number } {
  const clicks = stored[name].filter((hit) => hit.kind === 'click' && hit.truth.who === who);
  const share = (wanted: (verdict: string) => boolean): number => clicks.filter(({ verdict }) => wanted(verdict)).length / clicks.length;
  const [human, unsure] = [share((verdict) => verdict === 'human'), share((verdict) => verdict === 'unsure')];
  return { human, unsure, machine: 1 - human - unsure };
}

test('a visit is a sign of a person: it makes clicks of people certain, and few of machines', () => {
  const percent = (shares: object): string =>
    Object.entries(shares)
      .map(([name, share]) => `${name} ${(100 * share).toFixed(2)} %`)
      .join(', ');
  for (const who of ['person', 'machine'] as const)
    for (const name of ['without', 'with'] as const)
      process.stdout.write(`clicks of a ${who}, ${name} visits: ${percent(sharesOf(name, who))}\n`);
  const [before, after] = [sharesOf('without', 'person'), sharesOf('with', 'person')];
  expect(after.machine).toBeLessThanOrEqual(before.machine);
  expect(after.unsure).toBeLessThan(before.unsure / 2);
  // Only a machine that runs scripts may gain.
  expect(sharesOf('with', 'machine').human - sharesOf('without', 'machine').human).toBeLessThan(0.03);
});

describe('the reports equal a recount', () => {
  /** The hits with their verdicts, of one recipient, by time. */
  const clicksOf = (recipient: number): StoredHit[] =>
    stored.with.filter((hit) => hit.kind === 'click' && hit.recipient === recipient).toSorted((a, b) => a.t - b.t);

  test('goals by link', async () => {
    const { rows: goals } = await setup.analyst.query<{ rid: string; verdict: string }>(
      "SELECT replace(request_id::text, '-', '') AS rid, verdict FROM analytics.goals",
    );
    const verdicts = new Map(goals.map(({ rid, verdict }) => [rid, verdict]));
    const expected = new Map<number, { goals: number; cents: number; recipients: Set<number> }>();
    for (const [i, { kind, t, click, value }] of siteHits.entries()) {
      if (kind !== 'goal' || !click) continue;
      const last = clicksOf(click.recipient).findLast(
        (hit) => hit.t <= t && hit.recipient !== SHARED && (hit.verdict === 'human' || hit.verdict === 'unsure'),
      );
      if (last && last.t <= t - GOAL_MS) continue;
      const link = letters.with.links[(last ?? click).link]?.id as number;
      const row = expected.get(link) ?? { goals: 0, cents: 0, recipients: new Set() };
      expected.set(link, row);
      row.goals++;
      if (verdicts.get(ridOf(i)) !== 'human') continue;
      row.cents += Number(value) * 100;
      if (last?.verdict === 'human') row.recipients.add(click.recipient);
    }
    const rows = await report('goals-by-link', { campaign: 'with' });
    expect(rows.length).toBeGreaterThan(3);
    expect(
      new Map(rows.map((row) => [row['link_id'], [row['goals'], row['human_recipients'], Math.round(Number(row['human_value']) * 100)]])),
    ).toEqual(new Map(Array.from(expected, ([link, { goals, cents, recipients }]) => [link, [goals, recipients.size, Math.round(cents)]])));
  });

  test('visits by day, pages and bounces', async () => {
    const visits = siteHits.filter(({ kind }) => kind === 'visit');
    const dayOf = ({ t }: SiteHit): string => new Date(t).toISOString().slice(0, 10);
    const byDay = Map.groupBy(visits, dayOf);
    const rows = await report('visits-by-day', { site: 'shop.example' });
    expect(rows.map(({ day, visits: n }) => [String(day).slice(0, 10), n])).toEqual(
      Array.from(byDay, ([day, list]) => [day, list.length]).toSorted(([a], [b]) => ((a as string) < (b as string) ? -1 : 1)),
    );
    const pages = await report('pages', {});
    expect(new Map(pages.map(({ page, visits: n }) => [page, n]))).toEqual(
      new Map(
        Array.from(
          Map.groupBy(visits, ({ page }) => `shop.example${page}`),
          ([page, list]) => [page, list.length],
        ),
      ),
    );
    const { rows: human } = await setup.analyst.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM analytics.visits WHERE verdict = 'human'`,
    );
    expect(pages.reduce((sum, row) => sum + Number(row['human_visits']), 0)).toBe(human[0]?.n);
    const bounces = await report('bounces', {});
    const goals = new Set(siteHits.filter(({ kind }) => kind === 'goal').map(({ session }) => session));
    const sessions = Map.groupBy(visits, ({ session }) => session);
    const bounced = [...sessions].filter(([session, list]) => list.length === 1 && !goals.has(session)).length;
    // Sessions of machines whose visits were not judged human are left out.
    const total = bounces.reduce((sum, row) => sum + Number(row['sessions']), 0);
    expect(total).toBeLessThanOrEqual(sessions.size);
    expect(bounces.reduce((sum, row) => sum + Number(row['bounced']), 0)).toBeLessThanOrEqual(bounced);
    expect(total - bounces.reduce((sum, row) => sum + Number(row['bounced']), 0)).toBeGreaterThan(0);
  });

  test('unsubscribes', async () => {
    const people = new Set(siteHits.filter(({ kind }) => kind === 'unsubscribe').map(({ click }) => click?.recipient));
    expect(people.size).toBeGreaterThan(5);
    expect(await report('unsubscribes', { campaign: 'with' })).toMatchObject([
      { unsubscribed: people.size, still_unsubscribed: people.size },
    ]);
  });
});
