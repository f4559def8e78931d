import type { NetworkKind } from './network-kinds.ts';

// The rules that decide whether a person or a machine made a hit. Each rule is data and names its source. The rules never change the
// response to a recipient. Each event is stored with all signals that were found, so `clickledger reclassify` can compute its verdict again
// with changed rules.
//
// Each signal has a weight. The sum of the weights of a hit decides: machine, unsure or human.

/** The version of the rules. It is stored with each event. Increase it with every change of the rules. */
export const RULES_VERSION = 6;

/** The signals of a click that follow from other clicks of the recipient. event-worker/found-signals.ts finds them. */
export const FOUND_SIGNALS = [
  'near-honeypot',
  'burst',
  'short-burst',
  'many-links',
  'even-steps',
  'many-visitors',
  'after-head',
  'echo',
] as const;

/**
 * Signals of a machine, the most important first. All signals of an event are stored. If a machine made the hit, the first of its signals in
 * this order is the verdict.
 */
export const MACHINE_SIGNALS = [
  'head',
  'prefetch',
  'privacy-proxy',
  'scanner-net',
  'bot-ua',
  'honeypot',
  ...FOUND_SIGNALS,
  'hosting-net',
  'early',
  'old-browser',
  'altered',
] as const;
export type MachineSignal = (typeof MACHINE_SIGNALS)[number];
/**
 * All signals. Those of a person are `proxied` (a proxy fetched an image because a person opened the letter) and `visited` (the browser then
 * ran the script of the page).
 */
export const SIGNALS = [...MACHINE_SIGNALS, 'proxied', 'visited'] as const;
export type Signal = (typeof SIGNALS)[number];
export type Verdict = 'human' | 'unsure' | MachineSignal;
export const VERDICTS: readonly Verdict[] = ['human', 'unsure', ...MACHINE_SIGNALS];

interface SignalRule {
  /**
   * The natural logarithm of how many times more often the signal comes with hits of machines than with hits of people. No published figures
   * were found, so all weights are assumed. A weight of 7 means that one hit in a thousand with this signal is a person's, if people and
   * machines make equally many hits. A weight of 3 means one in twenty.
   */
  readonly weight: number;
  /**
   * Signals of one group often come together, because they have the same cause. Of these signals only the greatest weight counts. The
   * default is a group of its own.
   */
  readonly group?: 'pace';
  /** What was observed. */
  readonly what: string;
  /** URL of a public report of this behaviour. */
  readonly source: string;
}

