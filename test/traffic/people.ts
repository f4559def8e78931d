import type { Random } from '../chaos/random.ts';
import { between, chance, exponential, geometric, timeOf, weighted } from './chance.ts';
import {
  CLICKS_BY,
  type ClientName,
  COUNTRIES,
  DEVICES,
  type Device,
  HALF_LIFE_OF_LINKS,
  IPV6_SHARE,
  MINUTE,
  MPP_BY,
  NEXT_CLICK_AT_LEAST,
  OPEN_SHARES,
  OTHER_NETWORK,
  READ_LONGER,
  REPEATED_CLICK,
  SKIM,
  SKIM_SHARE,
  TAB_OPENERS,
} from './figures.ts';
import type { Hit, Truth } from './hits.ts';
import { ACCESS_NETWORKS, addressIn, MACHINE_NETWORKS, PROXY_NETWORKS, type ProxyNetwork } from './networks.ts';
import { APPLE_PROXY_USER_AGENT, browser, mailProgram, PROXY_USER_AGENTS } from './user-agents.ts';

/** A person who reads mail: one device, one mail program, and two addresses, at home and away. */
export interface Person {
  client: ClientName;
  device: Device;
  home: string;
  away: string;
  browser: string;
  /** The user agent of the mail program, if it loads pictures itself. */
  program: string;
  /** The referrer of clicks in webmail; '' for mail programs. */
  webmail: string;
}

const APPLE_DEVICES: Partial<Record<ClientName, Device>> = { iphone: 'phone', ipad: 'tablet', 'apple-mail': 'pc' };
const PROXIES: Partial<Record<ClientName, ProxyNetwork>> = { gmail: 'google', yahoo: 'yahoo', 'outlook.com': 'microsoft' };
// Assumed: the referrer of webmail depends on its referrer policy, and no figures are published.
const WEBMAIL: Partial<Record<ClientName, string>> = {
  gmail: 'https://mail.google.com/',
  yahoo: 'https://mail.yahoo.com/',
  'outlook.com': 'https://outlook.live.com/',
};
const DEVICE_SHARES = { pc: DEVICES.pc.share, tablet: DEVICES.tablet.share, phone: DEVICES.phone.share };

/**
 * Returns the device on which a user of a mail program reads. If the program does not determine the device, the shares of Mailchimp apply.
 * For Apple's proxy, the shares of Apple's clients apply.
 */
function deviceOf(random: Random, client: ClientName): Device {
  if (client === 'apple-mpp') {
    const { iphone, ipad, 'apple-mail': mac } = OPEN_SHARES;
    return weighted(random, { phone: iphone, tablet: ipad, pc: mac });
  }
  const device = APPLE_DEVICES[client];
  if (device !== undefined) return device;
  if (client === 'outlook' || client === 'other') return 'pc';
  if (client === 'android' || client === 'samsung') return 'phone';
  return weighted(random, DEVICE_SHARES);
}

export function createPerson(random: Random, client: ClientName): Person {
  const device = deviceOf(random, client);
  const apple = client === 'apple-mpp' || APPLE_DEVICES[client] !== undefined;
  const webmail = WEBMAIL[client];
  return {
    client,
    device,
    home: ordinaryAddress(random),
    away: ordinaryAddress(random),
    browser: browser(random, device, apple),
    program: mailProgram(random, client),
    webmail: webmail !== undefined && device === 'pc' ? webmail : '',
  };
}

/** Returns an address of an access provider. */
export function ordinaryAddress(random: Random): string {
  const networks = ACCESS_NETWORKS[weighted(random, COUNTRIES)];
  return addressIn(random, chance(random, IPV6_SHARE) ? networks.v6 : networks.v4);
}

/** Returns the time between an open and the click after it, in ms. */
export function readingTime(random: Random): number {
  return chance(random, SKIM_SHARE) ? between(random, SKIM) : SKIM[1] + exponential(random, READ_LONGER);
}

/**
 * Returns the open of a person as the server sees it: from the device of the person or from the image proxy of the mail provider, but not
 * from Apple's proxy.
 */
