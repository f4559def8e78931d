import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSlugCodec, parseSlugKeys } from '../../core/slug.ts';
import { sleep } from '../../core/time.ts';
import { createRandom, type Random } from '../chaos/random.ts';
import { eventually } from '../support/servers.ts';
import { addressOf, flood, latency, startClicking } from './clients.ts';
import { clicksOf, createGround, FULL, type Ground, PART_MAX_MIB, peakMib, print } from './ground.ts';

// More requests than anybody needs: some with slugs that nobody signed, some with good ones, all from one client.

/** Of each kind. */
const FORGED = FULL ? 50_000 : 4_000;
const FORGED_PIXELS = FULL ? 20_000 : 2_000;
const FORGED_ALIASES = 500;
const TOO_MANY = FULL ? 50_000 : 3_000;
/** The defaults of nginx/start.sh. */
const RATE_LIMIT = 30;
const RATE_BURST = 200;

let ground: Ground;

beforeAll(async () => {
  ground = await createGround({ shards: 2 });
  // Postgres writes down whatever a backend asks from now on.
  await ground.query('catalog', "ALTER ROLE clickledger_backend SET log_statement = 'all'");
  for (const name of ['backend-1', 'backend-2']) {
    await ground.system.member(name).running?.stop();
    await ground.system.member(name).start();
  }
}, 120_000);

afterAll(() => ground?.stop());

/** Every statement that a backend has sent so far. */
async function statements(): Promise<string[]> {
  const log = await readFile(join(ground.dataDir, 'run', 'postgres.log'), 'utf8');
  return Array.from(log.matchAll(/ LOG: {2}(?:statement|execute [^:]+): ([^]*?)(?=\n\d{4}-\d\d-\d\d )/g), ([, text]) =>
    (text as string).replaceAll(/\s+/g, ' '),
  );
}

