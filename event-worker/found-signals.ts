import {
  AFTER_HEAD_MS,
  BURST,
  type BurstRule,
  ECHO,
  EVEN_STEPS,
  FOUND_SIGNALS,
  NEAR_HONEYPOT_MS,
  NEARBY,
  type Signal,
  type Verdict,
  verdictOf,
} from '../core/rules.ts';
import { entryOf } from './entry-of.ts';
import { inOrder } from './verdict.ts';

// Finds the signals of clicks that follow from other clicks of the same recipient in the same campaign: FOUND_SIGNALS in core/rules.ts, where
// each rule is described. The time that it takes grows with the number of clicks, not with its square, because a bot may click very often.

export interface Click {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly link: number;
  /** Client, system and device, without the version. */
  readonly browser: string;
  readonly visitor: string | null;
  /** The signals that are known so far. */
  readonly signals: readonly Signal[];
}

/** A click with its own signals, which do not depend on other clicks, and the verdict that they give. */
interface JudgedClick extends Click {
  readonly own: readonly Signal[];
  readonly verdict: Verdict;
}

const DAY_MS = 86_400_000;

const FOUND: ReadonlySet<Signal> = new Set(FOUND_SIGNALS);

/** Returns the signals that do not depend on other clicks, in the order of SIGNALS. Signals of other versions of the rules are left out. */
export function ownSignals(signals: readonly Signal[]): readonly Signal[] {
  return inOrder(signals.filter((signal) => !FOUND.has(signal)));
}

/**
 * Returns all signals of each click, in the order of SIGNALS. `clicks` are those of one recipient in one campaign, by time, and by link for
 * equal times. If the own signals of a click give the verdict of a machine, it gets no further ones. Tests may use another rule for bursts.
 */
export function signalsOfClicks(clicks: readonly Click[], burst: BurstRule = BURST): (readonly Signal[])[] {
  const judged = clicks.map((click): JudgedClick => {
    const own = ownSignals(click.signals);
    return { ...click, own, verdict: verdictOf(own) };
  });
  const found = judged.map((): Signal[] => []);
  const mark = (signal: Signal, flags: readonly boolean[], numbers?: readonly number[]): void => {
    for (const [i, flag] of flags.entries()) if (flag) found[numbers ? (numbers[i] as number) : i]?.push(signal);
  };
  const linkOf = ({ link }: Click): number => link;

  mark('near-honeypot', nearHoneypot(judged));
  const inBurst = manyWithin(judged, linkOf, burst.spanMs, burst.manyLinks);
  mark('burst', inBurst);
  mark(
    'short-burst',
    manyWithin(judged, linkOf, burst.spanMs, burst.fewLinks).map((isShort, i) => isShort && !inBurst[i]),
  );
  mark('many-visitors', fromManyVisitors(judged));
  mark('echo', echoes(judged));
  for (const numbers of numbersByBrowser(judged)) {
    const ofBrowser = numbers.map((i) => judged[i] as JudgedClick);
    mark('many-links', manyWithin(ofBrowser, linkOf, NEARBY.spanMs, NEARBY.links), numbers);
    mark('even-steps', inEvenSteps(ofBrowser), numbers);
    mark('after-head', afterHead(ofBrowser), numbers);
  }
  return judged.map(({ own, verdict }, i) => {
    const more = found[i] as Signal[];
    if (more.length === 0 || (verdict !== 'human' && verdict !== 'unsure')) return withoutLoneVisit(own);
    return inOrder([...own, ...more]);
  });
}

/** Returns the signals as they are stored: without `visited` if there is no other signal, because it changes nothing then. */
export const withoutLoneVisit = (signals: readonly Signal[]): readonly Signal[] =>
  signals.length === 1 && signals[0] === 'visited' ? [] : signals;

/** The indexes of the clicks of each browser. */
function numbersByBrowser(clicks: readonly Click[]): Iterable<number[]> {
  const numbers = new Map<string, number[]>();
  for (const [i, { browser }] of clicks.entries()) entryOf(numbers, browser, () => []).push(i);
  return numbers.values();
}

/** Whether each click is one of several within `spanMs` that have at least `wanted` different values. */
function manyWithin<T extends Click>(clicks: readonly T[], valueOf: (click: T) => unknown, spanMs: number, wanted: number): boolean[] {
  const flags = clicks.map(() => false);
  if (clicks.length < wanted) return flags;
  const inWindow = new Map<unknown, number>();
  let end = 0;
  let marked = 0;
  for (const [first, click] of clicks.entries()) {
    for (; end < clicks.length && (clicks[end] as T).at <= click.at + spanMs; end++) {
      const value = valueOf(clicks[end] as T);
      inWindow.set(value, (inWindow.get(value) ?? 0) + 1);
    }
    if (inWindow.size >= wanted) {
      flags.fill(true, Math.max(first, marked), end);
      marked = end;
    }
    const value = valueOf(click);
    const left = (inWindow.get(value) as number) - 1;
    if (left === 0) inWindow.delete(value);
    else inWindow.set(value, left);
  }
  return flags;
}

