import { describe, expect, test } from 'vitest';
import { createSlugCodec, parseSlugKeys } from '../../core/slug.ts';
import { parseLine } from '../../log-agent/parse.ts';
import { createRandom } from '../chaos/random.ts';
import { expectLinear } from '../support/linear.ts';
import { geometric, shareBy, timeOf } from './chance.ts';
import { ACCESS_NETWORKS, addressIn, MACHINE_NETWORKS, membership, PROXY_NETWORKS } from './networks.ts';
import {
  BURSTS_BY,
  CLICKS_BY,
  DEVICES,
  FORWARDS_PER_OPEN,
  HOUR,
  MINUTE,
  OPEN_RATE,
  OPEN_SHARES,
  OPENS_BY,
  SCANNER_OPENS_BY,
  SECOND,
} from './figures.ts';
import { generateTraffic, ratesFor, summarise, type TrafficOptions } from './generate.ts';
import { CAUSES, type Cause, type Hit, SHARED } from './hits.ts';
import { accessLogLines } from './lines.ts';
import { firstClickDelays, totals, uniqueRecipients } from './recount.ts';

const SENT_AT = Date.UTC(2026, 9, 5, 7, 0, 0);
const RECIPIENTS = 10_000;
const LINKS = 10;

function traffic(options: Partial<TrafficOptions> = {}): Hit[] {
  return generateTraffic({ seed: 1, recipients: RECIPIENTS, links: LINKS, sentAt: SENT_AT, set: 'ordinary', ...options });
}

/** Several newsletters together, so that rare causes occur often enough for statistics. */
const MANY = Array.from({ length: 12 }, (_, seed) => traffic({ seed }));
const ALL = MANY.flat();
const MANY_HARD = Array.from({ length: 12 }, (_, seed) => traffic({ seed, set: 'hard' }));
const ALL_HARD = MANY_HARD.flat();

/**
 * Expects that the share of `n` independent draws is within four standard deviations of `share`. The share of random draws is outside this
 * range only once in 16,000 times.
 */
function expectShare(hits: number, n: number, share: number): void {
  expect(n).toBeGreaterThan(100);
  const deviation = Math.sqrt((share * (1 - share)) / n);
  expect(hits / n).toBeGreaterThan(share - 4 * deviation);
  expect(hits / n).toBeLessThan(share + 4 * deviation);
}

function count(hits: readonly Hit[], wanted: (hit: Hit) => boolean): number {
  return hits.reduce((sum, hit) => sum + (wanted(hit) ? 1 : 0), 0);
}

/** Returns the hits that `wanted` accepts, grouped by newsletter and recipient. */
function perRecipient(newsletters: readonly Hit[][], wanted: (hit: Hit) => boolean): Hit[][] {
  return newsletters.flatMap((hits) => {
    const groups = new Map<number, Hit[]>();
    for (const hit of hits) {
      if (!wanted(hit) || hit.recipient === SHARED) continue;
      const group = groups.get(hit.recipient);
      if (group === undefined) groups.set(hit.recipient, [hit]);
      else group.push(hit);
    }
    return [...groups.values()];
  });
}

const isClick = (cause: Cause) => (hit: Hit) => hit.kind === 'click' && hit.truth.cause === cause;

describe('a traffic', () => {
  test('is the same for the same seed, and another for another', () => {
    for (const set of ['ordinary', 'hard'] as const) {
      expect(traffic({ set })).toEqual(traffic({ set }));
      expect(traffic({ set, seed: 2 })).not.toEqual(traffic({ set }));
    }
  });

  test('is in order of time, begins after sending and has whole milliseconds', () => {
    for (const hits of [MANY[0] as Hit[], MANY_HARD[0] as Hit[]]) {
      expect(hits.every((hit, i) => i === 0 || hit.t >= (hits[i - 1] as Hit).t)).toBe(true);
      expect(hits.every((hit) => Number.isInteger(hit.t) && hit.t > SENT_AT)).toBe(true);
      expect(hits.every((hit) => hit.recipient >= SHARED && hit.recipient < RECIPIENTS && hit.link >= 0 && hit.link < LINKS)).toBe(true);
    }
  });

  test('has every cause, in both sets, and however small it is', () => {
    for (const hits of [MANY[0] as Hit[], MANY_HARD[0] as Hit[]]) {
      expect(new Set(hits.map((hit) => hit.truth.cause))).toEqual(new Set(CAUSES));
    }
    for (const links of [1, 2]) expect(traffic({ recipients: 300, links }).length).toBeGreaterThan(0);
  });

  test('four times as many recipients take about four times as long', () => {
    expectLinear(1000, (recipients) => ({ seed: 99, recipients }), traffic);
  });

  test('says of every cause whose it is', () => {
    const people = new Set<Cause>(['reader', 'reader-through-proxy', 'forward']);
    expect([...ALL, ...ALL_HARD].every((hit) => (hit.truth.who === 'person') === people.has(hit.truth.cause))).toBe(true);
    expect(ALL.every((hit) => hit.truth.difficulty === undefined)).toBe(true);
    expect(new Set(ALL_HARD.map((hit) => hit.truth.difficulty))).toEqual(new Set([undefined, 'single-link', 'slow-sweep', 'fast-tabs']));
  });
});