export function openBy(random: Random, person: Person, recipient: number, t: number, truth?: Truth): Hit {
  const proxy = PROXIES[person.client];
  return {
    t: Math.round(t),
    method: 'GET',
    kind: 'open',
    recipient,
    link: 0,
    ip: proxy === undefined ? person.home : addressIn(random, PROXY_NETWORKS[proxy]),
    ua: proxy === undefined ? person.program : PROXY_USER_AGENTS[proxy],
    referrer: '',
    purpose: '',
    truth: truth ?? { who: 'person', cause: proxy === undefined ? 'reader' : 'reader-through-proxy' },
  };
}

/** Returns the open by Apple's proxy, which loads the pixel once. */
export function openByAppleProxy(random: Random, recipient: number, sentAt: number): Hit {
  // Nine of ten requests come from the relays on Apple's list, and one comes from Apple's own network, because sources name both. The ratio
  // is assumed.
  const networks = MACHINE_NETWORKS[chance(random, 0.9) ? 'apple-relay' : 'apple'];
  return {
    t: Math.round(sentAt + timeOf(random, MPP_BY)),
    method: 'GET',
    kind: 'open',
    recipient,
    link: 0,
    ip: addressIn(random, networks),
    ua: APPLE_PROXY_USER_AGENT,
    referrer: '',
    purpose: '',
    truth: { who: 'machine', cause: 'apple-mpp' },
  };
}

export function clickBy(random: Random, person: Person, recipient: number, link: number, t: number, truth: Truth): Hit {
  return {
    t: Math.round(t),
    method: 'GET',
    kind: 'click',
    recipient,
    link,
    ip: chance(random, OTHER_NETWORK) ? person.away : person.home,
    ua: person.browser,
    referrer: person.webmail,
    purpose: '',
    truth,
  };
}

/** Returns a link that a reader might choose. Links at later positions in the letter are less likely. */
export function chooseLink(random: Random, links: number, without: ReadonlySet<number> = new Set()): number {
  const weights: number[] = [];
  for (let link = 0; link < links; link++) weights.push(without.has(link) ? 0 : 0.5 ** (link / HALF_LIFE_OF_LINKS));
  let rest = random.next() * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [link, weight] of weights.entries()) {
    rest -= weight;
    if (weight > 0 && rest < 0) return link;
  }
  return weights.findLastIndex((weight) => weight > 0);
}

/** Returns the number of clicks of a person who clicks at least once. */
function numberOfClicks(random: Random, device: Device): number {
  const { clickRate, totalClickRate } = DEVICES[device];
  return 1 + geometric(random, totalClickRate / clickRate - 1);
}

/** Returns the time of the first click of a person, in ms after sending. */
export function firstClickAfter(random: Random): number {
  return timeOf(random, CLICKS_BY);
}

/** Returns the clicks of one person, the first at the time `first`. With `hard`, some people open their links in tabs. */
export function clicksFrom(random: Random, person: Person, recipient: number, first: number, links: number, hard: boolean): Hit[] {
  if (hard && links > 1 && chance(random, TAB_OPENERS)) return clicksInTabs(random, person, recipient, first, links);
  const truth: Truth = { who: 'person', cause: 'reader' };
  const hits: Hit[] = [];
  const seen = new Set<number>();
  let t = first;
  for (let n = numberOfClicks(random, person.device); n > 0; n--) {
    const again = seen.size > 0 && (seen.size === links || chance(random, REPEATED_CLICK));
    const link = again ? random.pick([...seen]) : chooseLink(random, links, seen);
    seen.add(link);
    hits.push(clickBy(random, person, recipient, link, t, truth));
    // One of five people pauses before the next click. This is assumed, because no figures are published.
    t += NEXT_CLICK_AT_LEAST + (chance(random, 0.2) ? exponential(random, 20 * MINUTE) : readingTime(random));
  }
  return hits;
}

/** Returns clicks on two or three different links within two seconds, from one address. */
function clicksInTabs(random: Random, person: Person, recipient: number, first: number, links: number): Hit[] {
  const truth: Truth = { who: 'person', cause: 'reader', difficulty: 'fast-tabs' };
  const seen = new Set<number>();
  const hits: Hit[] = [];
  let t = first;
  for (let n = Math.min(links, random.whole(2, 3)); n > 0; n--) {
    const link = chooseLink(random, links, seen);
    seen.add(link);
    hits.push({ ...clickBy(random, person, recipient, link, t, truth), ip: person.home });
    t += random.whole(250, 950);
  }
  return hits;
}
