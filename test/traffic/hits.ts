/** What a hit really was. A closed list: whoever judges a rule counts by it. */
export type Cause =
  /** A person's own device loads the picture, or follows a link. */
  | 'reader'
  /** A mail provider's image proxy fetches because a person opens. */
  | 'reader-through-proxy'
  /** Another person with the link of the recipient. */
  | 'forward'
  /** Apple's privacy proxy loads the pixel, whether anybody reads or not. */
  | 'apple-mpp'
  /** A security scanner that looks like a browser, or like nothing. */
  | 'scanner-burst'
  /** A security scanner that asks by HEAD. */
  | 'scanner-head'
  /** A security scanner that names itself or its library. */
  | 'scanner-bot-ua'
  /** A browser that fetches ahead and says so. */
  | 'prefetch'
  /** A messenger or a social network that previews a shared link. */
  | 'link-preview';

export const CAUSES: readonly Cause[] = [
  'reader',
  'reader-through-proxy',
  'forward',
  'apple-mpp',
  'scanner-burst',
  'scanner-head',
  'scanner-bot-ua',
  'prefetch',
  'link-preview',
];

export type Who = 'person' | 'machine';
export type Kind = 'click' | 'open';

/** What makes a hit of the hard set hard; absent where nothing does. */
export type Difficulty =
  /** A scanner that follows one link, late, with an ordinary user agent from an ordinary network. */
  | 'single-link'
  /** A scanner that takes the links one by one, about a second each. */
  | 'slow-sweep'
  /** A person who opens two or three links in tabs within two seconds. */
  | 'fast-tabs';

export interface Truth {
  who: Who;
  cause: Cause;
  difficulty?: Difficulty;
}

/** One request as the web server sees it, with the truth about it. */
export interface Hit {
  /** Epoch milliseconds. */
  t: number;
  method: 'GET' | 'HEAD';
  kind: Kind;
  /** Index from 0; -1 for a link that is shared by all. */
  recipient: number;
  /** Index from 0; 0 and without meaning for opens. */
  link: number;
  ip: string;
  ua: string;
  referrer: string;
  /** The values of Sec-Purpose, Purpose, X-Purpose and X-Moz, as far as there are any. */
  purpose: string;
  truth: Truth;
}

export const SHARED = -1;
