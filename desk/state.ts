import { ClickledgerError } from '../core/errors.ts';
import { parseTimeZone } from '../core/time-zone.ts';

// What a reader has chosen on a page. The address bar holds all of it, so that a view can be sent to others.

/** Whose hits are counted. */
export const AUDIENCES = ['people', 'machines', 'both'] as const;
export type Audience = (typeof AUDIENCES)[number];

/** The period of the chart. The first three begin when the letter was sent, or with the first hit. */
export const RANGES = ['hour', 'day', 'week', 'all', 'custom'] as const;
export type Range = (typeof RANGES)[number];

export const FACETS = ['client', 'device', 'system', 'country', 'referrer'] as const;
export type Facet = (typeof FACETS)[number];
/** The tabs of the breakdown. */
export const TABS = [...FACETS, 'goals'] as const;
export type Tab = (typeof TABS)[number];

export interface State {
  readonly who: Audience;
  readonly range: Range;
  /** The period of the range `custom`, as typed: local times of the zone. */
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly facet: Tab;
  /** The time zone that the reader has chosen. Undefined: that of the settings. */
  readonly zone: string | undefined;
  /** Which part of the letter is shown. */
  readonly part: 'html' | 'text';
  /** The version of the letter that is shown. Undefined: the last one. */
  readonly letter: string | undefined;
  /** Whether the letter may load its images. They come from other hosts, which then see the reader. */
  readonly images: boolean;
}

const DEFAULTS: State = {
  who: 'people',
  range: 'all',
  from: undefined,
  to: undefined,
  facet: 'client',
  zone: undefined,
  part: 'html',
  letter: undefined,
  images: false,
};

type Query = Readonly<Record<string, string | undefined>>;

/** Reads the state from the query of a URL. Throws `bad-input` for a value that does not exist. */
export function parseState(query: Query): State {
  const { zone, letter } = query;
  return {
    who: oneOf('who', AUDIENCES, query['who'], DEFAULTS.who),
    range: oneOf('range', RANGES, query['range'], DEFAULTS.range),
    from: timeOf('from', query['from']),
    to: timeOf('to', query['to']),
    facet: oneOf('facet', TABS, query['facet'], DEFAULTS.facet),
    zone: zone === undefined || zone === '' ? undefined : parseTimeZone(zone),
    part: oneOf('part', ['html', 'text'] as const, query['part'], DEFAULTS.part),
    letter: letter === undefined || letter === '' ? undefined : letter,
    images: oneOf('images', ['off', 'on'] as const, query['images'], 'off') === 'on',
  };
}

/** Changes of the state, and other parameters of a page. `hash` is the part of the page to go to. */
type Changes = Partial<State> & { hash?: string; value?: string; mailable?: string };

/** Returns a path with the state in its query. Values that equal their defaults are left out. */
export function addressOf(path: string, state: State, { hash, value, mailable, ...changes }: Changes = {}): string {
  const { images, from, to, ...texts } = { ...state, ...changes };
  const query = new URLSearchParams();
  for (const [name, text] of Object.entries(texts)) if (text !== undefined && text !== DEFAULTS[name as keyof State]) query.set(name, text);
  // The times belong to the range `custom`.
  for (const [name, text] of Object.entries({ from, to })) if (text !== undefined && texts.range === 'custom') query.set(name, text);
  if (images) query.set('images', 'on');
  for (const [name, text] of Object.entries({ value, mailable })) if (text !== undefined) query.set(name, text);
  return `${path}${query.size === 0 ? '' : `?${query.toString()}`}${hash === undefined ? '' : `#${hash}`}`;
}

/** Returns the one of `values` that is given, or `preset` if none is. Throws `bad-input` for any other text. */
export function oneOf<T extends string>(name: string, values: readonly T[], given: string | undefined, preset: T): T {
  if (given === undefined || given === '') return preset;
  const found = values.find((value) => value === given);
  if (found === undefined) throw new ClickledgerError('bad-input', `${name}=${given} is not known. Use one of ${values.join(', ')}.`);
  return found;
}

/** A local time as browsers write it in a field of type datetime-local, or a day. */
const LOCAL_TIME = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d)?$/;

function timeOf(name: string, given: string | undefined): string | undefined {
  if (given === undefined || given === '') return undefined;
  if (!LOCAL_TIME.test(given)) throw new ClickledgerError('bad-input', `${name} must be a day or a time, e.g. 2030-05-01T08:00`);
  return given;
}
