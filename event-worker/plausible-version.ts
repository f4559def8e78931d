// Which major versions a client can have had at a given time. Anybody can send `Chrome/7777`. Without a bound, invented numbers would fill the
// list of user agents.

/** A client that had not more than version `major` at the start of 2026, and gets at most `perYear` new ones a year. */
interface Pace {
  major: number;
  perYear: number;
}

const START_MS = Date.UTC(2026, 0);
const YEAR_MS = 365.25 * 24 * 3600_000;

/** Browsers of the engines of Chrome and Firefox: a version every two to four weeks, and previews that are a few versions ahead. */
const FAST: Pace = { major: 155, perYear: 26 };
/** Browsers with a few versions a year, or with the number of the year. */
const SLOW: Pace = { major: 40, perYear: 3 };
const PACES: Readonly<Record<string, Pace>> = {
  'Amazon Silk': FAST,
  Brave: FAST,
  Chrome: FAST,
  Chromium: FAST,
  DuckDuckGo: FAST,
  Electron: FAST,
  Firefox: FAST,
  Focus: FAST,
  'Google Search': { major: 420, perYear: 52 },
  LibreWolf: FAST,
  'Microsoft Edge': FAST,
  Opera: FAST,
  Thunderbird: FAST,
};

/** The time in epoch milliseconds from which a version of a client is plausible. A higher version is an invented one, or one of the future. */
export function plausibleFromMs(client: string, major: number): number {
  const pace = PACES[client] ?? SLOW;
  return major <= pace.major ? Number.NEGATIVE_INFINITY : START_MS + ((major - pace.major) / pace.perYear) * YEAR_MS;
}
