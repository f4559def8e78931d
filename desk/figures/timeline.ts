import { ClickledgerError } from '../../core/errors.ts';
import { parsePeriod } from '../../core/parse-date.ts';
import type { Pool } from '../../core/postgres.ts';
import { startOfDay, utcOffsetMs } from '../../core/time-zone.ts';
import type { RunOptions } from '../../reporting/run-report.ts';
import type { Audience, State } from '../state.ts';
import { readRows } from './read-rows.ts';

// The clicks and opens of a campaign or of one of its links over time, in steps that fit the period.

const QUARTER_MS = 900_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const LENGTHS = { hour: HOUR_MS, day: DAY_MS, week: 7 * DAY_MS } as const;

/** The lengths of a step. The longest ones begin at local midnight. */
const STEPS = [QUARTER_MS, HOUR_MS, 6 * HOUR_MS, DAY_MS, 7 * DAY_MS];
/** A chart has at most so many steps, unless the period needs more of the longest ones. */
const MOST_STEPS = 60;

export interface Timeline {
  /** The beginning of each step. */
  readonly at: Date[];
  readonly opens: number[];
  readonly clicks: number[];
  readonly stepMs: number;
}

interface Quarter {
  quarter: Date;
  kind: 'open' | 'click';
  hits: number;
}

/** Returns the SQL condition on `verdict` for the hits of an audience. With `countUnsure`, unsure hits are hits of people. */
function hitsOf(who: Audience, { countUnsure = false }: Pick<RunOptions, 'countUnsure'>): string {
  const people = countUnsure ? `verdict IN ('human', 'unsure')` : `verdict = 'human'`;
  return { people, machines: `NOT (${people})`, both: 'true' }[who];
}

/** Reads the hits of the period that is chosen. `sentAt` is null if the author has not recorded when the letter was sent. */
export async function readTimeline(
  pool: Pool,
  { campaign, link, sentAt }: { campaign: number; link?: number | undefined; sentAt: Date | null },
  state: State,
  limits: RunOptions,
): Promise<Timeline> {
  const { zone } = limits;
  const custom =
    state.range === 'custom'
      ? parsePeriod(state.from?.replace('T', ' '), state.to?.replace('T', ' '), { zone, now: new Date() })
      : undefined;
  const where = `campaign_id = $1${link === undefined ? '' : ' AND link_id = $2'} AND ${hitsOf(state.who, limits)}`;
  const rows = await readRows<Quarter>(
    pool,
    limits,
    `SELECT quarter, kind, sum(hits)::bigint AS hits FROM analytics.activity_15m WHERE ${where} GROUP BY quarter, kind ORDER BY quarter`,
    link === undefined ? [campaign] : [campaign, link],
  );
  const first = rows[0]?.quarter.getTime();
  const last = rows.at(-1)?.quarter.getTime();
  // Hits before the letter was sent are those of the author.
  const begin = sentAt === null ? first : Math.floor(sentAt.getTime() / QUARTER_MS) * QUARTER_MS;
  if (first === undefined || last === undefined || begin === undefined) return { at: [], opens: [], clicks: [], stepMs: QUARTER_MS };
  const [from, to] =
    state.range === 'custom'
      ? [boundOf(custom?.begins, first), boundOf(custom?.ends, last + QUARTER_MS)]
      : state.range === 'all'
        ? [first - (localMs(first, zone) % HOUR_MS), last + QUARTER_MS]
        : [begin, begin + LENGTHS[state.range]];
  if (to <= from) throw new ClickledgerError('bad-input', 'the period ends before it begins');
  return intoSteps(rows, from, to, zone);
}

const boundOf = (text: string | undefined, preset: number): number => {
  const ms = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isFinite(ms) ? ms : preset;
};

/** The local time of a zone as if it were UTC. */
const localMs = (ms: number, zone: string): number => ms + utcOffsetMs(zone, ms);

/** Adds up quarters of an hour, which are sorted, to steps. A day has its local length, also when clocks are changed. */
export function intoSteps(quarters: readonly Quarter[], from: number, to: number, zone: string): Timeline {
  const stepMs = STEPS.find((ms) => (to - from) / ms <= MOST_STEPS) ?? (STEPS.at(-1) as number);
  const firstDay = Math.floor(localMs(from, zone) / DAY_MS) * DAY_MS;
  const startOf = (step: number): number => (stepMs < DAY_MS ? from + step * stepMs : startOfDay(zone, firstDay + step * stepMs));
  const starts = [startOf(0)];
  for (let step = 1; startOf(step) < to; step++) starts.push(startOf(step));
  const [opens, clicks] = [starts.map(() => 0), starts.map(() => 0)];
  let step = 0;
  for (const { quarter, kind, hits } of quarters) {
    const ms = quarter.getTime();
    if (ms < from || ms >= to) continue;
    while (ms >= (starts[step + 1] ?? Number.POSITIVE_INFINITY)) step++;
    const counts = kind === 'open' ? opens : clicks;
    counts[step] = (counts[step] ?? 0) + hits;
  }
  return { at: starts.map((ms) => new Date(ms)), opens, clicks, stepMs };
}