export const SIGNAL_RULES: Readonly<Record<Signal, SignalRule>> = {
  head: { weight: 7, what: 'a HEAD request, which returns nothing to read', source: 'https://github.com/civicrm/civicrm-core/pull/35328' },
  prefetch: {
    weight: 7,
    what: 'a header or the user agent says that the client prefetches',
    source: 'https://wicg.github.io/nav-speculation/prefetch.html',
  },
  'privacy-proxy': {
    weight: 7,
    what: 'the proxy of Apple, which loads every pixel, whether or not the letter is opened',
    source: 'https://github.com/jdavidbakr/mail-tracker/issues/255',
  },
  'scanner-net': {
    weight: 7,
    what: 'the network of a scanner of incoming mail',
    source: 'https://github.com/warmbly/warmbly/blob/main/tracking/scanner-networks.txt',
  },
  'bot-ua': { weight: 7, what: 'the user agent is empty or names a bot', source: 'https://github.com/omrilotan/isbot' },
  honeypot: { weight: 7, what: 'a link that no person can see', source: 'https://github.com/mautic/mautic/issues/9798' },
  // The weight is lower than that of the hidden link, because a person may click at the same time as a scanner.
  'near-honeypot': {
    weight: 5,
    what: 'up to ten seconds before or after a click on a link that no person can see',
    source: 'https://github.com/mautic/mautic/issues/9798',
  },
  burst: {
    weight: 7,
    group: 'pace',
    what: 'five or more different links of the letter within a second',
    source: 'https://github.com/putyourlightson/craft-campaign/issues/546',
  },
  // The weight is low, because some people open three tabs within a second.
  'short-burst': {
    weight: 3,
    group: 'pace',
    what: 'three or four different links of the letter within a second',
    source: 'https://github.com/putyourlightson/craft-campaign/issues/546',
  },
  // The weight is low, because some people open many links in tabs before they read the first one.
  'many-links': {
    weight: 3,
    group: 'pace',
    what: 'six or more different links of the letter within a minute, by one browser',
    source: 'https://github.com/anymail/django-anymail/issues/200',
  },
  'even-steps': {
    weight: 3,
    group: 'pace',
    what: 'four or more links in the order of the letter, in equal steps, by one browser',
    source: 'https://github.com/mautic/mautic/issues/9798',
  },
  // The weight is low, because a group may get a forwarded letter, and a phone may change its address.
  'many-visitors': {
    weight: 3,
    what: 'links of one recipient from three or more addresses or browsers within a minute',
    source: 'https://github.com/resend/resend-node/issues/901',
  },
  'after-head': {
    weight: 3,
    what: 'up to ten seconds after a HEAD request for the same link, by the same browser',
    source: 'https://github.com/civicrm/civicrm-core/pull/35328',
  },
  // The weight is low, because some people open the same link on another device, too.
  echo: {
    weight: 3,
    what: 'the same link again within a minute, by another browser or system',
    source: 'https://github.com/resend/resend-node/issues/901',
  },
  // The weight is low, because people browse through servers of hosting providers if a VPN or the proxy of their company runs there.
  'hosting-net': {
    weight: 3.5,
    what: 'a server of a hosting provider or cloud',
    source: 'https://github.com/warmbly/warmbly/issues/410',
  },
  // The weight is too low to decide alone or with `hosting-net`: some people click at once, also in companies whose requests come from a cloud.
  early: {
    weight: 1.4,
    what: 'a click within a minute after the campaign was sent',
    source: 'https://github.com/putyourlightson/craft-campaign/issues/546',
  },
  // The weight is too low to decide alone or with `hosting-net`, because some people have old devices.
  'old-browser': {
    weight: 1.2,
    what: 'a click by a version of a browser that is four years old or more',
    source: 'https://github.com/mssola/user_agent/issues/71',
  },
  // The weight is too low to decide alone or with `hosting-net`, because some mail programs take characters after an address for a part of it.
  altered: {
    weight: 1.2,
    what: 'a click with further characters after the address of the link',
    source: 'https://github.com/gophish/gophish/issues/973',
  },
  proxied: {
    weight: -2,
    what: 'the image proxy of Gmail or Yahoo, which loads an image when the reader opens the letter',
    source: 'https://support.google.com/mail/answer/145919',
  },
  // With this weight, a click from a hosting network alone counts as a person's. Some scanners run scripts, too, so it does not outweigh more.
  visited: {
    weight: -1.6,
    what: 'the same browser then ran the script of the page (t.js), which most scanners do not',
    source: 'https://github.com/gophish/gophish/issues/1607',
  },
};

/**
 * From this sum of weights a hit is judged as a machine's. If people and machines make equally many hits, at most one such hit in 150 is a
 * person's.
 */
export const MACHINE_FROM = 5;
/** From this sum of weights a hit is unsure. Below it, the hit is judged as a person's. */
export const UNSURE_FROM = 2;

/** Returns the sum of the weights of signals. Of signals in one group only the greatest weight counts. */
export function weightOf(signals: readonly Signal[]): number {
  const weights = new Map<string, number>();
  for (const signal of signals) {
    const group = SIGNAL_RULES[signal].group ?? signal;
    weights.set(group, Math.max(weights.get(group) ?? Number.NEGATIVE_INFINITY, SIGNAL_RULES[signal].weight));
  }
  return [...weights.values()].reduce((total, weight) => total + weight, 0);
}

/** Returns the verdict of a hit with these signals. */
export function verdictOf(signals: readonly Signal[]): Verdict {
  const weight = weightOf(signals);
  if (weight < UNSURE_FROM) return 'human';
  return (weight >= MACHINE_FROM && MACHINE_SIGNALS.find((signal) => signals.includes(signal))) || 'unsure';
}

interface Rule {
  readonly signal: Signal;
  /** The kind of hit that the rule applies to. */
  readonly kind: 'click' | 'open';
  /** The observed behaviour. */
  readonly what: string;
  /** URL of the documentation of this behaviour. */
  readonly source: string;
}

interface AgentRule extends Rule {
  readonly userAgent: RegExp;
  /** The mail client of the reader. Only rules for proxies have it, because a proxy hides the user agent of the reader. */
  readonly client?: string;
}

/**
 * Rules for user agents. The first rule that matches applies. These rules take precedence over the list of bots, which contains some of
 * these user agents.
 */