/** Slugs that nobody signed, in many ways; an alias waits for the next look at the catalog, so those are fewer. */
function forgeries(random: Random): Record<string, (n: number) => string> {
  const stranger = createSlugCodec(parseSlugKeys('12'.repeat(32)));
  const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  const letters = (count: number): string => Array.from({ length: count }, () => base62[random.whole(0, 61)]).join('');
  const good = (): string => ground.slugs.encode({ link: random.whole(1, 1000), recipient: random.whole(1, 100_000) });
  const ofStranger = (): string => stranger.encode({ link: random.whole(1, 1000), recipient: random.whole(1, 100_000) });
  return {
    random: () => letters(random.whole(17, 19)),
    'signed with another key': ofStranger,
    'one letter changed': () => {
      const slug = good();
      // Of tag and check; the end may be padding, which says nothing.
      const at = random.whole(0, 9);
      return `${slug.slice(0, at)}${base62[(base62.indexOf(slug[at] as string) + random.whole(1, 61)) % 62]}${slug.slice(at + 1)}`;
    },
    'two slugs mixed': () => good().slice(0, 9) + good().slice(9),
    'cut short': () => good().slice(0, -random.whole(5, 8)),
    'too long': () => good() + letters(random.whole(25, 1000)),
    'percent-encoded': () => ofStranger().replaceAll(/./g, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
  };
}

test('forged slugs are answered without a query, become no events, and leave room for valid clicks', {
  timeout: 300_000,
}, async (context) => {
  const { port, newClick, slugs } = ground;
  const random = createRandom(6);
  const known = (await statements()).length;
  await sleep(3_000);
  const whileQuiet = new Set((await statements()).slice(known));
  expect(whileQuiet.size).toBeGreaterThan(0);

  let clients = 0;
  const requests = Object.entries(forgeries(random)).flatMap(([kind, forge]) =>
    Array.from({ length: FORGED }, (_, n) => {
      const slug = forge(n);
      if (slugs.verify(decodeURIComponent(slug)).ok) throw new Error(`a forgery (${kind}) is none: ${slug}`);
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

  const before = (await statements()).length;
  const clicking = startClicking({ port, perSecond: 100, next: newClick });
  const began = performance.now();
  const [clicked, opened, named] = await Promise.all([
    flood({ port, connections: 16, requests }),
    flood({ port, connections: 4, requests: pixels }),
    flood({ port, connections: 100, requests: aliases, pipelined: 5 }),
  ]);
  const seconds = (performance.now() - began) / 1000;
  await sleep(1_000);
  const { clicks, failed, latenciesMs } = await clicking.stop();
  const asked = (await statements()).slice(before);

  expect([...clicked]).toEqual([[404, requests.length]]);
  expect([...opened]).toEqual([[200, pixels.length]]);
  expect([...named]).toEqual([[404, aliases.length]]);
  expect(failed).toEqual([]);
  // Only what backends ask once a second anyway: none of it was asked for one of these.
  expect(asked.filter((text) => !whileQuiet.has(text))).toEqual([]);

  // The same look does see the one query that a signed slug of an unknown link is worth.
  const signed = slugs.encode({ link: 987_654_321, recipient: 1 });
  expect([...(await flood({ port, connections: 1, requests: [{ path: `/u/${signed}`, address: addressOf(1) }] }))]).toEqual([[404, 1]]);
  await eventually('its query is seen', async () => (await statements()).some((text) => text.includes('WHERE l.id = $1')));

  const verdict = await ground.expectExactlyOnce();
  expect(verdict.hits).toBe(clicks);
  const skipped = new Map<string, number>();
  for (const shard of ['a', 'b'])
    for (const { reason, lines } of await ground.query<{ reason: string; lines: number }>(shard, 'SELECT reason, lines FROM shard.skipped'))
      skipped.set(reason, (skipped.get(reason) ?? 0) + Number(lines));
  expect(Object.fromEntries(skipped)).toEqual({ 'not-served': requests.length + aliases.length + 1, forged: pixels.length });
  const backendMib = Math.max(await peakMib(ground, 'backend-1'), await peakMib(ground, 'backend-2'));
  expect(backendMib).toBeLessThan(PART_MAX_MIB);
  print(context, [
    {
      'forged clicks': requests.length + aliases.length,
      'forged pixels': pixels.length,
      seconds: seconds.toFixed(1),
      'queries because of them': asked.filter((text) => !whileQuiet.has(text)).length,
      'counted as events': verdict.hits - clicks,
      'backend, peak MiB': backendMib,
    },
  ]);
  print(context, [{ 'valid clicks meanwhile': clicks, failed: failed.length, ...latency(latenciesMs) }]);
});

test('one client beyond its rate is answered 429, which counts as nothing, and the others go on', { timeout: 120_000 }, async (context) => {
  const { port, newClick } = ground;
  const errorLog = join(ground.dataDir, 'run', 'nginx-1', 'error.log');
  const errorsBefore = await readFile(errorLog, 'utf8');
  const hitsBefore = (await ground.expectExactlyOnce()).hits;
  const clicking = startClicking({ port, perSecond: 100, next: newClick });
  await sleep(500);

  const greedy = Array.from({ length: TOO_MANY }, newClick);
  const began = performance.now();
  const statuses = await flood({ port, connections: 8, requests: greedy.map(({ path }) => ({ path, address: '203.0.113.7' })) });
  const seconds = (performance.now() - began) / 1000;
  const { clicks, failed, latenciesMs } = await clicking.stop();

  expect(failed).toEqual([]);
  const [redirected = 0, refused = 0] = [statuses.get(302), statuses.get(429)];
  expect(redirected + refused).toBe(TOO_MANY);
  expect(redirected).toBeGreaterThan(RATE_BURST);
  expect(redirected).toBeLessThanOrEqual(1 + RATE_BURST + RATE_LIMIT * seconds);
  const { hits } = await ground.expectExactlyOnce();
  expect(hits - hitsBefore).toBe(clicks + redirected);
  const counted = await clicksOf(
    ground,
    greedy.map(({ recipient }) => recipient),
  );
  expect([...counted.values()]).toEqual(Array.from({ length: redirected }, () => 1));
  // A line for each, with address and slug, would fill the disk at the flood's own pace.
  expect(await readFile(errorLog, 'utf8')).toBe(errorsBefore);
  print(context, [
    {
      'clicks of one client': TOO_MANY,
      seconds: seconds.toFixed(2),
      'answered 302': redirected,
      'answered 429': refused,
      counted: counted.size,
    },
  ]);
  print(context, [{ 'clicks of others': clicks, failed: failed.length, ...latency(latenciesMs) }]);
});
