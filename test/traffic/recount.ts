import { type Hit, type Kind, SHARED, type Who } from './hits.ts';

// Counts hits by their true causes in simple loops. The tests compare the results with the reports. This file shares no code with the
// product.

/** A number for each kind of hit, separately for people and machines. HEAD requests count as clicks and opens of machines. */
export type Table = Record<Kind, Record<Who, number>>;

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

function emptyTable(): Table {
  return { click: { person: 0, machine: 0 }, open: { person: 0, machine: 0 } };
}

/** Returns the number of hits. */
export function totals(hits: readonly Hit[]): Table {
  const table = emptyTable();
  for (const hit of hits) table[hit.kind][hit.truth.who]++;
  return table;
}

/** Returns the number of distinct recipients with at least one such hit. Shared links have no recipient. */
export function uniqueRecipients(hits: readonly Hit[]): Table {
  const table = emptyTable();
  const seen = new Set<string>();
  for (const hit of hits) {
    const name = `${hit.kind} ${hit.truth.who} ${hit.recipient}`;
    if (hit.recipient === SHARED || seen.has(name)) continue;
    seen.add(name);
    table[hit.kind][hit.truth.who]++;
  }
  return table;
}

/**
 * Returns the number of distinct recipients whose letter a person opened. A recipient who clicked counts as a recipient who opened, even if
 * no picture was loaded.
 */
export function recipientsWhoOpened(hits: readonly Hit[]): number {
  return peopleOf(hits).size;
}

/** Returns the recipients with a hit by a person. */
export function peopleOf(hits: readonly Hit[]): Set<number> {
  return new Set(hits.filter(({ truth, recipient }) => truth.who === 'person' && recipient !== SHARED).map(({ recipient }) => recipient));
}

/** Returns a date whose UTC fields have the values of the local time. */
function localTime(t: number, utcOffsetMinutes: number): Date {
  return new Date(t + utcOffsetMinutes * MINUTE);
}

/** Returns hits by local hour, e.g. `2026-10-05T08`, in order of time. Hours without hits are left out. */
export function hitsByHour(hits: readonly Hit[], utcOffsetMinutes: number): Map<string, Table> {
  const hours = new Map<string, Table>();
  for (const hit of [...hits].sort((a, b) => a.t - b.t)) {
    const hour = localTime(hit.t, utcOffsetMinutes).toISOString().slice(0, 13);
    const table = hours.get(hour) ?? emptyTable();
    table[hit.kind][hit.truth.who]++;
    hours.set(hour, table);
  }
  return hours;
}

/** Returns opens by local hour of the day, from 0 to 23. */
export function opensByHour(hits: readonly Hit[], utcOffsetMinutes: number): Record<Who, number[]> {
  const opens = { person: new Array<number>(24).fill(0), machine: new Array<number>(24).fill(0) };
  for (const hit of hits) {
    if (hit.kind !== 'open') continue;
    const hour = localTime(hit.t, utcOffsetMinutes).getUTCHours();
    opens[hit.truth.who][hour] = (opens[hit.truth.who][hour] ?? 0) + 1;
  }
  return opens;
}

/**
 * Returns the hits of one kind by people or by machines as `heatmap[day][hour]`. The day is the local day of the week (0 is Monday), and
 * the hour is the local hour.
 */
export function weekHeatmap(hits: readonly Hit[], kind: Kind, who: Who, utcOffsetMinutes: number): number[][] {
  const week = Array.from({ length: 7 }, () => new Array<number>(24).fill(0));
  for (const hit of hits) {
    if (hit.kind !== kind || hit.truth.who !== who) continue;
    const date = localTime(hit.t, utcOffsetMinutes);
    const day = week[(date.getUTCDay() + 6) % 7] as number[];
    day[date.getUTCHours()] = (day[date.getUTCHours()] ?? 0) + 1;
  }
  return week;
}

export interface LinkCount {
  person: number;
  machine: number;
  /** The number of distinct recipients among the clicks of people. */
  people: number;
}