describe('opens', () => {
  test('are recorded of as many recipients as published, and by the clients published', () => {
    const recipients = MANY.length * RECIPIENTS;
    const opened = perRecipient(
      MANY,
      (hit) => hit.kind === 'open' && !hit.truth.cause.startsWith('scanner') && hit.truth.cause !== 'forward',
    ).length;
    expectShare(opened, recipients, OPEN_RATE);

    const opens = ALL.filter((hit) => hit.kind === 'open' && !hit.truth.cause.startsWith('scanner') && hit.truth.cause !== 'forward');
    // Repeated opens of one person are not independent draws, so the test uses a third of the numbers, which makes the allowed range wider.
    const expectOpens = (hits: number, share: number): void => expectShare(hits / 3, opens.length / 3, share);
    expectOpens(
      count(opens, (hit) => hit.truth.cause === 'apple-mpp'),
      OPEN_SHARES['apple-mpp'],
    );
    expectOpens(
      count(opens, (hit) => hit.ua.includes('GoogleImageProxy')),
      OPEN_SHARES.gmail,
    );
    expectOpens(
      count(opens, (hit) => hit.ua.startsWith('YahooMailProxy')),
      OPEN_SHARES.yahoo,
    );
    expectOpens(
      count(opens, (hit) => hit.ua.includes('Microsoft Outlook')),
      OPEN_SHARES.outlook,
    );
    expectOpens(
      count(opens, (hit) => hit.truth.cause === 'reader' && hit.ua.includes('(iPhone')),
      OPEN_SHARES.iphone,
    );
  });

  test('come when they come by the published figures', () => {
    const first = perRecipient(MANY, (hit) => hit.kind === 'open' && hit.truth.who === 'person' && hit.truth.cause !== 'forward');
    for (const hours of [1, 3, 6, 24, 7 * 24]) {
      const soon = first.filter(([open]) => (open as Hit).t - SENT_AT <= hours * HOUR).length;
      // The reading time before a click is subtracted from the time of the open, which shifts the share by up to one percentage point.
      expect(Math.abs(soon / first.length - shareBy(OPENS_BY, hours * HOUR))).toBeLessThan(0.02);
    }
  });

  test('of Apple’s proxy are one a recipient, whether the recipient clicks or not', () => {
    const apple = perRecipient(MANY, (hit) => hit.truth.cause === 'apple-mpp');
    expectShare(apple.length, MANY.length * RECIPIENTS, ratesFor(LINKS).apple);
    const once = apple.filter((opens) => opens.length === 1).length;
    // A recipient has two such opens if the letter was forwarded to a person who uses Apple's proxy.
    expect(once / apple.length).toBeGreaterThan(0.99);
    expect(apple.flat().every((hit) => hit.ua === 'Mozilla/5.0')).toBe(true);
  });
});

