import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ClickledgerError } from '../core/errors.ts';
import { decodeBatch } from '../core/batch.ts';
import type { Event } from '../core/batch-v1.ts';
import { eventsOf } from '../test/support/events.ts';
import { temporaryDirectory } from '../test/support/servers.ts';
import { createBatch } from './batch.ts';
import { createEnricher, type Enricher, readNetworks } from './enrich.ts';
import type { Hit } from './parse.ts';

const base: Hit = {
  rid: '0123456789abcdef0123456789abcdef',
  t: 1_790_000_000_457,
  kind: 'click',
  slug: 'Zzabcdefghijklmnopq',
  tag: 'Zz',
  link: '12.3',
  head: false,
  altered: false,
  ip: '8.8.8.8',
  ua: 'Mozilla/5.0',
  ref: 'https://a.example/',
  purpose: '',
  site: null,
};
const SALT = 'ab'.repeat(16);
const OTHER_SALT = 'cd'.repeat(16);

async function enricher(networks: unknown[] = [], site = 't.example.org') {
  const path = join(await temporaryDirectory(), 'networks.json');
  await writeFile(path, JSON.stringify({ networks }));
  return createEnricher({ mmdbPath: '', networks: await readNetworks(path), site });
}

/** Returns the event that a worker receives for a hit. */
function published(enricher: Enricher, hit: Hit): Event {
  const batch = createBatch({ gen: '0'.repeat(32), shard: 'a', shards: 'f', from: 0, startedMs: 0 });
  batch.addEvent(hit, 5, enricher.enrich(hit, SALT));
  batch.extend(100);
  const [event] = eventsOf(decodeBatch(batch.payload()).events);
  if (!event) throw new Error('the batch has no event');
  return event;
}

describe('enriching a hit', () => {
  test('says the country of an address, of either family', async () => {
    const known = await enricher();
    const countryOf = (ip: string) => known.enrich({ ...base, ip }, SALT).origin.country;
    expect(countryOf('8.8.8.8')).toBe('US');
    expect(countryOf('2001:4860:4860::8888')).toBe('US');
    expect(countryOf('193.0.6.139')).toBe('NL');
    expect(countryOf('::ffff:193.0.6.139')).toBe('NL');
    expect(countryOf('10.0.0.1')).toBeNull();
  });

  test.each(['', 'unix:', 'x', '999.1.1.1', '1', '0x7f.1', '8.8', '8.8.8.8:80', 'fe80::1%eth0', '2001:::1', '8.8.8.8, 1.1.1.1', '\0'])(
    'an address that is none is no reason to fail: %j',
    async (ip) => {
      const known = await enricher([{ label: 'x', kind: 'proxy', source: 'https://a.example/', ranges: ['2001:db8::/32'] }]);
      expect(published(known, { ...base, ip })).toMatchObject({ off: 5, country: null, net: null });
    },
  );

  test('labels addresses of listed networks, also when they come mapped into IPv6', async () => {
    const known = await enricher([
      { label: 'narrow', kind: 'mail', source: 'https://a.example/', ranges: ['192.0.2.128/25', '2001:db8:1::/48'] },
      { label: 'wide', kind: 'mail', source: 'https://b.example/', ranges: ['192.0.2.0/24', '2001:db8::/32'] },
    ]);
    const labels = ['192.0.2.129', '192.0.2.1', '::ffff:192.0.2.1', '2001:db8:1::5', '2001:db8:2::5', '192.0.3.1', '::1', 'unix:'].map(
      (ip) => known.enrich({ ...base, ip }, SALT).origin.net,
    );
    expect(labels).toEqual(['narrow', 'wide', 'wide', 'narrow', 'wide', null, null, null]);
  });

  test('refuses a networks file that is wrong, with its path', async () => {
    for (const wrong of [
      { label: 'x', kind: 'mail', ranges: ['192.0.2.0/24'] },
      { label: 'x', kind: 'mail', source: 'https://a.example/', ranges: ['192.0.2.0/33'] },
      { label: 'x', source: 'https://a.example/', ranges: ['192.0.2.0/24'] },
    ]) {
      await expect(enricher([wrong])).rejects.toThrow(ClickledgerError);
      await expect(enricher([wrong])).rejects.toThrow('networks.json');
    }
  });

  test('a visitor is the same for the same address, user agent, salt and site, and for nothing else', async () => {
    const known = await enricher();
    const elsewhere = await enricher([], 'other.example');
    const visitor = known.enrich(base, SALT).visitor;
    expect(visitor).toMatch(/^-?\d{1,19}$/);
    expect(known.enrich(base, SALT).visitor).toBe(visitor);
    const others = [
      known.enrich({ ...base, ip: '8.8.4.4' }, SALT),
      known.enrich({ ...base, ua: 'Mozilla/5.1' }, SALT),
      known.enrich({ ...base, ua: `${'x'.repeat(600)}a` }, SALT),
      known.enrich({ ...base, ua: `${'x'.repeat(600)}b` }, SALT),
      known.enrich(base, OTHER_SALT),
      elsewhere.enrich(base, SALT),
    ].map((other) => other.visitor);
    expect(new Set([visitor, ...others]).size).toBe(7);
    expect(known.enrich(base, null).visitor).toBeNull();
  });

  test('the numbers of visitors do not depend on which ones were computed before', async () => {
    const [known, fresh] = [await enricher(), () => enricher()];
    const pool = Array.from({ length: 7 }, (_, i) => ({
      ip: `192.0.2.${i % 2}`,
      ua: `Mail/${i}`,
      salt: [SALT, OTHER_SALT][i % 3] ?? SALT,
    }));
    const alone = new Map<string, string | null>();
    for (const { ip, ua, salt } of pool) alone.set(`${ip} ${ua}`, (await fresh()).enrich({ ip, ua }, salt).visitor);
    for (let i = 0; i < 300; i++) {
      const { ip, ua, salt } = pool[(i * i + i) % pool.length] as (typeof pool)[number];
      expect(known.enrich({ ip, ua }, salt).visitor).toBe(alone.get(`${ip} ${ua}`));
    }
  });

  test('nothing of the address is in the event', async () => {
    const known = await enricher([{ label: 'known', kind: 'mail', source: 'https://a.example/', ranges: ['203.0.113.0/24'] }]);
    const result = published(known, { ...base, ip: '203.0.113.77' });
    expect(Object.keys(result).sort()).toEqual(
      ['altered', 'country', 'head', 'kind', 'link', 'net', 'off', 'purpose', 'ref', 'rid', 'slug', 't', 'ua', 'visitor'].sort(),
    );
    expect(JSON.stringify(result)).not.toMatch(/203\.|113|\.77|cb00714d/);
  });

  test('long texts are cut to what the wire takes, never in the middle of a character', async () => {
    const result = published(await enricher(), {
      ...base,
      ua: `${'x'.repeat(511)}\u{1f600}`,
      ref: '\0'.repeat(9000),
      purpose: 'p'.repeat(100),
    });
    expect([result.ua.length, result.ref.length, result.purpose.length]).toEqual([512, 512, 64]);
    expect(result.ua.isWellFormed()).toBe(true);
  });
});
