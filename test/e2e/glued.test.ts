import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { editCampaign, ensureCampaign } from '../../authoring/campaigns.ts';
import { ensureAlias, ensureLink } from '../../authoring/links.ts';
import { createPool, type Pool } from '../../core/postgres.ts';
import { createSlugCodec, parseSlugKeys } from '../../core/slug.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { gluedForms } from '../support/glue.ts';
import { rawRequest } from '../support/raw-http.ts';
import { eventually } from '../support/servers.ts';

// Sends clicks and opens through the whole system with characters that a mail client has added to the address. Each must be answered like
// the original address, and must count once for its link and recipient.

const TARGET = 'https://www.example.com/ü?a=1#top';
const IN_FLIGHT = 16;
/** Recipients whose slugs have all possible lengths, with padding and without. */
const RECIPIENTS = [0, 1, 5_000, 10_000_000, 10 ** 10, 10 ** 13, Number.MAX_SAFE_INTEGER];

let system: System;
let dataDir: string;
let author: Pool;
let analyst: Pool;
const links = { url: 0, pixel: 0 };
let campaign: number;
let slugOf: (link: number, recipient: number) => string;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'clickledger-glued-'));
  // Each hit has a different address in X-Forwarded-For, so that no rate limit applies. nginx must trust 127.0.0.1 as a proxy.
  const extra = { TRUSTED_PROXIES: '127.0.0.1', LOG_LEVEL: 'warn' };
  system = await startSystem({ dataDir, shards: 2, durable: false, extra });
  author = createPool(system.env['AUTHOR_URL'] ?? '', { max: 2, name: 'test' });
  analyst = createPool(system.env['ANALYST_URL'] ?? '', { max: 1, name: 'test' });
  const slugs = createSlugCodec(parseSlugKeys(system.env['SLUG_KEYS'] ?? ''));
  slugOf = (link, recipient) => slugs.encode({ link, recipient });
  campaign = (await ensureCampaign(author, 'glued')).id;
  links.url = await ensureLink(author, campaign, { kind: 'url', target: TARGET });
  links.pixel = await ensureLink(author, campaign, { kind: 'pixel' });
  await ensureAlias(author, 'spring-sale', links.url);
}, 120_000);

afterAll(async () => {
  await author?.end();
  await analyst?.end();
  await system?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

let requests = 0;
async function get(path: string): Promise<{ status: number; location: string }> {
  const n = requests++;
  const answer = await rawRequest(system.ports.edges[0] as number, 'GET', path, {
    'X-Forwarded-For': `${1 + (n % 200)}.${(n >> 8) % 256}.${n % 256}.7`,
    'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
  });
  return { status: answer.status, location: Buffer.from(answer.headers.get('location') ?? '', 'latin1').toString('utf8') };
}

async function forEach<T>(list: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      while (next < list.length) await work(list[next++] as T);
    }),
  );
}

/** Returns the number of counted hits for each `kind link recipient`. */
async function counted(): Promise<Map<string, number>> {
  const { rows } = await analyst.query<{ hit: string; hits: string }>(
    "SELECT kind || ' ' || link_id || ' ' || coalesce(recipient_id, 0) AS hit, count(*) AS hits FROM analytics.events GROUP BY 1",
  );
  return new Map(rows.map(({ hit, hits }) => [hit, Number(hits)]));
}

test('whatever stands behind a slug or an alias, the click is redirected, the pixel is answered, and both count once', {
  timeout: 240_000,
}, async () => {
  const forms = gluedForms();
  const paths: { path: string; glue: string; hit: string; status: number }[] = [];
  for (const recipient of RECIPIENTS) {
    const [slug, pixel] = [slugOf(links.url, recipient), slugOf(links.pixel, recipient)];
    for (const glue of ['', ...forms]) {
      paths.push({ path: `/u/${slug}${glue}`, glue, hit: `click ${links.url} ${recipient}`, status: 302 });
      for (const end of ['', '.gif'])
        paths.push({ path: `/r/${pixel}${end}${glue}`, glue, hit: `open ${links.pixel} ${recipient}`, status: 200 });
    }
  }
  for (const glue of ['', ...forms]) paths.push({ path: `/u/spring-sale${glue}`, glue, hit: `click ${links.url} 0`, status: 302 });
  await eventually('the alias leads there', async () => (await get('/u/spring-sale')).status === 302);

  const wrong: string[] = [];
  await forEach(paths, async ({ path, status }) => {
    const answer = await get(path);
    if (answer.status !== status || answer.location !== (status === 302 ? TARGET : ''))
      wrong.push(`${path}: ${answer.status} ${answer.location}`);
  });
  expect(wrong).toEqual([]);

  const expected = new Map<string, number>();
  const log = (await readFile(join(system.logDirs[0] as string, 'access.log'), 'utf8')).trimEnd().split('\n');
  const waiting = log.length - paths.length;
  for (const { hit } of [...paths, ...Array.from({ length: waiting }, () => ({ hit: `click ${links.url} 0` }))]) {
    expected.set(hit, (expected.get(hit) ?? 0) + 1);
  }
  await eventually(
    'every hit is counted',
    async () => [...(await counted()).values()].reduce((sum, hits) => sum + hits, 0) >= log.length,
    60_000,
  );
  expect(await counted()).toEqual(expected);
  expect((await analyst.query('SELECT reason FROM analytics.skipped WHERE lines > 0')).rows).toEqual([]);
  // The log contains each path as it is in the letter, without the added characters.
  expect(new Set(log.map((line) => (JSON.parse(line) as { u: string }).u)).size).toBe(3 * RECIPIENTS.length + 1);
  // Clicks with such characters in their path have the sign `altered`.
  const altered = paths.filter(({ glue, status }) => status === 302 && glue.split('?')[0] !== '');
  const { rows } = await analyst.query<{ n: number }>("SELECT count(*)::int AS n FROM analytics.events WHERE 'altered' = ANY (signals)");
  expect(rows).toEqual([{ n: altered.length }]);
});

test('a query is passed on once the campaign asks for it, and is in neither the log nor a header of its own', async () => {
  const path = `/u/${slugOf(links.url, 3)}`;
  const added = '?utm_source=mail&a=2&name=%0d%0aX-Evil:%201&x=%C3%BC"';
  expect((await get(path + added)).location).toBe(TARGET);
  await editCampaign(author, campaign, { passQuery: true });
  const expected = 'https://www.example.com/ü?a=1&utm_source=mail&name=%0d%0aX-Evil:%201&x=%C3%BC%22#top';
  await eventually('the query is passed on', async () => (await get(path + added)).location === expected);
  for (const glue of ['', '.', '%20', ')', '\xef\xbc\x89']) {
    await eventually('both backends pass it on', async () => (await get(path + glue + added)).location === expected);
  }
  // These bytes are not allowed in a URL. A browser would encode them.
  expect((await get(`${path}?x=\xc3\xbc`)).location).toBe(TARGET);
  expect((await get(`${path}?long=${'x'.repeat(8000)}`)).location).toBe(TARGET);
  const almost = `long=${'x'.repeat(8000 - Buffer.byteLength(TARGET) - 6)}`;
  await eventually(
    'the longest is passed on',
    async () => (await get(`${path}?${almost}`)).location === TARGET.replace('#', `&${almost}#`),
  );
  for (const name of await readdir(system.logDirs[0] as string))
    expect(await readFile(join(system.logDirs[0] as string, name), 'utf8')).not.toMatch(/utm_source|X-Evil/);
});
