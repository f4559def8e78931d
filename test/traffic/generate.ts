import { createRandom, type Random } from '../chaos/random.ts';
import { chance, geometric, timeOf, weighted, withoutPart } from './chance.ts';
import {
  CLICKERS_WITHOUT_PICTURES,
  CLICKS_BY,
  CLICKS_PER_POST,
  type ClientName,
  DAY,
  DEVICES,
  FORWARD_CLICKS,
  FORWARDS_PER_OPEN,
  HOUR,
  MACHINE_SHARE_OF_CLICKS,
  MINUTE,
  OPEN_RATE,
  OPEN_SHARES,
  OPENS_BY,
  OPENS_PER_OPENER,
  PASTED_PER_FORWARD,
  POSTS_PER_RECIPIENT,
  PREFETCHING_CLICKERS,
  SCANNER_WAYS,
  SECOND,
  SECOND_SWEEPS,
  SINGLE_LINK_SCANNED,
  type Timeline,
} from './figures.ts';
import { CAUSES, type Cause, type Hit, type Kind, SHARED, type Truth, type Who } from './hits.ts';
import { prefetch, preview, scan, scanOne } from './machines.ts';
import {
  chooseLink,
  clickBy,
  clicksFrom,
  createPerson,
  firstClickAfter,
  openBy,
  openByAppleProxy,
  type Person,
  readingTime,
} from './people.ts';

export type { Cause, Hit } from './hits.ts';

export interface TrafficOptions {
  seed: number;
  recipients: number;
  links: number;
  /** Epoch milliseconds. */
  sentAt: number;
  /** 'hard' adds hits that rules are likely to misjudge; see `Difficulty`. */
  set: 'ordinary' | 'hard';
}

/** Shares of recipients, computed from the published figures. */
interface Rates {
  /** The share of recipients whose pictures are loaded by Apple's proxy. */
  apple: number;
  /** The share of the other recipients who open the letter and load the pictures. */
  openers: number;
  scanned: number;
}

/** The clients of recipients whose mail is not loaded by Apple's proxy. */
const { 'apple-mpp': _apple, ...OTHER_CLIENTS } = OPEN_SHARES;

/**
 * Computes the shares of recipients. OPEN_SHARES are shares of all opens. Apple's proxy opens once per recipient, but people may open
 * several times. Let a be the share of recipients with Apple's proxy and h the share of recipients who open themselves. Then a + h =
 * OPEN_RATE, and a / (a + h × OPENS_PER_OPENER) = Apple's share.
 */
export function ratesFor(links: number): Rates {
  const share = OPEN_SHARES['apple-mpp'];
  const apple = (share * OPEN_RATE * OPENS_PER_OPENER) / (1 - share + share * OPENS_PER_OPENER);
  const openers = (OPEN_RATE - apple) / (1 - apple);
  // The mean number of clicks by people per recipient, with Mailchimp's shares of devices. The randomly chosen devices differ only slightly
  // from these shares.
  const clicks = Object.values(DEVICES).reduce((sum, device) => sum + device.share * device.totalClickRate, 0);
  const byGet = SCANNER_WAYS['scanner-burst'] + SCANNER_WAYS['scanner-bot-ua'];
  const scans = (MACHINE_SHARE_OF_CLICKS / (1 - MACHINE_SHARE_OF_CLICKS)) * clicks;
  return { apple, openers, scanned: Math.min(0.5, scans / (links * byGet * (1 + SECOND_SWEEPS))) };
}