/**
 * Whether each click is one of those of many visitors. Clicks that are human by their own signals are compared only with each other, because a
 * scanner often comes within a minute of a person's click.
 */
function fromManyVisitors(clicks: readonly JudgedClick[]): boolean[] {
  // A visitor has another number on each UTC day, so the visitors of two days cannot be compared.
  const many = (some: readonly JudgedClick[]): boolean[] =>
    byDay(some).flatMap((ofDay) => manyWithin(ofDay, ({ visitor }) => visitor, NEARBY.spanMs, NEARBY.visitors));
  const amongAll = many(clicks);
  if (!amongAll.includes(true)) return amongAll;
  const clean = clicks.filter(({ verdict }) => verdict === 'human');
  const amongClean = many(clean);
  let next = 0;
  return clicks.map(({ verdict }, i) => (verdict === 'human' ? (amongClean[next++] as boolean) : (amongAll[i] as boolean)));
}

/** The clicks of each UTC day. */
function byDay<T extends Click>(clicks: readonly T[]): T[][] {
  return [...Map.groupBy(clicks, ({ at }) => Math.floor(at / DAY_MS)).values()];
}

/**
 * Whether each click is an echo of an earlier click that is human by its own signals. Of each link it is enough to know the last such click,
 * and the last one by another browser than that.
 */
function echoes(clicks: readonly JudgedClick[]): boolean[] {
  const last = new Map<number, Click>();
  const lastByAnother = new Map<number, Click>();
  let seen = 0;
  return clicks.map(({ at, link, browser }) => {
    // Clicks at the same time are no echoes of each other.
    for (; (clicks[seen] as JudgedClick).at < at; seen++) {
      const click = clicks[seen] as JudgedClick;
      if (click.verdict !== 'human') continue;
      const before = last.get(click.link);
      if (before && before.browser !== click.browser) lastByAnother.set(click.link, before);
      last.set(click.link, click);
    }
    const earlier = last.get(link)?.browser === browser ? lastByAnother.get(link) : last.get(link);
    return earlier !== undefined && at <= earlier.at + ECHO.spanMs;
  });
}

/** Whether each click of one browser belongs to a run of EVEN_STEPS. Equal clicks have the same result. */
function inEvenSteps(clicks: readonly Click[]): boolean[] {
  const flags = clicks.map(() => false);
  for (let end = EVEN_STEPS.clicks; end <= clicks.length; end++) {
    const start = end - EVEN_STEPS.clicks;
    if (!isEven(clicks, start, end)) continue;
    flags.fill(true, start, end);
    for (let i = start; i > 0 && areEqual(clicks[i - 1], clicks[start]); i--) flags[i - 1] = true;
    for (let i = end; i < clicks.length && areEqual(clicks[i], clicks[end - 1]); i++) flags[i] = true;
  }
  return flags;
}

function isEven(clicks: readonly Click[], start: number, end: number): boolean {
  let shortest = Number.POSITIVE_INFINITY;
  let longest = 0;
  for (let i = start + 1; i < end; i++) {
    const [before, click] = [clicks[i - 1] as Click, clicks[i] as Click];
    if (click.link <= before.link) return false;
    shortest = Math.min(shortest, click.at - before.at);
    longest = Math.max(longest, click.at - before.at);
  }
  return longest <= EVEN_STEPS.longestMs && longest - shortest <= Math.max(EVEN_STEPS.toleranceMs, shortest / 10);
}

const areEqual = (one: Click | undefined, other: Click | undefined): boolean => one?.at === other?.at && one?.link === other?.link;

/** Whether each click of one browser follows a HEAD request. Of requests at the same time, the GET counts as the later one. */
function afterHead(clicks: readonly JudgedClick[]): boolean[] {
  const lastHead = new Map<number, number>();
  let seen = 0;
  return clicks.map(({ at, link }) => {
    for (; seen < clicks.length && (clicks[seen] as JudgedClick).at <= at; seen++) {
      const click = clicks[seen] as JudgedClick;
      if (click.own.includes('head')) lastHead.set(click.link, click.at);
    }
    return at <= (lastHead.get(link) ?? Number.NEGATIVE_INFINITY) + AFTER_HEAD_MS;
  });
}

/** Whether a click on the hidden link is near each click. */
function nearHoneypot(clicks: readonly JudgedClick[]): boolean[] {
  const times = clicks.filter(({ own }) => own.includes('honeypot')).map(({ at }) => at);
  let next = 0;
  return clicks.map(({ at }) => {
    while (next < times.length && (times[next] as number) < at - NEAR_HONEYPOT_MS) next++;
    return (times[next] ?? Number.POSITIVE_INFINITY) <= at + NEAR_HONEYPOT_MS;
  });
}
