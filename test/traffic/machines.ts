import type { Random } from '../chaos/random.ts';
import { between, chance, timeOf, weighted } from './chance.ts';
import {
  BURSTS_BY,
  CLICKS_BY,
  LONG_SWEEP,
  LONG_SWEEPS,
  SCANNER_NETWORKS,
  SCANNER_OPENS_BY,
  SCANNER_WAYS,
  SECOND,
  SECOND_SWEEPS,
  SLOW_SWEEP_STEP,
  SLOW_SWEEPS,
  SWEEP,
} from './figures.ts';
import type { Hit, Truth } from './hits.ts';
import { addressIn, MACHINE_NETWORKS, type MachineNetwork } from './networks.ts';
import { chooseLink, ordinaryAddress, type Person } from './people.ts';
import { browser, NAMED_SCANNER_USER_AGENTS, SCANNER_USER_AGENTS } from './user-agents.ts';

type Request = Pick<Hit, 't' | 'method' | 'kind' | 'recipient' | 'link' | 'ip' | 'ua'>;

function createHit(request: Request, truth: Truth, purpose = ''): Hit {
  return { ...request, t: Math.round(request.t), referrer: '', purpose, truth };
}

/**
 * Returns all requests of a security scanner for the letter of one recipient. It requests every link, in the way of its kind of scanner.
 */
export function scan(random: Random, recipient: number, sentAt: number, links: number, hard: boolean): Hit[] {
  const cause = weighted(random, SCANNER_WAYS);
  const networks = MACHINE_NETWORKS[weighted(random, SCANNER_NETWORKS)];
  const ips = Array.from({ length: random.pick([1, 1, 1, 3]) }, () => addressIn(random, networks));
  const ua = random.pick(cause === 'scanner-bot-ua' ? NAMED_SCANNER_USER_AGENTS : SCANNER_USER_AGENTS);
  const start = sentAt + timeOf(random, BURSTS_BY);
  const truth: Truth = { who: 'machine', cause };
  const hits: Hit[] = [];

  if (cause === 'scanner-burst') {
    // The scanner loads the pixel first, from the same address with another user agent: https://github.com/warmbly/warmbly/issues/410
    const t = Math.min(sentAt + timeOf(random, SCANNER_OPENS_BY), start - SECOND / 2);
    hits.push(
      createHit({ t, method: 'GET', kind: 'open', recipient, link: 0, ip: ips[0] as string, ua: random.pick(SCANNER_USER_AGENTS) }, truth),
    );
  }
  const method = cause === 'scanner-head' ? 'HEAD' : 'GET';
  const sweep = (begin: number, slow: boolean): void => {
    for (const [link, t] of sweepTimes(random, begin, links, slow).entries()) {
      const tags: Truth = slow ? { ...truth, difficulty: 'slow-sweep' } : truth;
      hits.push(createHit({ t, method, kind: 'click', recipient, link, ip: random.pick(ips), ua }, tags));
    }
  };
  sweep(start, hard && cause === 'scanner-burst' && chance(random, SLOW_SWEEPS));
  if (chance(random, SECOND_SWEEPS)) sweep(start + between(random, [20 * SECOND, 600 * SECOND]), false);
  return hits;
}

/** Returns the time of each request. The requests are not in the order of the links, because scanners work in parallel. */
function sweepTimes(random: Random, begin: number, links: number, slow: boolean): number[] {
  if (slow) {
    let t = begin;
    return Array.from({ length: links }, () => {
      t += between(random, SLOW_SWEEP_STEP);
      return t;
    });
  }
  const length = between(random, chance(random, LONG_SWEEPS) ? LONG_SWEEP : SWEEP);
  return Array.from({ length: links }, () => begin + random.next() * length);
}