/** Generates the traffic of one newsletter, in order of time. The same options give the same traffic. */
export function generateTraffic(options: TrafficOptions): Hit[] {
  const { recipients, links, sentAt } = options;
  if (links < 1 || recipients < 1) throw new RangeError('a newsletter must have at least one recipient and one link');
  const hard = options.set === 'hard';
  const random = createRandom(options.seed);
  const rates = ratesFor(links);
  const opensOfOthers = opensWithoutClickers(rates);
  const hits: Hit[] = [];
  /** People who have read the letter, and the time of reading. Some of them forward the letter. */
  const readers: { person: Person; recipient: number; t: number }[] = [];
  const clickers: typeof readers = [];

  for (let recipient = 0; recipient < recipients; recipient++) {
    const person = createPerson(random, chance(random, rates.apple) ? 'apple-mpp' : otherClient(random));
    if (chance(random, rates.scanned)) hits.push(...scan(random, recipient, sentAt, links, hard));
    if (hard && chance(random, SINGLE_LINK_SCANNED)) hits.push(scanOne(random, recipient, sentAt, links));
    if (person.client === 'apple-mpp') hits.push(openByAppleProxy(random, recipient, sentAt));

    const { clickRate } = DEVICES[person.device];
    const draw = random.next();
    if (draw < clickRate) {
      const first = sentAt + firstClickAfter(random);
      const opened = Math.max(sentAt + SECOND, first - readingTime(random));
      const seen = draw >= clickRate * CLICKERS_WITHOUT_PICTURES;
      if (seen) hits.push(...opensOf(random, person, recipient, opened));
      hits.push(...clicksFrom(random, person, recipient, first, links, hard));
      clickers.push({ person, recipient, t: opened });
      if (seen && person.client !== 'apple-mpp') readers.push({ person, recipient, t: opened });
    } else if (person.client !== 'apple-mpp' && draw < rates.openers + clickRate * CLICKERS_WITHOUT_PICTURES) {
      const opened = sentAt + timeOf(random, opensOfOthers);
      hits.push(...opensOf(random, person, recipient, opened));
      readers.push({ person, recipient, t: opened });
    }
  }

  const passed = atLeastOne(readers.length * OPENS_PER_OPENER * FORWARDS_PER_OPEN[options.set]);
  for (let n = 0; n < passed && readers.length > 0; n++) {
    const { person, recipient, t } = random.pick(readers);
    hits.push(...forwardLetter(random, person, recipient, t + readingTime(random), links));
  }
  const prefetched = atLeastOne(clickers.length * PREFETCHING_CLICKERS);
  for (let n = 0; n < prefetched && clickers.length > 0; n++) {
    const { person, recipient, t } = random.pick(clickers);
    hits.push(prefetch(random, person, recipient, t + random.whole(300, 2500), links));
  }
  const posted = atLeastOne(recipients * POSTS_PER_RECIPIENT);
  for (let n = 0; n < posted; n++) hits.push(...postLink(random, sentAt, links));
  return hits.sort((a, b) => a.t - b.t);
}

/** Rounds, but returns at least 1, so that every cause occurs in every traffic. */
function atLeastOne(expected: number): number {
  return Math.max(1, Math.round(expected));
}

function otherClient(random: Random): ClientName {
  return weighted<ClientName>(random, OTHER_CLIENTS as Record<ClientName, number>);
}

/** Returns the times of opens by people who do not click. Together with the opens of clickers, they give the published times of opens. */
function opensWithoutClickers({ openers }: Rates): Timeline {
  const clickers = Object.values(DEVICES).reduce((sum, device) => sum + device.share * device.clickRate, 0);
  return withoutPart(OPENS_BY, CLICKS_BY, (clickers * (1 - CLICKERS_WITHOUT_PICTURES)) / openers);
}

/**
 * Returns the opens of one person. If the person uses Apple's proxy, no open is visible, because the proxy has already loaded the pixel.
 */
function opensOf(random: Random, person: Person, recipient: number, first: number): Hit[] {
  if (person.client === 'apple-mpp') return [];
  const hits = [openBy(random, person, recipient, first)];
  let t = first;
  for (let n = geometric(random, OPENS_PER_OPENER - 1); n > 0; n--) {
    t += timeOf(random, [
      [0, MINUTE],
      [1, 3 * DAY],
    ]);
    hits.push(openBy(random, person, recipient, t));
  }
  return hits;
}

