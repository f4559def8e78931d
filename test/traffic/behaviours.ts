import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createRandom, type Random } from '../chaos/random.ts';
import { between, chance, timeOf } from './chance.ts';
import { CLICKS_BY, HOUR, MINUTE, OPENS_BY, SECOND } from './figures.ts';
import type { Hit, Kind, Who } from './hits.ts';
import { APPLE_PROXY_USER_AGENT, browser, mailProgram, PROXY_USER_AGENTS, SCANNER_USER_AGENTS } from './user-agents.ts';

// A second generator of traffic, by behaviour instead of by published shares. Each recipient has one behaviour of clicks and one of opens, of people
// or of machines. The behaviours of machines are those that users of mail trackers describe; core/rules.ts has sources. The shares are assumed.
// The generator picks addresses from public routing data: random addresses of chosen network operators (autonomous systems).

/** Numbers of autonomous systems, by what is there. */
const SYSTEMS = {
  hosting: [16509, 14618, 8075, 396982, 16276, 24940, 14061, 20473, 63949, 31898, 60781, 51167, 12876, 45102, 36351, 197540],
  microsoft: [8075],
  scanner: [26211, 22843, 30031, 15324],
  proxy: [22616, 62044, 55256, 13335, 36183, 54113, 9009, 212238],
  access: [3320, 3209, 6805, 7922, 701, 20115, 2856, 5607, 12322, 3215, 1136, 33915, 3303, 577, 812],
  mobile: [21928, 22394, 55836],
  company: [31399, 521, 10794, 11003],
  yahoo: [36646, 26101],
} as const;
type Place = keyof typeof SYSTEMS;

export interface BehavedHit extends Hit {
  behaviour: string;
}

export interface BehaviourOptions {
  seed: number;
  recipients: number;
  links: number;
  /** Epoch milliseconds. */
  sentAt: number;
  set: 'ordinary' | 'hard';
}

/** The ranges of IPv4 addresses of each place: [first, last]. */
type Ranges = Record<Place, (readonly [first: number, last: number])[]>;

async function readRanges(): Promise<Ranges> {
  const manifest = createRequire(import.meta.url).resolve('@ip-location-db/asn/package.json');
  const text = await readFile(join(dirname(manifest), 'asn-ipv4-num.csv'), 'utf8');
  const ranges = Object.fromEntries(Object.keys(SYSTEMS).map((place) => [place, []])) as unknown as Ranges;
  const placesOf = new Map<string, Place[]>();
  for (const [place, numbers] of Object.entries(SYSTEMS) as [Place, readonly number[]][])
    for (const number of numbers) placesOf.set(String(number), [...(placesOf.get(String(number)) ?? []), place]);
  for (const [, first, last, number = ''] of text.matchAll(/^(\d+),(\d+),(\d+),/gm))
    for (const place of placesOf.get(number) ?? []) ranges[place].push([Number(first), Number(last)]);
  return ranges;
}

const RANGES = await readRanges();