export const AGENT_RULES: readonly AgentRule[] = [
  {
    signal: 'proxied',
    kind: 'open',
    userAgent: /\bvia ggpht\.com GoogleImageProxy\b/,
    client: 'Gmail',
    what: 'the image proxy of Gmail fetches an image when the reader opens the letter',
    source: 'https://support.google.com/mail/answer/145919',
  },
  {
    signal: 'proxied',
    kind: 'open',
    userAgent: /^YahooMailProxy\b/,
    client: 'Yahoo Mail',
    what: 'the image proxy of Yahoo fetches an image when the reader opens the letter',
    source: 'https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html',
  },
  {
    signal: 'prefetch',
    kind: 'open',
    userAgent:
      /^Mozilla\/5\.0 \(Windows NT 10\.0; Win64; x64\) AppleWebKit\/537\.36 \(KHTML, like Gecko\) Chrome\/42\.0\.2311\.135 Safari\/537\.36 Edge\/12\.246 Mozilla\/5\.0$/,
    what: 'Gmail fetches images of letters that nobody has opened yet',
    source: 'https://bird.com/zh/blog/gmail-prefetching-images',
  },
  {
    signal: 'privacy-proxy',
    kind: 'open',
    userAgent: /^Mozilla\/5\.0$/,
    what: 'Mail Privacy Protection of Apple fetches every image, whether or not the letter is opened; its user agent is a bare Mozilla/5.0',
    source: 'https://github.com/jdavidbakr/mail-tracker/issues/255',
  },
];

/**
 * The signal of each kind of network (core/network-kinds.ts). Scanners of incoming mail often run in clouds
 * (https://github.com/warmbly/warmbly/issues/410).
 */
export const NETWORK_SIGNALS: Readonly<Partial<Record<NetworkKind, Signal>>> = { scanner: 'scanner-net', hosting: 'hosting-net' };

/**
 * Matches the values by which a client marks a prefetch, in the header Sec-Purpose or in its predecessors Purpose, X-Purpose and X-Moz
 * (https://wicg.github.io/nav-speculation/prefetch.html).
 */
export const PREFETCH_PURPOSE = /prefetch|prerender|preview/i;

/** A click is early if it comes less than this time after the campaign was sent. */
export const EARLY_MS = 60_000;
/** A version of a browser is old this time after its release. */
export const OLD_BROWSER_MS = 4 * 365.25 * 86_400_000;

// Below, a browser is a client, system and device, without the version. Browsers update themselves, and some versions are not stored
// (event-worker/fold-values.ts).

/**
 * A burst: clicks of one recipient on at least `manyLinks` different links of one campaign within `spanMs` milliseconds. Most scanners
 * follow every link of a letter within a second; these numbers are from the largest published log of them
 * (https://github.com/putyourlightson/craft-campaign/issues/546). With `fewLinks` or more, it is a short burst.
 */
export const BURST = { fewLinks: 3, manyLinks: 5, spanMs: 1000 } as const;
export type BurstRule = Readonly<Record<keyof typeof BURST, number>>;

/**
 * An echo: a click on a link that the same recipient clicked up to `spanMs` milliseconds before, with another browser. The earlier click
 * counts only if its verdict would be `human` by its own signals. Some scanners follow a link just after a person did.
 */
export const ECHO = { spanMs: 60_000 } as const;

/**
 * `many-links`: one browser clicks `links` different links of a recipient within `spanMs`. `many-visitors`: `visitors` different
 * visitors click links of a recipient within `spanMs`.
 */
export const NEARBY = { links: 6, visitors: 3, spanMs: 60_000 } as const;

/**
 * At least `clicks` successive clicks of one browser, each on a link with a higher number than the link before. `prepare` creates the links
 * of a letter in the order of the letter, so their numbers have this order, too. Only links that existed before have lower numbers. A step is
 * the time between two successive clicks. Every step is at most `longestMs`. The steps count as equal if the longest one is at most
 * `toleranceMs` longer than the shortest one, or at most a tenth longer.
 */
export const EVEN_STEPS = { clicks: 4, longestMs: 15_000, toleranceMs: 250 } as const;

/** A click up to this time after a HEAD request for the same link by the same browser has the signal `after-head`. */
export const AFTER_HEAD_MS = 10_000;

/**
 * A click up to this time before or after one on the hidden link has the signal `near-honeypot`. Mautic's users report ten seconds
 * (https://github.com/mautic/mautic/issues/9798).
 */
export const NEAR_HONEYPOT_MS = 10_000;

/**
 * A click has the signal `visited` if a visit that names its link and recipient came up to this time after it, from the same visitor, by the
 * script, and was not judged as a machine's. It is stored only next to other signals, because alone it changes nothing.
 */
export const VISITED_MS = 600_000;

/** The found signals of a click depend only on the clicks up to this time before and after it. */
export const REACH_MS = Math.max(
  BURST.spanMs,
  ECHO.spanMs,
  NEARBY.spanMs,
  (EVEN_STEPS.clicks - 1) * EVEN_STEPS.longestMs,
  AFTER_HEAD_MS,
  NEAR_HONEYPOT_MS,
);