/** Returns clicks by link, in the order of the links. Links without clicks are left out. */
export function clicksByLink(hits: readonly Hit[]): Map<number, LinkCount> {
  const links = new Map<number, LinkCount>();
  const seen = new Set<string>();
  for (const hit of [...hits].sort((a, b) => a.link - b.link)) {
    if (hit.kind !== 'click') continue;
    const count = links.get(hit.link) ?? { person: 0, machine: 0, people: 0 };
    count[hit.truth.who]++;
    const name = `${hit.link} ${hit.recipient}`;
    if (hit.truth.who === 'person' && hit.recipient !== SHARED && !seen.has(name)) {
      seen.add(name);
      count.people++;
    }
    links.set(hit.link, count);
  }
  return links;
}

/** Returns the milliseconds from sending to the first click of a person, by recipient. */
export function firstClickDelays(hits: readonly Hit[], sentAt: number): Map<number, number> {
  const delays = new Map<number, number>();
  for (const hit of hits) {
    if (hit.kind !== 'click' || hit.truth.who !== 'person' || hit.recipient === SHARED) continue;
    const known = delays.get(hit.recipient);
    if (known === undefined || hit.t - sentAt < known) delays.set(hit.recipient, hit.t - sentAt);
  }
  return delays;
}

/**
 * Returns the recipients from 0 to `recipients` - 1 without an open or a click by `by`, in order. With 'anyone', the hits of machines also
 * count.
 */
export function nonOpeners(hits: readonly Hit[], recipients: number, by: Who | 'anyone'): number[] {
  const openers = new Set<number>();
  for (const hit of hits) {
    if (by === 'anyone' || hit.truth.who === by) openers.add(hit.recipient);
  }
  const others: number[] = [];
  for (let recipient = 0; recipient < recipients; recipient++) if (!openers.has(recipient)) others.push(recipient);
  return others;
}

export interface Engagement {
  recipient: number;
  clicks: number;
  opens: number;
}

/** Returns the number of clicks and opens of people for each recipient, ordered by clicks, then opens (both descending), then recipient. */
export function mostEngaged(hits: readonly Hit[]): Engagement[] {
  const all = new Map<number, Engagement>();
  for (const hit of hits) {
    if (hit.truth.who !== 'person' || hit.recipient === SHARED) continue;
    const engagement = all.get(hit.recipient) ?? { recipient: hit.recipient, clicks: 0, opens: 0 };
    if (hit.kind === 'click') engagement.clicks++;
    else engagement.opens++;
    all.set(hit.recipient, engagement);
  }
  return [...all.values()].sort((a, b) => b.clicks - a.clicks || b.opens - a.opens || a.recipient - b.recipient);
}

export interface LinkVisitors {
  recipient: number;
  link: number;
  /** The UTC day, `2026-10-05`. */
  day: string;
  visitors: number;
}

/**
 * Counts the distinct visitors (address and user agent) among the clicks of people, for each recipient, link and UTC day. The rows are
 * sorted in this order. More than one visitor may mean a forward or a second device. Shared links have recipient -1.
 */
export function visitorsPerLink(hits: readonly Hit[]): LinkVisitors[] {
  const rows = new Map<string, { row: LinkVisitors; seen: Set<string> }>();
  for (const hit of hits) {
    if (hit.kind !== 'click' || hit.truth.who !== 'person') continue;
    const day = new Date(Math.floor(hit.t / DAY) * DAY).toISOString().slice(0, 10);
    const name = `${hit.recipient} ${hit.link} ${day}`;
    const entry = rows.get(name) ?? { row: { recipient: hit.recipient, link: hit.link, day, visitors: 0 }, seen: new Set<string>() };
    entry.seen.add(`${hit.ip} ${hit.ua}`);
    entry.row.visitors = entry.seen.size;
    rows.set(name, entry);
  }
  return [...rows.values()].map(({ row }) => row).sort((a, b) => a.recipient - b.recipient || a.link - b.link || (a.day < b.day ? -1 : 1));
}

/** Returns the rows of `visitorsPerLink` with more than one visitor, without shared links. */
export function forwards(hits: readonly Hit[]): LinkVisitors[] {
  return visitorsPerLink(hits).filter(({ recipient, visitors }) => recipient !== SHARED && visitors > 1);
}