/** Returns the hits after a person forwards the letter by mail. The person may also paste a link of the letter into a messenger. */
function forwardLetter(random: Random, from: Person, recipient: number, at: number, links: number): Hit[] {
  const truth: Truth = { who: 'person', cause: 'forward' };
  const arrival = (): number =>
    at +
    timeOf(random, [
      [0, MINUTE],
      [0.6, 3 * HOUR],
      [1, 3 * DAY],
    ]);
  const hits: Hit[] = [];
  const other = createPerson(random, weighted(random, OPEN_SHARES));
  const opened = arrival();
  if (other.client === 'apple-mpp') hits.push(openByAppleProxy(random, recipient, at));
  else hits.push(openBy(random, other, recipient, opened, truth));
  if (chance(random, FORWARD_CLICKS)) {
    hits.push(clickBy(random, other, recipient, chooseLink(random, links), opened + readingTime(random), truth));
  }
  if (chance(random, PASTED_PER_FORWARD)) {
    const link = chooseLink(random, links);
    hits.push(...preview(random, from.home, recipient, link, at));
    for (let n = random.whole(1, 3); n > 0; n--) {
      const friend = createPerson(random, otherClient(random));
      hits.push({ ...clickBy(random, friend, recipient, link, arrival(), truth), referrer: '' });
    }
  }
  return hits;
}

/** Returns the hits after the author posts a shared link. Previews of the link come first, then clicks by people. */
function postLink(random: Random, sentAt: number, links: number): Hit[] {
  const at = sentAt + timeOf(random, OPENS_BY);
  const link = random.whole(0, links - 1);
  const author = createPerson(random, otherClient(random));
  const hits = preview(random, author.home, SHARED, link, at);
  for (let n = random.whole(...CLICKS_PER_POST); n > 0; n--) {
    const reader = createPerson(random, otherClient(random));
    const t = at + timeOf(random, CLICKS_BY);
    hits.push({ ...clickBy(random, reader, SHARED, link, t, { who: 'person', cause: 'reader' }), referrer: '' });
  }
  return hits;
}

export interface Summary {
  hits: number;
  causes: Record<Cause, { clicks: number; heads: number; opens: number }>;
  /**
   * The number of distinct recipients with a GET click, with any HEAD request, and with an open. Hits on shared links have no recipient.
   */
  recipients: Record<Who, { click: number; head: number; open: number }>;
  /** The number of GET clicks. */
  clicks: Record<Who, number>;
  opens: Record<Who, number>;
  addresses: Record<Who, number>;
}

/** Counts hits by cause, recipient and address, for tests and for inspection. */
export function summarise(hits: readonly Hit[]): Summary {
  const causes = Object.fromEntries(CAUSES.map((cause) => [cause, { clicks: 0, heads: 0, opens: 0 }])) as Summary['causes'];
  const clicks = { person: 0, machine: 0 };
  const opens = { person: 0, machine: 0 };
  const seen = new Map<string, Set<string | number>>();
  const record = (name: string, what: string | number): void => {
    const set = seen.get(name) ?? new Set();
    seen.set(name, set.add(what));
  };
  for (const { kind, method, recipient, ip, truth } of hits) {
    const category: Kind | 'head' = method === 'HEAD' ? 'head' : kind;
    if (category === 'head') causes[truth.cause].heads++;
    else if (category === 'open') causes[truth.cause].opens++;
    else causes[truth.cause].clicks++;
    if (category === 'click') clicks[truth.who]++;
    if (category === 'open') opens[truth.who]++;
    if (recipient !== SHARED) record(`${truth.who} ${category}`, recipient);
    record(`${truth.who} ip`, ip);
  }
  const size = (name: string): number => seen.get(name)?.size ?? 0;
  const recipientsOf = (who: Who): Summary['recipients'][Who] => ({
    click: size(`${who} click`),
    head: size(`${who} head`),
    open: size(`${who} open`),
  });
  return {
    hits: hits.length,
    causes,
    recipients: { person: recipientsOf('person'), machine: recipientsOf('machine') },
    clicks,
    opens,
    addresses: { person: size('person ip'), machine: size('machine ip') },
  };
}