describe('clicks of people', () => {
  test('are of as many recipients as published', () => {
    const clickers = perRecipient(MANY, isClick('reader'));
    const [low, high] = [DEVICES.phone.clickRate, DEVICES.pc.clickRate];
    // The figures are published by device. The device of a person depends on the mail client, so the result is between the rates of phones
    // and PCs.
    expect(clickers.length / (MANY.length * RECIPIENTS)).toBeGreaterThan(low);
    expect(clickers.length / (MANY.length * RECIPIENTS)).toBeLessThan(high);
    const clicks = clickers.flat().length / clickers.length;
    expect(clicks).toBeGreaterThan(DEVICES.phone.totalClickRate / DEVICES.phone.clickRate - 0.03);
    expect(clicks).toBeLessThan(DEVICES.pc.totalClickRate / DEVICES.pc.clickRate + 0.03);
  });

  test('come when they come by the published figures', () => {
    const delays = MANY.flatMap((hits) => [
      ...firstClickDelays(
        hits.filter((hit) => hit.truth.cause === 'reader'),
        SENT_AT,
      ).values(),
    ]);
    for (const hours of [1, 3, 24]) {
      expectShare(delays.filter((ms) => ms <= hours * HOUR).length, delays.length, shareBy(CLICKS_BY, hours * HOUR));
    }
  });

  test('get fewer down the letter: the fifth link half of the first', () => {
    const clicks = ALL.filter((hit) => hit.truth.cause === 'reader' && hit.kind === 'click' && hit.recipient !== SHARED);
    const ratio = count(clicks, (hit) => hit.link === 4) / count(clicks, (hit) => hit.link === 0);
    expect(ratio).toBeGreaterThan(0.42);
    expect(ratio).toBeLessThan(0.65);
  });

  test('follow each other at once in the hard set only', () => {
    const fast = (newsletters: readonly Hit[][]): number =>
      perRecipient(newsletters, isClick('reader')).filter((clicks) => {
        return clicks.some(
          (click, i) => i > 0 && click.link !== (clicks[i - 1] as Hit).link && click.t - (clicks[i - 1] as Hit).t <= 2 * SECOND,
        );
      }).length;
    expect(fast(MANY)).toBe(0);
    expect(fast(MANY_HARD)).toBeGreaterThan(100);
    const tabs = perRecipient(MANY_HARD, (hit) => hit.truth.difficulty === 'fast-tabs');
    for (const hits of tabs) {
      expect(new Set(hits.map((hit) => hit.link)).size).toBe(hits.length);
      expect([2, 3]).toContain(hits.length);
      expect((hits.at(-1) as Hit).t - (hits[0] as Hit).t).toBeLessThanOrEqual(2 * SECOND);
    }
  });

  test('are made by forwards as often as published', () => {
    for (const [newsletters, set] of [
      [MANY, 'ordinary'],
      [MANY_HARD, 'hard'],
    ] as const) {
      // A forward to a reader with Apple's proxy has no open by a person, so only the other forwards are counted here.
      const forwards =
        count(newsletters.flat(), (hit) => hit.truth.cause === 'forward' && hit.kind === 'open') / (1 - OPEN_SHARES['apple-mpp']);
      const opens = count(newsletters.flat(), (hit) => hit.kind === 'open' && hit.truth.who === 'person' && hit.truth.cause !== 'forward');
      expect(forwards / opens / FORWARDS_PER_OPEN[set]).toBeGreaterThan(0.5);
      expect(forwards / opens / FORWARDS_PER_OPEN[set]).toBeLessThan(1.5);
    }
  });
});

