import { beforeAll, describe, expect, test } from 'vitest';
import { createPool, type Pool } from '../core/postgres.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { ensureLink } from './links.ts';
import { ensureCampaign } from './campaigns.ts';
import { ensureSite, listSites, parseHost } from './sites.ts';

let databases: Databases;
let pool: Pool;

beforeAll(async () => {
  databases = await createDatabases(1);
  pool = createPool(databases.roleUrls.author, { max: 2, name: 'test' });
  return () => pool.end();
});

describe('a site', () => {
  test('is added once, and its number is that of no link', async () => {
    const { id: campaign } = await ensureCampaign(pool, 'a');
    const link = await ensureLink(pool, campaign, { kind: 'url', target: 'https://x.example/' });
    const first = await ensureSite(pool, 'Shop.Example');
    expect(first).toEqual({ id: link + 1, host: 'shop.example', created: true });
    expect(await ensureSite(pool, 'https://shop.example/')).toEqual({ ...first, created: false });
    expect(await ensureLink(pool, campaign, { kind: 'url', target: 'https://y.example/' })).toBe(link + 2);
    expect(await listSites(pool)).toMatchObject([{ id: first.id, host: 'shop.example' }]);
  });

  test.each([
    ['shop.example', 'shop.example'],
    [' SHOP.example ', 'shop.example'],
    ['http://shop.example', 'shop.example'],
    ['münchen.example', 'xn--mnchen-3ya.example'],
    ['localhost', 'localhost'],
    ['Shop.example.', 'shop.example'],
    ['127.0.0.1', '127.0.0.1'],
  ])('has a host name: %s', (typed, host) => expect(parseHost(typed)).toBe(host));

  test.each([
    '',
    ' ',
    'shop.example/a',
    'shop.example:8080',
    'a b',
    '*.shop.example',
    'shop.example,blog.example',
    '1234',
    '::1',
    'user@shop.example',
    'shop.example?x',
    'https://',
    '%%',
    'a..b//',
  ])('has no other name: %j', (typed) => expect(() => parseHost(typed)).toThrow('is not a host name'));
});
