import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { createSlugCodec, parseSlugKeys } from '../../core/slug.ts';
import { type Address as Edge, rawRequest } from '../support/raw-http.ts';
import { readCsv } from '../support/authors.ts';
import type { Composition } from './composition.ts';

// A letter to forty people, and their clicks and opens.

const PEOPLE = 40;
const TARGETS = ['https://www.example.com/sale?from=letter&page=1', 'https://www.example.com/news'];
const BROWSER = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';

interface Address {
  url: string;
  /** The expected target of a click. Undefined for a pixel. */
  target: string | undefined;
  /** Kind, link and recipient, as in `shard.event`. */
  key: string;
}

export interface Letter {
  addresses: Address[];
  /** The number of answered hits by kind, link and recipient. */
  answered: Map<string, number>;
  /** Requests that failed or got a wrong answer. */
  failed: string[];
}

/**
 * Creates a campaign, using only the commands for authors. `slugKeys` are needed to decode the slugs and so to know how each hit must be
 * counted.
 */
export async function prepareLetter({ desk, clickledger }: Pick<Composition, 'desk' | 'clickledger'>, slugKeys: string): Promise<Letter> {
  const links = TARGETS.map((target) => `<a href="${target.replace('&', '&amp;')}">read</a>`);
  await writeFile(join(desk, 'letter.html'), `<!DOCTYPE html><html><body>${links.join('\n')}</body></html>`);
  const people = Array.from({ length: PEOPLE }, (_, i) => `person${i}@example.com,Person ${i}`);
  await writeFile(join(desk, 'people.csv'), `email,name\n${people.join('\n')}\n`);
  await clickledger('campaign', 'create', 'Spring sale');
  await clickledger('prepare', 'letter.html', '--campaign', 'Spring sale', '--to', 'people.csv', '--merge', 'generic', '--out', 'out');
  const list = (await readdir(join(desk, 'out'))).find((name) => name.endsWith('.csv')) ?? '';
  const slugs = createSlugCodec(parseSlugKeys(slugKeys));
  const addresses = readCsv(await readFile(join(desk, 'out', list))).flatMap((row) =>
    Object.entries(row)
      .filter(([column]) => column.startsWith('CL_'))
      .map(([column, url]): Address => {
        const check = slugs.verify(/([0-9A-Za-z]+)(?:\.gif)?$/.exec(url)?.[1] ?? '');
        if (!check.ok) throw new Error(`${column} has no valid signature: ${url}`);
        const target = url.includes('/u/') ? TARGETS[Number(column.slice(3)) - 1] : undefined;
        return { url, target, key: `${target === undefined ? 'open' : 'click'} ${check.ids.link} ${check.ids.recipient}` };
      }),
  );
  return { addresses, answered: new Map(), failed: [] };
}

/** One recipient clicks or opens once. By default, the request goes to the port of the URL on loopback. */
export async function visit(letter: Letter, { url, target, key }: Address, userAgent = BROWSER, edge?: Edge): Promise<void> {
  const { port, pathname } = new URL(url);
  const answer = await rawRequest(edge ?? Number(port), 'GET', pathname, { 'User-Agent': userAgent }).catch(String);
  const isRight =
    typeof answer !== 'string' &&
    (target === undefined ? answer.status === 200 : answer.status === 302 && answer.headers.get('location') === target);
  if (isRight) letter.answered.set(key, (letter.answered.get(key) ?? 0) + 1);
  else letter.failed.push(`${new Date().toISOString()} ${key}: ${typeof answer === 'string' ? answer : answer.status}`);
}

/**
 * Makes several hundred hits per second until `stop` is called or the current test ends. They go to the edges in turn. A test that fails
 * before it calls `stop` thus does not make later tests fail.
 */
export function startVisiting(letter: Letter, edges: readonly Edge[] = []): { stop: () => Promise<void> } {
  let active = true;
  let n = 0;
  const recipient = async (): Promise<void> => {
    while (active) {
      const edge = edges[n % edges.length];
      await visit(letter, letter.addresses[n++ % letter.addresses.length] as Address, BROWSER, edge);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const all = Promise.all(Array.from({ length: 8 }, recipient));
  const stop = async (): Promise<void> => {
    active = false;
    await all;
  };
  onTestFinished(stop);
  return { stop };
}

/** Returns the number of stored events by kind, link and recipient. Tests compare it with `answered`. */
export async function storedHits({ sql }: Pick<Composition, 'sql'>): Promise<Map<string, number>> {
  const counted = new Map<string, number>();
  for (const shard of ['a', 'b', 'c', 'd'])
    for (const [kind, link, recipient, hits] of await sql(
      `clickledger_shard_${shard}`,
      'SELECT kind, link_id, recipient_id, count(*) FROM shard.event GROUP BY 1, 2, 3',
    ))
      counted.set(`${kind} ${link} ${recipient}`, (counted.get(`${kind} ${link} ${recipient}`) ?? 0) + Number(hits));
  return counted;
}

export const total = (counts: ReadonlyMap<string, number>): number => [...counts.values()].reduce((sum, n) => sum + n, 0);
