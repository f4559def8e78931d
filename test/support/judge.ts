import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';

// Computes the expected content of the databases from the bytes of the logs. It deliberately shares no code with the product.

/** The ids in a slug. */
export interface Issued {
  link: number;
  recipient: number;
  /** Whether the link is one for unsubscribing. */
  unsubscribes?: true;
  /** Whether the slug is the id of a site. Its link is the number of the site. */
  site?: true;
}

export interface ExpectedEvent {
  gen: string;
  off: number;
  kind: 'click' | 'open' | 'unsubscribe' | 'visit' | 'goal';
  /** The link. Of a visit or goal, the site. */
  link: number;
  /** The recipient. Of a visit or goal, that of the click that it names. */
  recipient: number;
  /** The version of the link. Null if the log line has none. */
  version: number | null;
  shard: string;
  head: boolean;
}

export interface Expected {
  /** The expected events, by request id. */
  events: Map<string, ExpectedEvent>;
  /** The expected dead letters: keys `gen off`, values are the reasons. */
  dead: Map<string, string>;
  skipped: Map<string, number>;
  /** The number of bytes by generation. */
  sizes: Map<string, number>;
  /** The offset of the last line of a generation, if the line has no newline. */
  tails: Map<string, number>;
}

/**
 * Classifies every line of every log in the directories. `issued` contains all valid slugs. `tagOfLink` returns the tag of a shared link.
 * `shards` lists the names and the first tags of the shards in order.
 */
export async function readLogs(options: {
  directories: readonly string[];
  issued: ReadonlyMap<string, Issued>;
  tagOfLink: (link: number) => string;
  shards: readonly { name: string; from: string }[];
}): Promise<Expected> {
  const expected: Expected = { events: new Map(), dead: new Map(), skipped: new Map(), sizes: new Map(), tails: new Map() };
  for (const directory of options.directories) {
    for (const name of (await readdir(directory)).filter((file) => file.startsWith('access.log'))) {
      const bytes = await readFile(join(directory, name));
      classify(contentOf(name, bytes), options, expected);
    }
  }
  return expected;
}

function contentOf(name: string, bytes: Buffer): Buffer {
  if (name.endsWith('.gz')) return gunzipSync(bytes);
  return name.endsWith('.zst') ? unzstd(bytes) : bytes;
}

/**
 * Decompresses a zstd file with several frames. The function of Node reads only one frame, so this code tries every position at which a
 * frame may begin.
 */
function unzstd(bytes: Buffer): Buffer {
  const frames: Buffer[] = [];
  for (let at = 0; at >= 0; at = bytes.indexOf(FRAME_START, at + 1)) {
    try {
      frames.push(zstdDecompressSync(bytes.subarray(at)));
    } catch {
      // These four bytes were not the start of a frame.
    }
  }
  return Buffer.concat(frames);
}

const KIND_OF_PREFIX: ReadonlyMap<string, ExpectedEvent['kind']> = new Map([
  ['/u/', 'click'],
  ['/r/', 'open'],
  ['/o/', 'unsubscribe'],
]);
const FRAME_START = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
const STARTS = [1, 2].map((v) => Buffer.from(`{"v":${v},"rid":"`));
/** The maximum length of a line with its newline. A longer text is not a line, but a line may follow at its end without a newline. */
const LONGEST_LINE = 262_144;

function classify(bytes: Buffer, options: Parameters<typeof readLogs>[0], expected: Expected): void {
  const lines = linesOf(bytes);
  const gen = generationOf(bytes, lines);
  if (expected.sizes.has(gen) || bytes.length === 0) return;
  expected.sizes.set(gen, bytes.length);
  const last = lines.at(-1);
  if (last?.to === bytes.length) expected.tails.set(gen, last.from);
  for (const { from, to } of lines) {
    const line = bytes.subarray(from, to);
    const last = Math.max(...STARTS.map((start) => line.lastIndexOf(start)));
    const isTooLong = to + 1 - from > LONGEST_LINE && (last === 0 || line.length + 1 - last > LONGEST_LINE);
    const start = isTooLong ? -1 : last;
    if (start !== 0) expected.dead.set(`${gen} ${from}`, 'torn');
    if (start < 0) continue;
    const off = from + start;
    let hit: Record<string, string | number>;
    try {
      hit = JSON.parse(line.toString('utf8', start)) as Record<string, string | number>;
    } catch {
      expected.dead.set(`${gen} ${off}`, 'not-json');
      continue;
    }
    const verdict = judge(hit, options);
    if (typeof verdict === 'string') expected.skipped.set(verdict, (expected.skipped.get(verdict) ?? 0) + 1);
    else expected.events.set(String(hit['rid']), { ...verdict, gen, off });
  }
}

