import { OLD_BROWSER_MS } from '../core/rules.ts';

// Decides which major versions a client can have had at a given time, and which are old. A request can claim any version, such as
// `Chrome/7777`. Without an upper bound, such versions would fill the list of user agents.

/** The major version of a client at the start of 2026, and the number of its new versions per year. */
interface Pace {
  major: number;
  perYear: number;
}

const START_MS = Date.UTC(2026, 0);
const YEAR_MS = 365.25 * 24 * 3600_000;

/**
 * An upper bound for browsers with the engine of Chrome or Firefox. They have a new version every two to four weeks, and previews that are a
 * few versions ahead.
 */
const FAST: Pace = { major: 155, perYear: 26 };
/** An upper bound for all other clients. They have a few versions per year, or use the year as the version. */
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

/**
 * Returns the time in epoch milliseconds from which a version of a client is plausible. A hit before this time cannot come from a real
 * client with this version.
 */
export function plausibleFromMs(client: string, major: number): number {
  const pace = PACES[client] ?? SLOW;
  return major <= pace.major ? Number.NEGATIVE_INFINITY : timeOf(pace, major);
}

/**
 * The stable versions of the browsers that update themselves on every system. Other browsers are updated with the system of the device, so
 * an old version only shows that the device is old.
 */
const STABLE: Readonly<Record<string, Pace>> = {
  // Version 79 was released in December 2019, version 144 in January 2026 (https://chromiumdash.appspot.com/schedule).
  Chrome: { major: 144, perYear: 10.7 },
  'Microsoft Edge': { major: 144, perYear: 10.7 },
  // Version 72 was released in January 2020, version 147 in January 2026 (https://whattrainisitnow.com/calendar/).
  Firefox: { major: 147, perYear: 12.5 },
};

/** Returns the time in epoch milliseconds from which a version of a client is old: OLD_BROWSER_MS after its release. */
export function oldFromMs(client: string, major: number): number {
  const pace = STABLE[client];
  return pace === undefined ? Number.POSITIVE_INFINITY : timeOf(pace, major) + OLD_BROWSER_MS;
}

/** Returns the time of release of a version in epoch milliseconds, estimated from a pace. */
const timeOf = ({ major: atStart, perYear }: Pace, major: number): number => START_MS + ((major - atStart) / perYear) * YEAR_MS;