describe('scanners', () => {
  const bursts = perRecipient(MANY, isClick('scanner-burst'));

  test('follow every link, nearly all within two seconds', () => {
    expect(bursts.length).toBeGreaterThan(300);
    for (const clicks of bursts) expect(new Set(clicks.map((hit) => hit.link)).size).toBe(LINKS);
    for (const clicks of bursts) expect((clicks[LINKS - 1] as Hit).t - (clicks[0] as Hit).t).toBeLessThan(2 * SECOND);
    expectShare(
      bursts.filter((clicks) => (clicks[LINKS - 1] as Hit).t - (clicks[0] as Hit).t < SECOND).length,
      bursts.length,
      6 / 7 + 0.02,
    );
  });

  test('begin as long after sending as published', () => {
    const starts = [...bursts, ...perRecipient(MANY, isClick('scanner-bot-ua')), ...perRecipient(MANY, isClick('scanner-head'))];
    const upTo = (ms: number): number => starts.filter(([hit]) => (hit as Hit).t - SENT_AT <= ms).length;
    // The first request of a burst comes shortly after the start of the burst. The difference does not matter for times of a minute or
    // more.
    for (const ms of [MINUTE, 5 * MINUTE, 30 * MINUTE])
      expect(Math.abs(upTo(ms) / starts.length - shareBy(BURSTS_BY, ms))).toBeLessThan(0.05);
    expect(upTo(10 * SECOND) / starts.length).toBeLessThan(0.02);
    const pixels = ALL.filter((hit) => hit.truth.cause === 'scanner-burst' && hit.kind === 'open');
    expectShare(pixels.filter((hit) => hit.t - SENT_AT <= 20 * SECOND).length, pixels.length, shareBy(SCANNER_OPENS_BY, 20 * SECOND));
  });

  test('make more than half of all clicks, for any number of links', () => {
    for (const links of [3, LINKS, 25]) {
      const { clicks } = summarise(Array.from({ length: 8 }, (_, seed) => traffic({ seed, links })).flat());
      expect(clicks.machine / (clicks.machine + clicks.person)).toBeGreaterThan(0.45);
      expect(clicks.machine / (clicks.machine + clicks.person)).toBeLessThan(0.65);
    }
  });

  test('ask by HEAD, name themselves or fetch ahead where their cause says so', () => {
    expect(ALL.every((hit) => hit.truth.cause !== 'scanner-head' || hit.method === 'HEAD')).toBe(true);
    expect(ALL.every((hit) => (hit.purpose !== '') === (hit.truth.cause === 'prefetch'))).toBe(true);
    expect(ALL.every((hit) => hit.method === 'GET' || hit.truth.who === 'machine')).toBe(true);
    const names = /barracuda|python|gmail-content|headless/i;
    expect(ALL.every((hit) => names.test(hit.ua) === (hit.truth.cause === 'scanner-bot-ua'))).toBe(true);
  });

  test('of the hard set take one link, from where people are', () => {
    const single = ALL_HARD.filter((hit) => hit.truth.difficulty === 'single-link');
    expect(single.length).toBeGreaterThan(500);
    const ordinary = membership(Object.values(ACCESS_NETWORKS).flatMap(({ v4, v6 }) => [...v4, ...v6]));
    expect(single.every((hit) => ordinary(hit.ip))).toBe(true);
    expect(perRecipient(MANY_HARD, (hit) => hit.truth.difficulty === 'single-link').every((hits) => hits.length === 1)).toBe(true);
  });
});

describe('addresses', () => {
  const inMachines = membership(Object.values(MACHINE_NETWORKS).flat());
  const inProxies = membership(Object.values(PROXY_NETWORKS).flat());

  test('of people are in no network of machines, and only proxies in those of proxies', () => {
    for (const hit of [...ALL, ...ALL_HARD]) {
      if (hit.truth.who === 'person' && inMachines(hit.ip)) expect.fail(`${hit.ip} of a person (${hit.truth.cause})`);
      if (hit.truth.cause === 'reader' && inProxies(hit.ip)) expect.fail(`${hit.ip} of a reader`);
      if (hit.truth.cause === 'reader-through-proxy' && !inProxies(hit.ip)) expect.fail(`${hit.ip} of a proxy`);
      if (hit.truth.cause === 'apple-mpp' && !inMachines(hit.ip)) expect.fail(`${hit.ip} of Apple`);
    }
  });

  test('of people are many', () => {
    const { addresses, recipients } = summarise(MANY[0] as Hit[]);
    expect(addresses.person).toBeGreaterThan(recipients.person.open);
  });

  test('are drawn from all of a network and from nothing else', () => {
    const random = createRandom(5);
    for (const network of ['10.1.2.0/30', '2a02:8108::/30', '2601::/20', '140.248.40.70/31', '2a02:26f7:da80:4000::/64']) {
      const inside = membership([network]);
      const drawn = Array.from({ length: 300 }, () => addressIn(random, [network]));
      expect(drawn.every(inside)).toBe(true);
      expect(new Set(drawn).size).toBeGreaterThan(1);
    }
    expect(new Set(Array.from({ length: 300 }, () => addressIn(random, ['10.1.2.0/30'])))).toEqual(
      new Set(['10.1.2.0', '10.1.2.1', '10.1.2.2', '10.1.2.3']),
    );
  });
});

