import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSlugCodec, parseSlugKeys } from '../../core/slug.ts';
import { sleep } from '../../core/time.ts';
import { createRandom, type Random } from '../chaos/random.ts';
import { eventually } from '../support/servers.ts';
import { addressOf, flood, latency, startClicking } from './clients.ts';
import { clicksOf, createSetup, FULL, type PressureSetup, PART_MAX_MIB, peakMib, printFigures } from './setup.ts';

// Tests floods of requests. Some requests have forged slugs. Others have valid slugs but come from one client.

/** The number of requests of each kind of forgery. */
const FORGED = FULL ? 50_000 : 4_000;
const FORGED_PIXELS = FULL ? 20_000 : 2_000;
const FORGED_ALIASES = 500;
const TOO_MANY = FULL ? 50_000 : 3_000;
const SITE_EVENTS = FULL ? 50_000 : 4_000;
const UNSUBSCRIBES = FULL ? 20_000 : 2_000;
/** A number that no link has. */
const SITE = 7_000_000;
/** The default limits of nginx/start.sh. */
const RATE_LIMIT = 30;
const RATE_BURST = 200;

let setup: PressureSetup;

beforeAll(async () => {
  setup = await createSetup({ shards: 2 });
  // From now on Postgres logs every statement of the backends.
  await setup.query('catalog', "ALTER ROLE clickledger_backend SET log_statement = 'all'");
  for (const name of ['backend-1', 'backend-2']) {
    await setup.system.member(name).running?.stop();
    await setup.system.member(name).start();
  }
}, 120_000);

afterAll(() => setup?.stop());

/** Returns every statement that the backends have sent so far. */
async function readStatements(): Promise<string[]> {
  const log = await readFile(join(setup.dataDir, 'run', 'postgres.log'), 'utf8');
  return Array.from(log.matchAll(/ LOG: {2}(?:statement|execute [^:]+): ([^]*?)(?=\n\d{4}-\d\d-\d\d )/g), ([, text]) =>
    (text as string).replaceAll(/\s+/g, ' '),
  );
}

