import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureCampaign } from '../../authoring/campaigns.ts';
import { ensureLink, retarget, setDisabled, setExpiry } from '../../authoring/links.ts';
import { resolveRecipients } from '../../authoring/resolve-recipients.ts';
import { type PrepareOptions, planParts, trackLetter } from '../../authoring/track-letter.ts';
import { setOptedOut, setTest, copyFlagsToShards } from '../../authoring/recipients.ts';
import { createRenderer } from '../../authoring/render.ts';
import { createUrls, type Urls } from '../../authoring/urls.ts';
import { createPool, type Pool } from '../../core/postgres.ts';
import { parseShards } from '../../core/shards.ts';
import { createSlugCodec, parseSlugKeys } from '../../core/slug.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { rawRequest } from '../support/raw-http.ts';
import { eventually } from '../support/servers.ts';

// Prepares every letter of the corpus and clicks its links through the running system. Each link must lead to the address that the author
// wrote.

const BASE_URL = 'https://t.example.org';
const LETTERS = new URL('../letters/', import.meta.url);
const NAMES = readdirSync(LETTERS)
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.slice(0, -'.json'.length));
/** The tag of clickledger. `{{{unsubscribe}}}` is a tag of SendGrid. */
const UNSUBSCRIBE_TAG = /(?:http:\/\/)?(?:(?<!\{)\{\{unsubscribe\}\}(?!\})|%7B%7Bunsubscribe%7D%7D)/g;
const OUR_URL = /https:\/\/t\.example\.org\/u\/([0-9A-Za-z]{17,40})/g;

let system: System;
let dataDir: string;
let author: Pool;
let analyst: Pool;
let urls: Urls;
let reader: number;
let optedOutReader: number;
let clicked = 0;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'clickledger-e2e-'));
  // All clicks come from one address.
  system = await startSystem({ dataDir, shards: 2, durable: false, extra: { LOG_LEVEL: 'warn', RATE_LIMIT: '1000', RATE_BURST: '1000' } });
  author = createPool(system.env['AUTHOR_URL'] ?? '', { max: 2, name: 'test' });
  analyst = createPool(system.env['ANALYST_URL'] ?? '', { max: 1, name: 'test' });
  urls = createUrls(BASE_URL, createSlugCodec(parseSlugKeys(system.env['SLUG_KEYS'] ?? '')));
  const people = ['reader@example.com', 'shy@example.com'].map((email) => ({ email, externalId: undefined }));
  [reader = 0, optedOutReader = 0] = (await resolveRecipients(author, people)).map((recipient) => recipient?.id ?? 0);
  await setOptedOut(author, optedOutReader, true);
}, 120_000);

afterAll(async () => {
  await author?.end();
  await analyst?.end();
  await system?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

const click = (path: string) => rawRequest(system.ports.edges[0] as number, 'GET', path);
const locationOf = async (path: string) => (await click(path)).headers.get('location');
const headerBytes = (address: string) => Buffer.from(address, 'utf8').toString('latin1');

async function totals(campaign: number): Promise<Record<string, number>> {
  const { rows } = await analyst.query<{ kind: string; hits: number }>(
    'SELECT kind, hits FROM analytics.campaign_totals WHERE campaign_id = $1 AND hits > 0',
    [campaign],
  );
  return Object.fromEntries(rows.map(({ kind, hits }) => [kind, hits]));
}

describe('a letter for everybody', () => {
  test.each(NAMES)('%s', async (name) => {
    const { options, tracked } = JSON.parse(readFileSync(new URL(`${name}.json`, LETTERS), 'utf8')) as {
      options?: Partial<PrepareOptions>;
      tracked: string[];
    };
    const isText = readdirSync(LETTERS).includes(`${name}.txt`);
    const letter = readFileSync(new URL(`${name}.${isText ? 'txt' : 'html'}`, LETTERS));
    const plans = planParts(isText ? { text: letter } : { html: letter }, {
      baseUrls: [BASE_URL],
      exclude: [],
      trackUnsubscribe: false,
      utm: {},
      pixel: 'bottom',
      ...options,
    });
    const { id: campaign } = await ensureCampaign(author, 'the corpus');
    const keys = parseSlugKeys(system.env['SLUG_KEYS'] ?? '');
    const trackedLetter = await trackLetter({ pool: author, baseUrl: BASE_URL, keys }, campaign, plans);
    const render = createRenderer(trackedLetter);
    const part = isText ? 'text' : 'html';
    const rendered = (recipient: number, optedOut: boolean) => render({ id: recipient, optedOut }, () => '')[part] as Buffer;

    const slugs = (bytes: Buffer) => Array.from(bytes.toString('latin1').matchAll(OUR_URL), ([, slug]) => slug as string);
    const before = new Set(slugs(letter));
    const ours = slugs(rendered(reader, false)).filter((slug) => !before.has(slug));
    expect(ours).toHaveLength(tracked.length);
    for (const [i, slug] of ours.entries()) {
      expect(await locationOf(`/u/${slug}`)).toBe(headerBytes(tracked[i] as string));
      clicked++;
    }
    // A recipient who has opted out of tracking gets the letter unchanged, except for the link for unsubscribing.
    const unchanged = letter
      .toString('latin1')
      .replace(UNSUBSCRIBE_TAG, (tag: string) => trackedLetter.unsubscribeOf?.(optedOutReader) ?? `${tag} is not filled in`);
    expect(rendered(optedOutReader, true).toString('latin1')).toBe(unchanged);
  });

  test('every click of it is counted, until its reader turns out to be a test', async () => {
    const { id: campaign } = await ensureCampaign(author, 'the corpus');
    expect(clicked).toBeGreaterThan(100);
    await eventually('all clicks are counted', async () => (await totals(campaign))['click'] === clicked);
    await setTest(author, [reader], true);
    await copyFlagsToShards(author, parseShards(system.env['SHARDS'] ?? ''), system.env['AUTHOR_URL'] ?? '', [reader]);
    expect(await totals(campaign)).toEqual({});
    await setTest(author, [reader], false);
    await copyFlagsToShards(author, parseShards(system.env['SHARDS'] ?? ''), system.env['AUTHOR_URL'] ?? '', [reader]);
    expect(await totals(campaign)).toEqual({ click: clicked });
  });
});

describe('a link that was sent', () => {
  test('leads to its new address within seconds, and clicks remember which one they were served', async () => {
    const { id: campaign } = await ensureCampaign(author, 'edited', { fallbackUrl: 'https://shop.example/fallback' });
    const link = await ensureLink(author, campaign, { kind: 'url', target: 'https://shop.example/wrong' });
    const path = new URL(urls.click(link, reader)).pathname;
    const expectTarget = (address: string) => eventually(`it leads to ${address}`, async () => (await locationOf(path)) === address);
    await expectTarget('https://shop.example/wrong');
    await retarget(author, link, 'https://shop.example/right');
    await expectTarget('https://shop.example/right');
    await setDisabled(author, link, true);
    await expectTarget('https://shop.example/fallback');
    await setDisabled(author, link, false);
    await expectTarget('https://shop.example/right');
    await setExpiry(author, link, new Date(Date.now() - 1000));
    await expectTarget('https://shop.example/fallback');
    await eventually('clicks on every version are counted', async () => {
      const { rows } = await analyst.query<{ version: number }>(
        'SELECT DISTINCT link_version AS version FROM analytics.events WHERE link_id = $1 ORDER BY 1',
        [link],
      );
      return rows.map(({ version }) => version).join() === '0,1,2';
    });
  });
});
