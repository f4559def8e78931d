import { beforeAll, describe, expect, test } from 'vitest';
import { createPool, type Pool } from '../core/postgres.ts';
import { createSlugCodec, parseSlugKeys } from '../core/slug.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { ensureCampaign, findCampaign, listCampaigns } from './campaigns.ts';
import { ensureAlias, ensureLink, listLinks } from './links.ts';
import { parseTarget } from './target.ts';
import { ensureRecipient } from './recipients.ts';
import { assertKeyListed, createUrls } from './urls.ts';

let databases: Databases;
let pool: Pool;
let campaign: number;

beforeAll(async () => {
  databases = await createDatabases(1);
  pool = createPool(databases.roleUrls.author, { max: 10, name: 'test' });
  campaign = (await ensureCampaign(pool, 'the campaign')).id;
  return () => pool.end();
});

const times = <T>(count: number, work: () => Promise<T>) => Promise.all(Array.from({ length: count }, work));

describe('targets', () => {
  test.each([
    'https://shop.example',
    'HTTP://shop.example/%zz?a=b&amp;c#d',
    'https://münchen.example/ü?q="x"',
    'https://shop.example/$1/{{name}}',
    `https://shop.example/${'x'.repeat(7979)}`,
    'http://[2001:db8::1]:8080/',
  ])('%s is kept as it is', (target) => {
    expect(parseTarget(target)).toBe(target);
  });

  test.each([
    ['shop.example', 'begins with http'],
    ['ftp://shop.example', 'begins with http'],
    ['javascript:alert(1)', 'begins with http'],
    ['mailto:a@example.com', 'begins with http'],
    [' https://shop.example', 'begins with http'],
    ['', 'begins with http'],
    ['https://shop.example/a b', 'write it as %20'],
    ['https://shop.example/a\r\nSet-Cookie: x=y', 'control character'],
    ['https://shop.example/\t', 'control character'],
    ['https://shop.example/\x7f', 'control character'],
    ['https://', 'no URL with a host', 'is not a URL with a host'],
    ['https:///shop.example/', 'no URL with a host', 'is not a URL with a host'],
    ['https://shop.example:99999/', 'no URL with a host', 'is not a URL with a host'],
    [`https://shop.example/${'ü'.repeat(4000)}`, 'longer than 8000 bytes'],
  ])('%j is refused: %s', (target, why, message = why) => {
    expect(() => parseTarget(target)).toThrow(expect.objectContaining({ code: 'bad-input', message: expect.stringContaining(message) }));
  });
});

describe('campaigns', () => {
  test('made once, found ever after, by many at once too', async () => {
    const all = await times(10, () => ensureCampaign(pool, 'Spring "sale"; --'));
    expect(new Set(all.map(({ id }) => id)).size).toBe(1);
    expect(all.filter(({ created }) => created)).toHaveLength(1);
    expect(await findCampaign(pool, 'Spring "sale"; --')).toMatchObject({ id: all[0]?.id });
  });

  test('a fallback is set, changed, and left alone where none is given', async () => {
    const fallbackOf = async () =>
      (await databases.query<{ fallback_url: string }>('catalog', `SELECT fallback_url FROM catalog.campaign WHERE name = 'f'`))[0]
        ?.fallback_url;
    await ensureCampaign(pool, 'f', { fallbackUrl: 'http://x/1' });
    await ensureCampaign(pool, 'f');
    expect(await fallbackOf()).toBe('http://x/1');
    await ensureCampaign(pool, 'f', { fallbackUrl: 'http://x/2' });
    expect(await fallbackOf()).toBe('http://x/2');
  });

  test('found by number as well, a name before a number', async () => {
    const { id } = await ensureCampaign(pool, 'numbered');
    expect((await findCampaign(pool, String(id))).name).toBe('numbered');
    const named = await ensureCampaign(pool, String(id), undefined);
    expect((await findCampaign(pool, String(id))).id).toBe(named.id);
  });

  test('an unknown one is answered with how to make it, a nameless one is refused', async () => {
    await expect(findCampaign(pool, 'nope')).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining('clickledger campaign create "nope"'),
    });
    await expect(ensureCampaign(pool, ' ')).rejects.toMatchObject({ code: 'bad-input' });
  });
});

