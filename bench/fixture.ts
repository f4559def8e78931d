import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { createSlugCodec, parseSlugKeys } from '../core/slug.ts';

// One million hits of a newsletter: 100,000 recipients with ten links each, chosen from one thousand links. A random generator with a fixed
// seed creates the hits, so every run reads the same bytes, except for the times.

export const LINES = 1_000_000;
export const LINKS = 1_000;
const RECIPIENTS = 100_000;
/** One of this number of lines is a click on a link that was never sent. The line has status 404, so it is not counted. */
const SKIP_EVERY = 200;
/** The number of hits that count among `lines` lines; `lines` must be a multiple of 200. */
export const countEvents = (lines: number): number => lines - lines / SKIP_EVERY;
export const EVENTS = countEvents(LINES);
/** The key that signs all slugs of a run. The key is public, because it protects nothing. */
export const SLUG_KEYS = '0123456789abcdef'.repeat(4);

export interface Fixture {
  /** One million different slugs. */
  slugs(): Promise<readonly string[]>;
  /** The path and the size in bytes of a file with one million lines in nginx's log format. */
  log(): Promise<{ path: string; size: number }>;
}

const USER_AGENTS = [
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1',
  'Mozilla/5.0 (iPad; CPU OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0',
  'Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko',
  'Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; .NET4.0C; .NET4.0E; Microsoft Outlook 16.0.17928; ms-office)',
  'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.3.1',
  'Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0',
  'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36',
  'Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36',
  'Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/141.0.0.0 Mobile Safari/537.36',
  'Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)',
  'YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html',
  'Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)',
  'Mozilla/5.0 (compatible; Barracuda Sentinel (EE))',
];
const REFERRERS = ['', '', '', 'https://mail.google.com/', 'https://outlook.live.com/', 'android-app://com.google.android.gm/'];

export function createFixture(directory: string, progress: (text: string) => void): Fixture {
  const ids = slugIds(LINES);
  const slugs = memoize(async () => {
    progress('   making a million slugs');
    const codec = createSlugCodec(parseSlugKeys(SLUG_KEYS));
    return ids.map((pair) => codec.encode(pair));
  });
  const log = memoize(async () => {
    const list = await slugs();
    progress('   making a log of a million lines');
    await mkdir(directory, { recursive: true });
    const path = join(directory, 'access.log');
    const size = await writeLog(path, list, ids, 20261122);
    return { path, size };
  });
  return { slugs, log };
}

/** Returns the ids of the first `count` slugs in random order. With one million slugs, each recipient has ten links. */
export function slugIds(count: number): { link: number; recipient: number }[] {
  const random = mulberry32(4711);
  const list = Array.from({ length: count }, (_, i) => {
    const recipient = (i % RECIPIENTS) + 1;
    return { link: ((recipient * 13 + Math.floor(i / RECIPIENTS) * 101) % LINKS) + 1, recipient };
  });
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [list[i], list[j]] = [list[j] as (typeof list)[number], list[i] as (typeof list)[number]];
  }
  return list;
}

/**
 * Writes one hit for each slug and returns the number of bytes written. Another seed gives other request ids, so the log is another
 * generation.
 */
export async function writeLog(path: string, slugs: readonly string[], ids: ReturnType<typeof slugIds>, seed: number): Promise<number> {
  const random = mulberry32(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const hex = (): string =>
    Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0');
  const file = createWriteStream(path, { highWaterMark: 4 * 1024 * 1024 });
  const startS = Date.now() / 1000 - 600;
  let size = 0;
  let lines: string[] = [];
  for (const [i, slug] of slugs.entries()) {
    const { link, recipient } = ids[i] as (typeof ids)[number];
    // Each recipient has one IP address and one or two user agents.
    const ip = `${(recipient % 190) + 20}.${(recipient * 7) % 256}.${(recipient * 31) % 256}.${(recipient * 3) % 256}`;
    const ua = USER_AGENTS[(recipient * 2 + (random() < 0.3 ? 1 : 0)) % USER_AGENTS.length] as string;
    const skipped = i % SKIP_EVERY === 0;
    const click = skipped || random() < 0.5;
    const method = random() < 0.01 ? 'HEAD' : 'GET';
    lines.push(
      `{"v":2,"rid":"${hex()}${hex()}${hex()}${hex()}","t":${(startS + i * 0.0005).toFixed(3)},"m":"${method}",` +
        `"u":"${click ? `/u/${slug}` : `/r/${slug}.gif`}","s":${skipped ? 404 : click ? 302 : 200},"ip":"${ip}","ua":"${ua}",` +
        `"ref":"${pick(REFERRERS)}","purpose":"   ","link":"${click && !skipped ? `${link}.1` : ''}","q":"","h":"t.example.org","x":""}\n`,
    );
    if (lines.length === 10_000 || i === slugs.length - 1) {
      const text = Buffer.from(lines.join(''));
      size += text.length;
      lines = [];
      if (!file.write(text)) await once(file, 'drain');
    }
  }
  file.end();
  await finished(file);
  return size;
}

function memoize<T>(make: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => (result ??= make());
}

/** A small random number generator with a seed. It returns numbers from 0 up to, but not including, 1. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
