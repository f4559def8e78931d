import { AFTER_HEAD_MS, BURST, ECHO, EVEN_STEPS, NEAR_HONEYPOT_MS, NEARBY, type Signal, type Verdict } from '../../core/rules.ts';

// A model of event-worker/found-signals.ts, which compares all clicks with each other.

export interface ModelClick {
  /** Milliseconds after a noon, UTC. */
  afterMs: number;
  link: number;
  browser: number;
  visitor: number | null;
  /** The verdict by the click's own signals. */
  verdict: Verdict;
}

/** `afterMs` at the first midnight, UTC. */
export const MIDNIGHT_MS = 43_200_000;
const dayOf = (afterMs: number): number => Math.floor((afterMs + MIDNIGHT_MS) / (2 * MIDNIGHT_MS));

/** The signals that follow from the other clicks of the letter. Compares all clicks with each other. */
export function foundSignals(click: ModelClick, letter: readonly ModelClick[]): Signal[] {
  const byBrowser = letter.filter(({ browser }) => browser === click.browser);
  const clean = letter.filter(({ verdict }) => verdict === 'human');
  const between = (first: ModelClick, spanMs: number) => (other: ModelClick) =>
    other.afterMs >= first.afterMs && other.afterMs <= first.afterMs + spanMs;
  /** The greatest number of different values among clicks within `spanMs` of each other, this click included. */
  const mostWithin = (clicks: readonly ModelClick[], spanMs: number, valueOf: (hit: ModelClick) => unknown): number =>
    Math.max(
      0,
      ...clicks.map((first) => (between(first, spanMs)(click) ? new Set(clicks.filter(between(first, spanMs)).map(valueOf)).size : 0)),
    );
  const found: Signal[] = [];
  const linksAtOnce = mostWithin(letter, BURST.spanMs, ({ link }) => link);
  if (letter.some(({ verdict, afterMs }) => verdict === 'honeypot' && Math.abs(afterMs - click.afterMs) <= NEAR_HONEYPOT_MS))
    found.push('near-honeypot');
  if (linksAtOnce >= BURST.manyLinks) found.push('burst');
  else if (linksAtOnce >= BURST.fewLinks) found.push('short-burst');
  if (mostWithin(byBrowser, NEARBY.spanMs, ({ link }) => link) >= NEARBY.links) found.push('many-links');
  if (isInEvenSteps(click, byBrowser)) found.push('even-steps');
  const comparedWith = (click.verdict === 'human' ? clean : letter).filter(({ afterMs }) => dayOf(afterMs) === dayOf(click.afterMs));
  if (mostWithin(comparedWith, NEARBY.spanMs, ({ visitor }) => visitor ?? 0) >= NEARBY.visitors) found.push('many-visitors');
  const isHeadBefore = ({ verdict, link, afterMs }: ModelClick): boolean =>
    verdict === 'head' && link === click.link && afterMs <= click.afterMs && click.afterMs <= afterMs + AFTER_HEAD_MS;
  if (byBrowser.some(isHeadBefore)) found.push('after-head');
  const isEchoOf = (first: ModelClick): boolean =>
    first.link === click.link &&
    first.browser !== click.browser &&
    first.afterMs < click.afterMs &&
    click.afterMs <= first.afterMs + ECHO.spanMs;
  if (clean.some(isEchoOf)) found.push('echo');
  return found;
}

function isInEvenSteps({ afterMs, link }: ModelClick, byBrowser: readonly ModelClick[]): boolean {
  const ordered = byBrowser.toSorted((a, b) => a.afterMs - b.afterMs || a.link - b.link);
  return ordered.some((_, i) => {
    const run = ordered.slice(i, i + EVEN_STEPS.clicks);
    const pairs = run.slice(1).map((later, j) => [run[j] as ModelClick, later] as const);
    const steps = pairs.map(([earlier, later]) => later.afterMs - earlier.afterMs);
    const [shortest, longest] = [Math.min(...steps), Math.max(...steps)];
    return (
      run.length === EVEN_STEPS.clicks &&
      run.some((each) => each.afterMs === afterMs && each.link === link) &&
      pairs.every(([earlier, later]) => later.link > earlier.link) &&
      longest <= EVEN_STEPS.longestMs &&
      longest - shortest <= Math.max(EVEN_STEPS.toleranceMs, shortest / 10)
    );
  });
}