function judge(hit: Record<string, string | number>, options: Parameters<typeof readLogs>[0]): string | Omit<ExpectedEvent, 'gen' | 'off'> {
  const path = String(hit['u']);
  if (path.startsWith('/e/') && hit['v'] === 2) return judgeSiteEvent(hit, options);
  const kind = KIND_OF_PREFIX.get(path.slice(0, 3));
  if (!kind || (kind === 'unsubscribe' && hit['v'] !== 2)) return 'not-tracking';
  if (hit['s'] !== (kind === 'click' ? 302 : 200)) return 'not-served';
  const slug = kind === 'open' ? path.slice(3).replace(/\.gif$/, '') : path.slice(3);
  const head = hit['m'] === 'HEAD';
  const served = hit['link'] === '' ? undefined : String(hit['link']).split('.').map(Number);
  const shardOf = (tag: string): string => shardOfTag(tag, options);
  const issued = options.issued.get(slug);
  if (issued && kind === 'unsubscribe' && !issued.unsubscribes) return 'forged';
  if (issued)
    return {
      kind,
      link: issued.link,
      recipient: issued.recipient,
      version: kind === 'click' ? (served?.[1] ?? null) : null,
      shard: shardOf(slug.slice(0, 2)),
      head,
    };
  if (/[-_]/.test(slug) && kind === 'click' && served) {
    const link = served[0] as number;
    return { kind, link, recipient: 0, version: served[1] ?? null, shard: shardOf(options.tagOfLink(link)), head };
  }
  return /^[0-9A-Za-z]{5,40}$/.test(slug) ? 'forged' : 'malformed-slug';
}

function shardOfTag(tag: string, options: Parameters<typeof readLogs>[0]): string {
  let name = '';
  for (const shard of options.shards) if (Buffer.compare(Buffer.from(tag), Buffer.from(shard.from)) >= 0) name = shard.name;
  return name;
}

/** Decodes a part of a query: `+` is a space, and `%XX` a byte of UTF-8. */
function unescaped(text: string): string {
  const bytes = Buffer.from(text.replaceAll('+', ' ')).toString('latin1');
  const decoded = bytes.replaceAll(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  // A decoder drops a byte order mark at the start, but here it is a part of the text.
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.from(decoded, 'latin1'));
}

function judgeSiteEvent(
  hit: Record<string, string | number>,
  options: Parameters<typeof readLogs>[0],
): string | Omit<ExpectedEvent, 'gen' | 'off'> {
  if (hit['s'] !== 204) return 'not-served';
  const id = String(hit['u']).slice(3);
  if (!/^[0-9A-Za-z]{5,40}$/.test(id)) return 'malformed-slug';
  const parameters = new Map<string, string>();
  for (const pair of String(hit['q']).split('&').reverse()) {
    const [name = '', ...value] = pair.split('=');
    parameters.set(unescaped(name), unescaped(value.join('=')));
  }
  const name = (parameters.get('n') ?? '').trim();
  if (name === '' || name.length > 64 || /[\x00-\x1f\x7f-\x9f]/.test(name)) return 'malformed-name';
  const site = options.issued.get(id);
  if (!site?.site) return 'forged';
  const matching = (key: string, pattern: RegExp): string | undefined => pattern.exec(parameters.get(key) ?? '')?.[0];
  const [slug, session] = [matching('c', /^[0-9A-Za-z]{5,40}$/), matching('s', /^[0-9a-z]{1,10}$/)];
  const number = session === undefined ? Number(`0x${String(hit['rid']).slice(0, 12)}`) : Number.parseInt(session, 36);
  return {
    kind: name === 'visit' ? 'visit' : 'goal',
    link: site.link,
    recipient: options.issued.get(slug ?? '')?.recipient ?? 0,
    version: null,
    shard: shardOfTag(slug?.slice(0, 2) ?? options.tagOfLink(number), options),
    head: false,
  };
}

function linesOf(bytes: Buffer): { from: number; to: number }[] {
  const lines: { from: number; to: number }[] = [];
  for (let from = 0; from < bytes.length; ) {
    const newline = bytes.indexOf(0x0a, from);
    const to = newline < 0 ? bytes.length : newline;
    lines.push({ from, to });
    from = to + 1;
  }
  return lines;
}

function generationOf(bytes: Buffer, lines: { from: number; to: number }[]): string {
  const first = lines.find(
    ({ from, to }) => to + 1 - from <= LONGEST_LINE && /"rid":"[0-9a-f]{32}"/.test(bytes.toString('latin1', from, to)),
  );
  const head = first ? bytes.subarray(0, first.to + 1) : bytes;
  return createHash('sha256').update(head).digest('hex').slice(0, 32);
}

/** Removes a torn last line from the expected content. The agent commits such a line only after the log was rotated twice. */
export function dropTail(expected: Expected, gen: string): void {
  const from = expected.tails.get(gen) ?? Number.POSITIVE_INFINITY;
  for (const key of expected.dead.keys()) {
    const [keyGen, off] = key.split(' ');
    if (keyGen === gen && Number(off) >= from) expected.dead.delete(key);
  }
  expected.sizes.set(gen, from);
}