describe('the access log', () => {
  const codec = createSlugCodec(parseSlugKeys('ab'.repeat(32)));
  const served = (hit: Hit): { path: string; link: string } => {
    const slug = codec.encode({ link: hit.kind === 'click' ? hit.link + 1 : LINKS + 1, recipient: hit.recipient + 1 });
    return hit.kind === 'click' ? { path: `/u/${slug}`, link: `${hit.link + 1}.1` } : { path: `/r/${slug}.gif`, link: '' };
  };

  test('has a line for every hit, which the log agent reads as that hit', () => {
    for (const hits of [MANY[0] as Hit[], MANY_HARD[0] as Hit[]]) {
      const text = accessLogLines(hits, served);
      expect(text.endsWith('\n')).toBe(true);
      const lines = text.slice(0, -1).split('\n');
      expect(lines.length).toBe(hits.length);
      const rids = new Set<string>();
      for (const [i, line] of lines.entries()) {
        const parsed = parseLine(line);
        if (!('hit' in parsed)) expect.fail(`${JSON.stringify(parsed)}: ${line}`);
        const { rid, t, kind, slug, link, head, ip, ua, ref, purpose } = parsed.hit;
        const hit = hits[i] as Hit;
        const ids = { link: hit.kind === 'click' ? hit.link + 1 : LINKS + 1, recipient: hit.recipient + 1 };
        expect({ t, kind, ids: codec.decode(slug), link, head, ip, ua, ref, purpose }).toEqual({
          t: hit.t,
          kind: hit.kind,
          ids,
          link: hit.kind === 'click' ? `${hit.link + 1}.1` : null,
          head: hit.method === 'HEAD',
          ip: hit.ip,
          ua: hit.ua,
          ref: hit.referrer,
          purpose: hit.purpose,
        });
        rids.add(rid);
      }
      expect(rids.size).toBe(hits.length);
      expect(accessLogLines(hits, served)).toBe(text);
    }
  });

  test('has each line as nginx writes it', () => {
    const hit: Hit = {
      t: 1_793_491_200_123,
      method: 'GET',
      kind: 'click',
      recipient: 0,
      link: 0,
      ip: '79.192.0.1',
      ua: 'A "quoted" \\ agent',
      referrer: 'https://mail.google.com/',
      purpose: 'prefetch;prerender prefetch',
      truth: { who: 'machine', cause: 'prefetch' },
    };
    const line = accessLogLines([hit], () => ({ path: '/u/abc', link: '7.2' }));
    expect(line.replace(/"rid":"[0-9a-f]{32}"/, '"rid":"…"')).toBe(
      '{"v":2,"rid":"…","t":1793491200.123,"m":"GET","u":"/u/abc","s":302,"ip":"79.192.0.1","ua":"A \\"quoted\\" \\\\ agent",' +
        '"ref":"https://mail.google.com/","purpose":"prefetch;prerender prefetch  ","link":"7.2","q":"","h":"click.example","x":""}\n',
    );
  });
});

test('the summary and the recount agree', () => {
  for (const hits of [MANY[0] as Hit[], MANY_HARD[0] as Hit[]]) {
    const summary = summarise(hits);
    const table = totals(hits);
    const heads = count(hits, (hit) => hit.method === 'HEAD');
    expect(summary.clicks).toEqual({ ...table.click, machine: table.click.machine - heads });
    expect(summary.opens).toEqual(table.open);
    expect(Object.values(summary.causes).reduce((sum, { clicks, heads: byHead, opens }) => sum + clicks + byHead + opens, 0)).toBe(
      summary.hits,
    );
    expect(uniqueRecipients(hits).click.person).toBe(summary.recipients.person.click);
    expect(uniqueRecipients(hits).open).toEqual({ person: summary.recipients.person.open, machine: summary.recipients.machine.open });
  }
});

test('draws from timelines and geometric numbers as told', () => {
  const random = createRandom(3);
  const times = Array.from({ length: 20_000 }, () => timeOf(random, BURSTS_BY));
  for (const [share, ms] of BURSTS_BY.slice(1, -1)) expectShare(times.filter((time) => time <= ms).length, times.length, share);
  const numbers = Array.from({ length: 20_000 }, () => geometric(random, 0.76));
  expect(numbers.reduce((a, b) => a + b) / numbers.length).toBeCloseTo(0.76, 1);
  expect(Array.from({ length: 10 }, () => geometric(random, 0))).toEqual(new Array(10).fill(0));
});
