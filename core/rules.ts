// Person or machine: the rules as data, each with where it comes from. Nothing here ever changes what a recipient gets, and every hit is kept
// with all the signs that were found, so it can be judged again.

/** Counts up with every change to this file, and is kept with each event. */
export const RULES_VERSION = 3;

/** Signs of a machine. In order: the first that is found names the verdict, all are kept. */
export const MACHINE_SIGNALS = ['head', 'prefetch', 'privacy-proxy', 'scanner-net', 'bot-ua', 'burst'] as const;
export type MachineSignal = (typeof MACHINE_SIGNALS)[number];
/** `proxied` is no sign of a machine: a proxy fetched an image because somebody opened the letter. */
export type Signal = MachineSignal | 'proxied';
export type Verdict = 'human' | MachineSignal;

interface Rule {
  readonly signal: Signal;
  /** Where it applies, and to what. */
  readonly kind: 'click' | 'open';
  readonly what: string;
  readonly source: string;
}

interface AgentRule extends Rule {
  readonly userAgent: RegExp;
  /** The mail client whose reader it is, where a proxy hides everything else. */
  readonly client?: string;
}

/** User agents that are told apart before the list of bots is asked, which has some of them; the first that fits decides. */
export const AGENT_RULES: readonly AgentRule[] = [
  {
    signal: 'proxied',
    kind: 'open',
    userAgent: /\bvia ggpht\.com GoogleImageProxy\b/,
    client: 'Gmail',
    what: "Gmail's image proxy fetches when a reader opens",
    source: 'https://support.google.com/mail/answer/145919',
  },
  {
    signal: 'proxied',
    kind: 'open',
    userAgent: /^YahooMailProxy\b/,
    client: 'Yahoo Mail',
    what: "Yahoo's image proxy fetches when a reader opens",
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
    what: "Apple's Mail Privacy Protection fetches every image, whether or not anybody reads; a bare Mozilla/5.0 is its user agent",
    source: 'https://github.com/jdavidbakr/mail-tracker/issues/255',
  },
];

/** Labels of networks (log-agent/networks.json) from which scanners of incoming mail fetch. */
export const SCANNER_NETWORKS: ReadonlySet<string> = new Set(['microsoft-eop', 'barracuda', 'hornetsecurity', 'fortinet-sandbox']);

/** Values of Sec-Purpose, and of its predecessors Purpose, X-Purpose and X-Moz (https://wicg.github.io/nav-speculation/prefetch.html). */
export const PREFETCH_PURPOSE = /prefetch|prerender|preview/i;

/**
 * A recipient's clicks on so many different links of a campaign within so long are nobody's: all of them are machines'. Most scanners follow every link of
 * a letter within a second (https://github.com/putyourlightson/craft-campaign/issues/546).
 */
export const BURST = { differentLinks: 3, spanMs: 1000 } as const;