/** Returns the request of a scanner that follows only one link. The time, the network and the user agent are like those of people. */
export function scanOne(random: Random, recipient: number, sentAt: number, links: number): Hit {
  return createHit(
    {
      t: sentAt + timeOf(random, CLICKS_BY),
      method: 'GET',
      kind: 'click',
      recipient,
      link: chooseLink(random, links),
      ip: ordinaryAddress(random),
      ua: browser(random, 'pc', false),
    },
    { who: 'machine', cause: 'scanner-burst', difficulty: 'single-link' },
  );
}

/**
 * Values of the field `purpose` of the log for a browser that prefetches. nginx joins the headers Sec-Purpose, Purpose, X-Purpose and X-Moz
 * with spaces in this field. Chromium sends `prefetch`, `prefetch;prerender` or `prefetch;anonymous-client-ip` in the header Sec-Purpose
 * (https://chromium.googlesource.com/chromium/src/+/9e001703a2/chrome/browser/prefetch/prefetch_headers.cc). It may also send the older
 * header `Purpose: prefetch`, or only this older header. Earlier versions of Firefox sent the header `X-moz: prefetch`
 * (https://developer.mozilla.org/en-US/docs/Web/HTTP/Headers/Sec-Purpose, and its table of browsers).
 */
const PURPOSES = ['prefetch', 'prefetch;prerender', 'prefetch;anonymous-client-ip', 'prefetch;prerender prefetch', 'prefetch prefetch'];

/** Returns the request of a person's browser that prefetches a link. */
export function prefetch(random: Random, person: Person, recipient: number, t: number, links: number): Hit {
  const request: Request = {
    t,
    method: 'GET',
    kind: 'click',
    recipient,
    link: random.whole(0, links - 1),
    ip: person.home,
    ua: person.browser,
  };
  return createHit(request, { who: 'machine', cause: 'prefetch' }, random.pick(PURPOSES));
}

/**
 * The way in which one service previews links. If the service has no network, the device of the person who pastes the link makes the
 * request.
 */
interface Previewer {
  ua: string;
  network?: MachineNetwork;
  /** Whether HEAD requests follow the GET request. */
  heads?: true;
}

/**
 * Previews of messengers and social networks. User agents: https://webmasterid.com/user-agents/social-preview-bot-user-agents,
 * https://gist.github.com/graysuit/853116f0bda96e5ac18afd107f340376, https://pastebin.com/MHLPZCNY (Apple's Messages, from the device
 * itself), https://dev.to/eatyou_eatyou_d79d27e5622/url-unfurling-how-slack-discord-and-twitter-generate-link-previews-4144. X sends one
 * GET and three HEAD requests, the latter with browsers' user agents or with none: https://github.com/dubinc/dub/issues/2309
 */
const PREVIEWERS: readonly Previewer[] = [
  { ua: 'Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)', network: 'other-cloud' },
  { ua: 'facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)', network: 'meta' },
  { ua: 'WhatsApp/2.23.20.0' },
  { ua: 'TelegramBot (like TwitterBot)', network: 'telegram' },
  { ua: 'Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)', network: 'other-cloud' },
  { ua: 'LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)', network: 'linkedin' },
  {
    ua: 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1 Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0',
  },
  { ua: 'Twitterbot/1.0', network: 'x', heads: true },
];

/** Returns the requests that follow when a person pastes a link. `pastedFrom` is the address of this person. */
export function preview(random: Random, pastedFrom: string, recipient: number, link: number, t: number): Hit[] {
  const { ua, network, heads = false } = random.pick(PREVIEWERS);
  const truth: Truth = { who: 'machine', cause: 'link-preview' };
  const address = (): string => (network === undefined ? pastedFrom : addressIn(random, MACHINE_NETWORKS[network]));
  const hits = [createHit({ t, method: 'GET', kind: 'click', recipient, link, ip: address(), ua }, truth)];
  const userAgents = heads ? [browser(random, 'phone', true), browser(random, 'pc', false), ''] : [];
  for (const userAgent of userAgents) {
    const later = t + random.whole(50, 2500);
    hits.push(createHit({ t: later, method: 'HEAD', kind: 'click', recipient, link, ip: address(), ua: userAgent }, truth));
  }
  return hits;
}