/** Ways to forge a slug. The floods contain fewer aliases, because an unknown alias waits for the next poll of the catalog. */
function forgeries(random: Random): Record<string, (n: number) => string> {
  const otherKeyCodec = createSlugCodec(parseSlugKeys('12'.repeat(32)));
  const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  const randomLetters = (count: number): string => Array.from({ length: count }, () => base62[random.whole(0, 61)]).join('');
  const validSlug = (): string => setup.slugs.encode({ link: random.whole(1, 1000), recipient: random.whole(1, 100_000) });
  const otherKeySlug = (): string => otherKeyCodec.encode({ link: random.whole(1, 1000), recipient: random.whole(1, 100_000) });
  return {
    random: () => randomLetters(random.whole(17, 19)),
    'signed with another key': otherKeySlug,
    'one letter changed': () => {
      const slug = validSlug();
      // Changes a letter of the tag or of the check. The last letters may be padding, which is not verified.
      const at = random.whole(0, 9);
      return `${slug.slice(0, at)}${base62[(base62.indexOf(slug[at] as string) + random.whole(1, 61)) % 62]}${slug.slice(at + 1)}`;
    },
    'two slugs mixed': () => validSlug().slice(0, 9) + validSlug().slice(9),
    'cut short': () => validSlug().slice(0, -random.whole(5, 8)),
    'too long': () => validSlug() + randomLetters(random.whole(25, 1000)),
    'percent-encoded': () => otherKeySlug().replaceAll(/./g, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
  };
}

test('forged slugs are answered without a query, become no events, and leave room for valid clicks', {
  timeout: 300_000,
}, async (context) => {
  const { port, newClick, slugs } = setup;
  const random = createRandom(6);
  const countBefore = (await readStatements()).length;
  await sleep(3_000);
  const idleStatements = new Set((await readStatements()).slice(countBefore));
  expect(idleStatements.size).toBeGreaterThan(0);

  let clients = 0;
  const requests = Object.entries(forgeries(random)).flatMap(([kind, forge]) =>
    Array.from({ length: FORGED }, (_, n) => {
      const slug = forge(n);
      if (slugs.verify(decodeURIComponent(slug)).ok) throw new Error(`a forged slug (${kind}) has a valid signature: ${slug}`);
      return { path: `/u/${slug}`, address: addressOf(1_000_000 + clients++) };
    }),
  );
  const pixels = Array.from({ length: FORGED_PIXELS }, (_, n) => ({
    path: `/r/${forgeries(random)['random']?.(n)}.gif`,
    address: addressOf(1_000_000 + clients++),
  }));
  const aliases = Array.from({ length: FORGED_ALIASES }, (_, n) => ({
    path: `/u/no-such-alias-${n}`,
    address: addressOf(1_000_000 + clients++),
  }));

  const before = (await readStatements()).length;
  const clicking = startClicking({ port, perSecond: 100, next: newClick });
  const startedMs = performance.now();
  const [clicked, opened, named] = await Promise.all([
    flood({ port, connections: 16, requests }),
    flood({ port, connections: 4, requests: pixels }),
    flood({ port, connections: 100, requests: aliases, pipelined: 5 }),
  ]);
  const seconds = (performance.now() - startedMs) / 1000;
  await sleep(1_000);
  const { clicks, failed, latenciesMs } = await clicking.stop();
  const queries = (await readStatements()).slice(before);

  expect([...clicked]).toEqual([[404, requests.length]]);
  expect([...opened]).toEqual([[200, pixels.length]]);
  expect([...named]).toEqual([[404, aliases.length]]);
  expect(failed).toEqual([]);
  // The backends sent only the statements that they send every second, so no request of the flood caused a query.
  expect(queries.filter((text) => !idleStatements.has(text))).toEqual([]);

  // Proves that the check works: a signed slug of an unknown link causes one query, and the query is visible.
  const signed = slugs.encode({ link: 987_654_321, recipient: 1 });
  expect([...(await flood({ port, connections: 1, requests: [{ path: `/u/${signed}`, address: addressOf(1) }] }))]).toEqual([[404, 1]]);
  await eventually('its query is seen', async () => (await readStatements()).some((text) => text.includes('WHERE l.id = $1')));

  const verdict = await setup.expectExactlyOnce();
  expect(verdict.hits).toBe(clicks);
  const skipped = new Map<string, number>();
  for (const shard of ['a', 'b'])
    for (const { reason, lines } of await setup.query<{ reason: string; lines: number }>(shard, 'SELECT reason, lines FROM shard.skipped'))
      skipped.set(reason, (skipped.get(reason) ?? 0) + Number(lines));
  // nginx does not log requests that it answers with 404, so a flood of such requests does not fill the disk.
  expect(Object.fromEntries(skipped)).toEqual({ forged: pixels.length });
  const backendMib = Math.max(await peakMib(setup, 'backend-1'), await peakMib(setup, 'backend-2'));
  expect(backendMib).toBeLessThan(PART_MAX_MIB);
  printFigures(context, [
    {
      'forged clicks': requests.length + aliases.length,
      'forged pixels': pixels.length,
      seconds: seconds.toFixed(1),
      'queries because of them': queries.filter((text) => !idleStatements.has(text)).length,
      'counted as events': verdict.hits - clicks,
      'backend, peak MiB': backendMib,
    },
  ]);
  printFigures(context, [{ 'valid clicks meanwhile': clicks, failed: failed.length, ...latency(latenciesMs) }]);
});

test('one client beyond its rate is answered 429, which counts as nothing, and the others go on', { timeout: 120_000 }, async (context) => {
  const { port, newClick } = setup;
  const errorLog = join(setup.dataDir, 'run', 'nginx-1', 'error.log');
  const errorsBefore = await readFile(errorLog, 'utf8');
  const hitsBefore = (await setup.expectExactlyOnce()).hits;
  const clicking = startClicking({ port, perSecond: 100, next: newClick });
  await sleep(500);

  const greedy = Array.from({ length: TOO_MANY }, newClick);
  const startedMs = performance.now();
  const statuses = await flood({ port, connections: 8, requests: greedy.map(({ path }) => ({ path, address: '203.0.113.7' })) });
  const seconds = (performance.now() - startedMs) / 1000;
  const { clicks, failed, latenciesMs } = await clicking.stop();

  expect(failed).toEqual([]);
  const [redirected = 0, refused = 0] = [statuses.get(302), statuses.get(429)];
  expect(redirected + refused).toBe(TOO_MANY);
  expect(redirected).toBeGreaterThan(RATE_BURST);
  expect(redirected).toBeLessThanOrEqual(1 + RATE_BURST + RATE_LIMIT * seconds);
  const { hits } = await setup.expectExactlyOnce();
  expect(hits - hitsBefore).toBe(clicks + redirected);
  const counted = await clicksOf(
    setup,
    greedy.map(({ recipient }) => recipient),
  );
  expect([...counted.values()]).toEqual(Array.from({ length: redirected }, () => 1));
  // An error line with address and slug for each request of the flood would fill the disk.
  expect(await readFile(errorLog, 'utf8')).toBe(errorsBefore);
  printFigures(context, [
    {
      'clicks of one client': TOO_MANY,
      seconds: seconds.toFixed(2),
      'answered 302': redirected,
      'answered 429': refused,
      counted: counted.size,
    },
  ]);
  printFigures(context, [{ 'clicks of others': clicks, failed: failed.length, ...latency(latenciesMs) }]);
});

test('floods of visits, goals and unsubscribes count once, however they are made up, and hinder no click', {
  timeout: 300_000,
}, async (context) => {
  const { port, newClick, slugs, issued } = setup;
  const random = createRandom(7);
  const hitsBefore = (await setup.expectExactlyOnce()).hits;
  const site = slugs.encode({ link: SITE, recipient: 0 });
  issued.set(site, { link: SITE, recipient: 0, site: true });
  const [row] = await setup.query<{ id: number }>(
    'catalog',
    `INSERT INTO catalog.link (campaign_id, kind, original) VALUES (1, 'unsubscribe', '') RETURNING id::int`,
  );
  const link = row?.id as number;
  const text = (): string => random.whole(1, 2 ** 40).toString(36);
  const clicked = Array.from({ length: 50 }, () => newClick().path.slice(3));
  const siteRequests = Array.from({ length: SITE_EVENTS }, (_, n) => {
    const click = n % 3 === 0 ? `&c=${random.pick(clicked)}` : '';
    // One site in four is invented.
    const query = `n=${random.pick(['visit', text()])}&s=${text().slice(0, 8)}&u=https%3A%2F%2F${text()}.example%2F${text()}&r=https%3A%2F%2F${text()}.example&x.${'abcdefgh'[n % 8]}=${text()}`;
    return { path: `/e/${n % 4 === 0 ? `00forged${text()}` : site}?${query}${click}`, address: addressOf(2_000_000 + n) };
  });
  const unsubscribes = Array.from({ length: UNSUBSCRIBES }, (_, n) => {
    const ids = { link, recipient: 1 + (n % 20) };
    const slug = slugs.encode(ids);
    issued.set(slug, { ...ids, unsubscribes: true });
    return { path: `/o/${slug}`, address: addressOf(3_000_000 + n), form: 'List-Unsubscribe=One-Click' };
  });

  const clicking = startClicking({ port, perSecond: 100, next: newClick });
  const startedMs = performance.now();
  const [counted, unsubscribed] = await Promise.all([
    flood({ port, connections: 8, requests: siteRequests }),
    flood({ port, connections: 8, requests: unsubscribes }),
  ]);
  const seconds = (performance.now() - startedMs) / 1000;
  const { clicks, failed, latenciesMs } = await clicking.stop();
  expect([...counted]).toEqual([[204, SITE_EVENTS]]);
  expect([...unsubscribed]).toEqual([[200, UNSUBSCRIBES]]);
  expect(failed).toEqual([]);
  const { hits } = await setup.expectExactlyOnce();
  expect(hits - hitsBefore).toBe(clicks + UNSUBSCRIBES + (SITE_EVENTS * 3) / 4);
  const workerMib = await peakMib(setup, 'event-worker-1');
  expect(workerMib).toBeLessThan(PART_MAX_MIB);
  printFigures(context, [
    { 'visits and goals': SITE_EVENTS, unsubscribes: UNSUBSCRIBES, seconds: seconds.toFixed(1), 'worker, peak MiB': workerMib },
  ]);
  printFigures(context, [{ 'valid clicks meanwhile': clicks, failed: failed.length, ...latency(latenciesMs) }]);
});
