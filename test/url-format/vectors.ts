import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createUrls } from '../../authoring/urls.ts';
import { parseShards } from '../../core/shards.ts';
import { createSlugCodec, isAlias, parseSlugKeys } from '../../core/slug.ts';
import { decodeSqid, encodeSqid } from '../../core/sqids.ts';
import { createRandom } from '../chaos/random.ts';

// `npm run vectors`: writes docs/url-format.vectors.json. The vectors are examples of the format with their results. Programs in other languages
// check themselves against them.

export const VECTORS_PATH = fileURLToPath(new URL('../../docs/url-format.vectors.json', import.meta.url));
const KEYS = ['0123456789abcdef'.repeat(4), 'ff'.repeat(32), '00'.repeat(31) + '01'];
const BASE_URL = 'https://click.example.org';
const SHARDS = [
  ['a', '00'],
  ['b', 'FZ'],
  ['c', 'V0'],
  ['d', 'kz'],
] as const;
const NUMBERS = [1, 2, 60, 61, 62, 63, 3720, 3721, 2 ** 16, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 48, 2 ** 53 - 1];
const RANDOM_SLUGS = 900;
/** Slugs whose first encoding has a blocked word. */
const BLOCKED_SLUGS = 20;
const NOTHING_BLOCKED = /(?!)/;

/** Returns the text of the file. It is the same in every run. */
export function vectorsText(): string {
  const random = createRandom(2026);
  const codecs = KEYS.map((key) => createSlugCodec(parseSlugKeys(key)));
  const all = createSlugCodec(parseSlugKeys(KEYS.join(',')));
  const shards = parseShards(SHARDS.map(([name, from]) => `${name}=${from}=postgres://db/${name}`).join(','));
  const codecAt = (key: number) => codecs[key] as (typeof codecs)[number];
  const row = (key: number, link: number, recipient: number) => {
    const slug = codecAt(key).encode({ link, recipient });
    return [key, link, recipient, slug, shards.of(slug.slice(0, 2)).name] as const;
  };
  const anyNumber = (): number => random.whole(1, 2 ** random.whole(1, 52));
  const slugs = [
    ...NUMBERS.flatMap((link) => [0, ...NUMBERS].map((recipient) => row(link % KEYS.length, link, recipient))),
    ...Array.from({ length: RANDOM_SLUGS }, (_, i) => row(i % KEYS.length, anyNumber(), i % 10 === 0 ? 0 : anyNumber())),
  ];
  for (let recipient = 1, found = 0; found < BLOCKED_SLUGS; recipient++) {
    const [key, link, , slug] = row(0, 7, recipient);
    if (slug.slice(2) === encodeSqid(numbersOf(slug), NOTHING_BLOCKED)) continue;
    slugs.push(row(key, link, recipient));
    found++;
  }
  const anyOf = () => random.pick(slugs);
  const isRefused = (slug: string): boolean => !all.verify(slug).ok;
  const changed = Array.from({ length: 200 }, () => {
    const [, , , slug] = anyOf();
    const at = random.whole(0, slug.length - 1);
    return slug.slice(0, at) + random.pick(['0', 'a', 'Z', '9', '-', '_', 'ü', ' ', '']) + slug.slice(at + 1);
  });
  const short = slugs.filter(([, link, recipient]) => link < 100 && recipient < 100);
  const spelled = short.map(([, link, recipient, slug]) => [`${slug.slice(0, -1)}0`, link, recipient] as const);
  const names = [
    'black-friday',
    'a-',
    'a_b',
    'A-1',
    '0_',
    'abc',
    '-a',
    '_a',
    '',
    'a b-c',
    'ü-a',
    'a-\n',
    `a-${'b'.repeat(62)}`,
    `a-${'b'.repeat(63)}`,
  ];
  const urls = createUrls(BASE_URL, codecAt(0));
  const vectors = {
    keys: KEYS,
    base_url: BASE_URL,
    shards: SHARDS,
    slugs,
    other_spellings: spelled.filter(([slug, link, recipient], i) => {
      const result = all.verify(slug);
      return slug !== short[i]?.[3] && result.ok && result.ids.link === link && result.ids.recipient === recipient;
    }),
    refused: ['', 'a', '00', 'hello', '0'.repeat(17), 'z'.repeat(41), ...changed].filter(isRefused),
    aliases: names.map((name) => [name, isAlias(name)]),
    urls: [1, 12, 2 ** 40].flatMap((link) =>
      [0, 5, 2 ** 33].map((recipient) => [
        0,
        link,
        recipient,
        { click: urls.click(link, recipient), pixel: urls.pixel(link, recipient), unsubscribe: urls.unsubscribe(link, recipient) },
      ]),
    ),
  };
  // One vector a line, so that a change of the file can be read.
  const listed = (rows: readonly unknown[]): string => `[\n${rows.map((one) => `  ${JSON.stringify(one)}`).join(',\n')}\n]`;
  const fields = Object.entries(vectors).map(
    ([name, value]) => `"${name}": ${Array.isArray(value) ? listed(value) : JSON.stringify(value)}`,
  );
  return `{\n${fields.join(',\n')}\n}\n`;
}

function numbersOf(slug: string): [number, number, number] {
  const numbers = decodeSqid(slug.slice(2));
  if (!numbers) throw new Error(`${slug} cannot be decoded`);
  return numbers;
}

if (process.argv[1] && resolve(process.argv[1]) === import.meta.filename) await writeFile(VECTORS_PATH, vectorsText());