describe('links', () => {
  const url = (target: string, label?: string) => ({ kind: 'url' as const, target, ...(label === undefined ? {} : { label }) });

  test('the same target is the same link, another label, campaign or kind is another', async () => {
    const first = await ensureLink(pool, campaign, url('http://x/same'));
    expect(await ensureLink(pool, campaign, url('http://x/same'))).toBe(first);
    const other = await ensureCampaign(pool, 'other');
    const others = [
      await ensureLink(pool, campaign, url('http://x/same', 'footer')),
      await ensureLink(pool, campaign, url('http://x/same/')),
      await ensureLink(pool, campaign, url('HTTP://x/same')),
      await ensureLink(pool, other.id, url('http://x/same')),
      await ensureLink(pool, campaign, { kind: 'pixel' }),
    ];
    expect(new Set([first, ...others]).size).toBe(6);
    expect(await ensureLink(pool, campaign, { kind: 'pixel' })).toBe(others[4]);
    const links = await listLinks(pool, other.id);
    expect(links).toMatchObject([{ kind: 'url', target: 'http://x/same', version: 1, aliases: [] }]);
  });

  test('many who make it at once get one and the same, with one address', async () => {
    const ids = await times(20, () => ensureLink(pool, campaign, url('http://x/at-once')));
    expect(new Set(ids).size).toBe(1);
    const versions = await databases.query('catalog', 'SELECT target FROM catalog.link_version WHERE link_id = $1', [ids[0]]);
    expect(versions).toEqual([{ target: 'http://x/at-once' }]);
  });

  test('an edited link is found again by the address it was first given', async () => {
    const id = await ensureLink(pool, campaign, url('http://x/first'));
    await databases.query(
      'catalog',
      `WITH next AS (UPDATE catalog.link SET version = 2 WHERE id = $1 RETURNING id) INSERT INTO catalog.link_version (link_id, version, target) SELECT id, 2, 'http://x/second' FROM next`,
      [id],
    );
    expect(await ensureLink(pool, campaign, url('http://x/first'))).toBe(id);
  });

  test('a refused target, or a campaign that is not there, leaves nothing behind', async () => {
    const count = async () => (await databases.query<{ n: number }>('catalog', 'SELECT count(*)::int AS n FROM catalog.link'))[0]?.n;
    const before = await count();
    await expect(ensureLink(pool, campaign, url('http://x/a b'))).rejects.toMatchObject({ code: 'bad-input' });
    await expect(ensureLink(pool, 999_999, url('http://x/'))).rejects.toMatchObject({ code: '23503' });
    expect(await count()).toBe(before);
    expect(await ensureLink(pool, campaign, url('http://x/the-pool-still-works'))).toBeGreaterThan(0);
  });

  test('campaigns are listed with how many links they have', async () => {
    const { id } = await ensureCampaign(pool, 'counted');
    await ensureLink(pool, id, url('http://x/1'));
    await ensureLink(pool, id, url('http://x/2'));
    expect((await listCampaigns(pool)).find((row) => row.id === id)).toMatchObject({ name: 'counted', links: 2 });
  });
});

describe('recipients', () => {
  test('one person a mail address, however it is written and however many ask', async () => {
    const ids = await times(10, () => ensureRecipient(pool, 'Ann@Example.COM'));
    expect(new Set([...ids, await ensureRecipient(pool, ' ann@example.com ')]).size).toBe(1);
  });

  test('who has opted out gets no tracked address', async () => {
    const id = await ensureRecipient(pool, 'out@example.com');
    await databases.query('catalog', 'UPDATE catalog.recipient SET opted_out_at = now() WHERE id = $1', [id]);
    await expect(ensureRecipient(pool, 'out@example.com')).rejects.toMatchObject({ code: 'conflict' });
  });

  test.each(['', 'ann', 'ann@', '@example.com', 'a b@example.com', 'ann@example.com\nbob@example.com'])(
    '%j is no mail address',
    async (text) => {
      await expect(ensureRecipient(pool, text)).rejects.toMatchObject({ code: 'bad-input' });
    },
  );
});

describe('aliases', () => {
  test('given twice they are the same, another link is refused by the name of the campaign that has it', async () => {
    const [one, two] = [
      await ensureLink(pool, campaign, { kind: 'url', target: 'http://x/one' }),
      await ensureLink(pool, campaign, { kind: 'url', target: 'http://x/two' }),
    ];
    await ensureAlias(pool, 'my-alias', one);
    await ensureAlias(pool, 'my-alias', one);
    await expect(ensureAlias(pool, 'my-alias', two)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('the campaign'),
    });
    const both = await Promise.allSettled([ensureAlias(pool, 'at-once', one), ensureAlias(pool, 'at-once', two)]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  test.each(['blackfriday', '', '-x', 'a b-c', 'ü-x', 'a/b-c', `${'x'.repeat(64)}-`])('%j is no alias', async (name) => {
    await expect(ensureAlias(pool, name, 1)).rejects.toMatchObject({ code: 'bad-input' });
  });
});

describe('addresses', () => {
  const slugs = createSlugCodec(parseSlugKeys('ab'.repeat(32)));
  const urls = createUrls('https://t.example.org', slugs);

  test('lead to the redirect and to the pixel, and are the same every time', () => {
    expect(urls.click(1, 2)).toBe(`https://t.example.org/u/${slugs.encode({ link: 1, recipient: 2 })}`);
    expect(urls.pixel(1, 2)).toMatch(/^https:\/\/t\.example\.org\/r\/[0-9A-Za-z]{17,19}\.gif$/);
    expect(urls.alias('a-b')).toBe('https://t.example.org/u/a-b');
    expect(urls.click(1, 2)).toBe(urls.click(1, 2));
  });

  test('are not made with a key that workers have not been told of', async () => {
    await assertKeyListed(pool, databases.keys[0]);
    await expect(assertKeyListed(pool, parseSlugKeys('cd'.repeat(32))[0])).rejects.toMatchObject({ code: 'bad-settings' });
  });
});
