/** The true cause of a hit. The list is closed, because tests count hits by cause. */
export type Cause =
  /** A person's device loads the picture or follows a link. */
  | 'reader'
  /** A mail provider's image proxy loads the picture because a person opens the letter. */
  | 'reader-through-proxy'
  /** Another person uses the recipient's link. */
  | 'forward'
  /** Apple's privacy proxy loads the pixel, whether or not anybody reads the letter. */
  | 'apple-mpp'
  /** A security scanner with a browser's user agent, or with none. */
  | 'scanner-burst'
  /** A security scanner that sends HEAD requests. */
  | 'scanner-head'
  /** A security scanner whose user agent names it or its library. */
  | 'scanner-bot-ua'
  /** A browser that prefetches a link and declares this in a header. */
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

/** The reason why a hit of the hard set is hard to judge. All other hits have no difficulty. */
export type Difficulty =
  /** A scanner that follows only one link, later than other scanners, with an ordinary user agent from an ordinary network. */
  | 'single-link'
  /** A scanner that requests the links one by one, about one second apart. */
  | 'slow-sweep'
  /** A person who opens two or three links in tabs within two seconds. */
  | 'fast-tabs';

export interface Truth {
  who: Who;
  cause: Cause;
  difficulty?: Difficulty;
}

/** One request as the web server sees it, and its true cause. */
export interface Hit {
  /** Epoch milliseconds. */
  t: number;
  method: 'GET' | 'HEAD';
  kind: Kind;
  /** The index of the recipient, from 0; -1 for a link that is shared by all. */
  recipient: number;
  /** The index of the link, from 0. For opens it is 0 and has no meaning. */
  link: number;
  ip: string;
  ua: string;
  referrer: string;
  /** The values of the headers Sec-Purpose, Purpose, X-Purpose and X-Moz that the client sent. */
  purpose: string;
  truth: Truth;
}

export const SHARED = -1;
