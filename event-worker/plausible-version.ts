// Decides which major versions a client can have had at a given time. A request can claim any version, such as `Chrome/7777`. Without an
// upper bound, such versions would fill the list of user agents.

/** Upper bounds for a client: its major version at the start of 2026, and the number of its new versions per year. */
interface Pace {
  major: number;
  perYear: number;
}

const START_MS = Date.UTC(2026, 0);
const YEAR_MS = 365.25 * 24 * 3600_000;

/**
 * Browsers with the engine of Chrome or Firefox. They have a new version every two to four weeks, and previews that are a few versions
 * ahead.
 */
const FAST: Pace = { major: 155, perYear: 26 };
/** All other clients. They have a few versions per year, or use the year as the version. */
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
  return major <= pace.major ? Number.NEGATIVE_INFINITY : START_MS + ((major - pace.major) / pace.perYear) * YEAR_MS;
}