function addressIn(random: Random, place: Place): string {
  const [first, last] = random.pick(RANGES[place]);
  const address = random.whole(first, last);
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

/** What a behaviour makes: the hits of one recipient. */
interface Maker {
  who: Who;
  /** The share of the recipients of this side, in the ordinary and in the hard set. */
  share: readonly [ordinary: number, hard: number];
  hits: (scene: Scene) => Made[];
}
type Made = { t: number; kind: Kind; link?: number; ip: string; ua: string; who?: Who };

interface Scene {
  random: Random;
  links: number;
  sentAt: number;
  /** The address and the browser of everybody in one company. */
  company: { ip: string; ua: string };
}

const click = (t: number, link: number, ip: string, ua: string, who?: Who): Made => ({
  t,
  kind: 'click',
  link,
  ip,
  ua,
  ...(who && { who }),
});
const laptop = (random: Random): string => browser(random, 'pc', false);
const phone = (random: Random): string => browser(random, 'phone', chance(random, 0.5));
const anyLink = ({ random, links }: Scene): number => random.whole(0, links - 1);
const readAt = ({ random, sentAt }: Scene): number => sentAt + timeOf(random, CLICKS_BY);
const scannerAgent = (random: Random): string => random.pick(SCANNER_USER_AGENTS.filter((ua) => ua !== ''));

/** One or two clicks of a person, with the time to return to the letter in between. */
function clicksOfPerson(scene: Scene, ip: string, ua: string): Made[] {
  const { random } = scene;
  const t = readAt(scene);
  const first = click(t, anyLink(scene), ip, ua);
  return chance(random, 0.3) ? [first, click(t + between(random, [4 * SECOND, 5 * MINUTE]), anyLink(scene), ip, ua)] : [first];
}

/** Clicks on `count` different links, one after the other, with the given steps. */
function sweep(
  { random, links }: Scene,
  from: number,
  count: number,
  step: readonly [number, number],
  ipOf: () => string,
  ua: string,
): Made[] {
  const start = random.whole(0, links - 1);
  let t = from;
  return Array.from({ length: Math.min(count, links) }, (_, i) => {
    t += between(random, step);
    return click(t, (start + i) % links, ipOf(), ua);
  });
}

/** Returns a maker of a sweep from one address. `after` is the time after sending at which the sweep starts. */
const sweepOfScanner =
  (
    place: Place,
    after: readonly [number, number],
    countOf: (scene: Scene) => number,
    step: readonly [number, number],
    agentOf: (random: Random) => string,
  ) =>
  (scene: Scene): Made[] => {
    const ip = addressIn(scene.random, place);
    return sweep(scene, scene.sentAt + between(scene.random, after), countOf(scene), step, () => ip, agentOf(scene.random));
  };

export const BEHAVIOURS: Readonly<Record<string, Maker>> = {
  'one or two clicks, at home or on the road': {
    who: 'person',
    share: [0.6, 0.4],
    hits: (scene) =>
      clicksOfPerson(
        scene,
        addressIn(scene.random, chance(scene.random, 0.7) ? 'access' : 'mobile'),
        chance(scene.random, 0.5) ? laptop(scene.random) : phone(scene.random),
      ),
  },
  'one or two clicks, in an office': {
    who: 'person',
    share: [0.12, 0.1],
    hits: (scene) => clicksOfPerson(scene, addressIn(scene.random, 'company'), laptop(scene.random)),
  },
  'one or two clicks, through a proxy, VPN or relay': {
    who: 'person',
    share: [0.12, 0.15],
    hits: (scene) => clicksOfPerson(scene, addressIn(scene.random, 'proxy'), laptop(scene.random)),
  },
  'three to five tabs, one after the other': {
    who: 'person',
    share: [0.08, 0.15],
    hits: (scene) => {
      const ip = addressIn(scene.random, 'access');
      return sweep(scene, readAt(scene), scene.random.whole(3, 5), [300, 3 * SECOND], () => ip, laptop(scene.random));
    },
  },
  'a double tap, and again the next day': {
    who: 'person',
    share: [0.08, 0.08],
    hits: (scene) => {
      const [t, link, ip, ua] = [readAt(scene), anyLink(scene), addressIn(scene.random, 'mobile'), phone(scene.random)];
      return [click(t, link, ip, ua), click(t + 200, link, ip, ua), click(t + 20 * HOUR, link, addressIn(scene.random, 'access'), ua)];
    },
  },
  'the letter is forwarded, others click': {
    who: 'person',
    share: [0, 0.06],
    hits: (scene) =>
      Array.from({ length: scene.random.whole(2, 4) }, () =>
        click(readAt(scene), anyLink(scene), addressIn(scene.random, 'access'), laptop(scene.random)),
      ),
  },
  'an office that leaves by a cloud': {
    who: 'person',
    share: [0, 0.06],
    hits: (scene) => clicksOfPerson(scene, addressIn(scene.random, 'hosting'), laptop(scene.random)),
  },
  'a company behind one address, which reads at nine': {
    who: 'person',
    share: [0, 0.1],
    hits: (scene) => {
      const { random, company } = scene;
      const t = scene.sentAt + 2 * HOUR + between(random, [0, 20 * MINUTE]);
      return [click(t, anyLink(scene), company.ip, company.ua)];
    },
  },
  'all links within seconds': {
    who: 'machine',
    share: [0.25, 0.1],
    hits: sweepOfScanner('hosting', [2 * SECOND, 5 * MINUTE], ({ links }) => links, [5, 800], scannerAgent),
  },
  'one or two links within 90 s, an ordinary browser': {
    who: 'machine',
    share: [0.25, 0.25],
    hits: sweepOfScanner('microsoft', [2 * SECOND, 80 * SECOND], ({ random }) => random.whole(1, 2), [SECOND, 9 * SECOND], laptop),
  },
  'some links, 1 to 9 s apart': {
    who: 'machine',
    share: [0.2, 0.2],
    hits: sweepOfScanner('hosting', [10 * SECOND, 10 * MINUTE], ({ random }) => random.whole(2, 6), [SECOND, 9 * SECOND], laptop),
  },
  'each link once, from many addresses': {
    who: 'machine',
    share: [0.1, 0.1],
    hits: (scene) =>
      sweep(
        scene,
        scene.sentAt + between(scene.random, [SECOND, 3 * MINUTE]),
        scene.links,
        [10, 20 * SECOND],
        () => addressIn(scene.random, 'hosting'),
        scannerAgent(scene.random),
      ),
  },
  'one link, hours later, from a data centre': {
    who: 'machine',
    share: [0.08, 0.1],
    hits: (scene) => [
      click(
        scene.sentAt + between(scene.random, [2 * HOUR, 30 * HOUR]),
        anyLink(scene),
        addressIn(scene.random, 'hosting'),
        laptop(scene.random),
      ),
    ],
  },
  "the same link, seconds after a person's click": {
    who: 'machine',
    share: [0.07, 0.08],
    hits: (scene) => {
      const [t, link] = [readAt(scene), anyLink(scene)];
      return [
        click(t, link, addressIn(scene.random, 'access'), phone(scene.random), 'person'),
        click(t + between(scene.random, [2 * SECOND, 30 * SECOND]), link, addressIn(scene.random, 'hosting'), scannerAgent(scene.random)),
      ];
    },
  },
  'a scanner of a vendor': {
    who: 'machine',
    share: [0.05, 0.05],
    hits: sweepOfScanner('scanner', [SECOND, MINUTE], () => 2, [SECOND, 5 * SECOND], laptop),
  },
  'a gateway that waits an hour': {
    who: 'machine',
    share: [0, 0.06],
    hits: sweepOfScanner('hosting', [HOUR, 2 * HOUR], ({ random }) => random.whole(1, 4), [2 * SECOND, 40 * SECOND], laptop),
  },
  'a link each second, from an ordinary network': {
    who: 'machine',
    share: [0, 0.04],
    hits: sweepOfScanner('access', [MINUTE, 10 * MINUTE], ({ links }) => links, [950, 1050], laptop),
  },
  'each link once, from many ordinary addresses': {
    who: 'machine',
    share: [0, 0.04],
    hits: (scene) =>
      sweep(
        scene,
        scene.sentAt + between(scene.random, [SECOND, 3 * MINUTE]),
        scene.links,
        [SECOND, 9 * SECOND],
        () => addressIn(scene.random, 'access'),
        laptop(scene.random),
      ),
  },
  'one link, from an ordinary network': {
    who: 'machine',
    share: [0, 0.06],
    hits: (scene) => [click(readAt(scene), anyLink(scene), addressIn(scene.random, 'access'), laptop(scene.random))],
  },
};

/** The opens of one recipient. */
export const OPENS: Readonly<Record<string, Maker>> = {
  'a mail program': {
    who: 'person',
    share: [0.4, 0.4],
    hits: ({ random, sentAt }) => [
      open(
        sentAt + timeOf(random, OPENS_BY),
        addressIn(random, 'access'),
        mailProgram(random, random.pick(['iphone', 'outlook', 'android'])),
      ),
    ],
  },
  'the image proxy of Gmail': {
    who: 'person',
    share: [0.5, 0.5],
    hits: ({ random, sentAt }) => [
      open(sentAt + timeOf(random, OPENS_BY), `66.249.${random.whole(80, 95)}.${random.whole(1, 254)}`, PROXY_USER_AGENTS.google),
    ],
  },
  'the image proxy of Yahoo': {
    who: 'person',
    share: [0.1, 0.1],
    hits: ({ random, sentAt }) => [open(sentAt + timeOf(random, OPENS_BY), addressIn(random, 'yahoo'), PROXY_USER_AGENTS.yahoo)],
  },
  'the proxy of Apple': {
    who: 'machine',
    share: [0.7, 0.7],
    hits: ({ random, sentAt }) => [
      open(sentAt + between(random, [5 * SECOND, 20 * HOUR]), addressIn(random, 'proxy'), APPLE_PROXY_USER_AGENT),
    ],
  },
  'a scanner': {
    who: 'machine',
    share: [0.3, 0.3],
    hits: ({ random, sentAt }) => [open(sentAt + between(random, [SECOND, MINUTE]), addressIn(random, 'hosting'), scannerAgent(random))],
  },
};

const open = (t: number, ip: string, ua: string): Made => ({ t, kind: 'open', ip, ua });

/** Half of the recipients are subject to a behaviour of people, the others to one of machines. The same options give the same traffic. */
export function generateBehaviours({ seed, recipients, links, sentAt, set }: BehaviourOptions): BehavedHit[] {
  const random = createRandom(seed);
  const company = { ip: addressIn(random, 'company'), ua: laptop(random) };
  const scene = { random, links, sentAt, company };
  const hits: BehavedHit[] = [];
  for (let recipient = 0; recipient < recipients; recipient++) {
    for (const makers of [BEHAVIOURS, OPENS]) {
      const [behaviour, { who, hits: make }] = pickMaker(random, makers, recipient % 2 === 0 ? 'person' : 'machine', set);
      for (const { t, kind, link = 0, ip, ua, who: other } of make(scene)) {
        const truth = { who: other ?? who, cause: (other ?? who) === 'person' ? ('reader' as const) : ('scanner-burst' as const) };
        const name = other === undefined ? behaviour : 'one or two clicks, at home or on the road';
        hits.push({ t: Math.round(t), method: 'GET', kind, recipient, link, ip, ua, referrer: '', purpose: '', truth, behaviour: name });
      }
    }
  }
  return hits.sort((a, b) => a.t - b.t);
}

function pickMaker(random: Random, makers: Readonly<Record<string, Maker>>, who: Who, set: 'ordinary' | 'hard'): [string, Maker] {
  const own = Object.entries(makers).filter(([, maker]) => maker.who === who);
  const shareOf = ([, { share }]: [string, Maker]): number => share[set === 'hard' ? 1 : 0];
  let rest = random.next() * own.reduce((sum, each) => sum + shareOf(each), 0);
  for (const each of own) {
    rest -= shareOf(each);
    if (rest < 0) return each;
  }
  return own[0] as [string, Maker];
}
