import { beforeAll, describe, expect, test } from 'vitest';
import { createPool, type Pool } from '../core/postgres.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { ensureCampaign } from './campaigns.ts';
import {
  ensureAlias,
  ensureLink,
  ensureLinks,
  findLink,
  findUrlLink,
  type LinkRow,
  type LinkSpec,
  listLinks,
  retarget,
  setDisabled,
  setExpiry,
} from './links.ts';

let databases: Databases;
let pool: Pool;

beforeAll(async () => {
  databases = await createDatabases(1);
  pool = createPool(databases.roleUrls.author, { max: 12, name: 'test' });
  return () => pool.end();
});

let campaigns = 0;
const newCampaign = async (): Promise<number> => (await ensureCampaign(pool, `campaign ${++campaigns}`)).id;
const url = (target: string, label = ''): LinkSpec => ({ kind: 'url', target, label });

async function newLink(target = 'http://x/1'): Promise<{ campaign: number; link: number; row: () => Promise<LinkRow> }> {
  const campaign = await newCampaign();
  const link = await ensureLink(pool, campaign, url(target));
  const row = async () => {
    const found = (await listLinks(pool, campaign)).find(({ id }) => id === link);
    if (!found) throw new Error(`link ${link} is not listed`);
    return found;
  };
  return { campaign, link, row };
}

const versionsOf = async (link: number): Promise<[number, string][]> =>
  (
    await databases.query<{ version: number; target: string }>(
      'catalog',
      'SELECT version, target FROM catalog.link_version WHERE link_id = $1 ORDER BY version',
      [link],
    )
  ).map(({ version, target }) => [version, target]);

/** Returns the transaction id in the column `changed`. Backends read the links that have a new id in this column. */
const changedOf = async (link: number): Promise<string> =>
  (await databases.query<{ changed: string }>('catalog', 'SELECT changed::text FROM catalog.link WHERE id = $1', [link]))[0]?.changed ?? '';

describe('leading a link elsewhere', () => {
  test('makes a version, and keeps what was before', async () => {
    const { link, row } = await newLink();
    expect(await retarget(pool, link, 'http://x/2')).toEqual({ version: 2, changed: true });
    expect(await retarget(pool, link, 'http://x/3')).toEqual({ version: 3, changed: true });
    expect(await retarget(pool, link, 'http://x/1')).toEqual({ version: 4, changed: true });
    expect(await versionsOf(link)).toEqual([
      [1, 'http://x/1'],
      [2, 'http://x/2'],
      [3, 'http://x/3'],
      [4, 'http://x/1'],
    ]);
    expect(await row()).toMatchObject({ version: 4, target: 'http://x/1' });
  });

  test('twice to the same place changes nothing, and tells backends nothing', async () => {
    const { link } = await newLink();
    expect(await retarget(pool, link, 'http://x/1')).toEqual({ version: 1, changed: false });
    await retarget(pool, link, 'http://x/2');
    const changed = await changedOf(link);
    expect(await retarget(pool, link, 'http://x/2')).toEqual({ version: 2, changed: false });
    expect(await versionsOf(link)).toHaveLength(2);
    expect(await changedOf(link)).toBe(changed);
  });

  test('is told to backends', async () => {
    const { link } = await newLink();
    const before = await changedOf(link);
    await retarget(pool, link, 'http://x/2');
    expect(await changedOf(link)).not.toBe(before);
  });

  test('the address is kept byte for byte, and the letter still finds the link by its first one', async () => {
    const { campaign, link, row } = await newLink();
    await retarget(pool, link, 'HTTP://X.example/%zz?a=b&amp;c#ü');
    expect((await row()).target).toBe('HTTP://X.example/%zz?a=b&amp;c#ü');
    expect(await ensureLink(pool, campaign, url('http://x/1'))).toBe(link);
    expect(await versionsOf(link)).toHaveLength(2);
  });

  test.each(['x', 'javascript:alert(1)', 'https://x.example/a b', 'https://x.example/\r\nX: y'])('%j is refused', async (target) => {
    const { link } = await newLink();
    await expect(retarget(pool, link, target)).rejects.toMatchObject({ code: 'bad-input' });
    expect(await versionsOf(link)).toHaveLength(1);
  });

  test('several at once get consecutive versions, each with its address, and nobody ever reads one without', async () => {
    const { link, row } = await newLink();
    const reader = createPool(databases.roleUrls.backend, { max: 1, name: 'test' });
    await reader.query('SELECT');
    let running = true;
    let reads = 0;
    const reading = (async () => {
      while (running) {
        // A backend reads links with the same join.
        const { rows } = await reader.query(
          'SELECT FROM catalog.link l LEFT JOIN catalog.link_version v ON v.link_id = l.id AND v.version = l.version WHERE l.id = $1 AND v.target IS NULL',
          [link],
        );
        expect(rows).toEqual([]);
        reads++;
      }
    })();
    const results = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => ({ i, ...(await retarget(pool, link, `http://x/edit-${i}`)) })),
    );
    running = false;
    await reading;
    await reader.end();
    expect(reads).toBeGreaterThan(3);
    expect(results.every(({ changed }) => changed)).toBe(true);
    expect(results.map(({ version }) => version).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i + 2));
    const versions = new Map(await versionsOf(link));
    for (const { i, version } of results) expect(versions.get(version)).toBe(`http://x/edit-${i}`);
    expect(await row()).toMatchObject({ version: 41, target: versions.get(41) });
  });

  test('several at once to the same place make one version', async () => {
    const { link } = await newLink();
    const results = await Promise.all(Array.from({ length: 10 }, () => retarget(pool, link, 'http://x/same')));
    expect(results.filter(({ changed }) => changed)).toHaveLength(1);
    expect(new Set(results.map(({ version }) => version))).toEqual(new Set([2]));
  });
});

describe('expiry', () => {
  test('is set, changed and taken away, and told to backends only when it changes', async () => {
    const { link, row } = await newLink();
    expect((await row()).expires_at).toBeNull();
    const at = new Date('2030-01-01T00:00:00.500Z');
    await setExpiry(pool, link, at);
    expect((await row()).expires_at).toEqual(at);
    const changed = await changedOf(link);
    await setExpiry(pool, link, at);
    expect(await changedOf(link)).toBe(changed);
    await setExpiry(pool, link, new Date('2031-01-01T00:00:00Z'));
    expect((await row()).expires_at).toEqual(new Date('2031-01-01T00:00:00Z'));
    expect(await changedOf(link)).not.toBe(changed);
    await setExpiry(pool, link, null);
    expect((await row()).expires_at).toBeNull();
  });
});

describe('disabling', () => {
  test('twice keeps the first time, and so does enabling', async () => {
    const { link, row } = await newLink();
    const start = await changedOf(link);
    await setDisabled(pool, link, false);
    expect(await changedOf(link)).toBe(start);
    await setDisabled(pool, link, true);
    const { disabled_at: first } = await row();
    const changed = await changedOf(link);
    expect(first).toBeInstanceOf(Date);
    expect(changed).not.toBe(start);
    await setDisabled(pool, link, true);
    expect((await row()).disabled_at).toEqual(first);
    expect(await changedOf(link)).toBe(changed);
    await setDisabled(pool, link, false);
    expect((await row()).disabled_at).toBeNull();
    await setDisabled(pool, link, true);
    expect((await row()).disabled_at?.getTime()).toBeGreaterThan(first?.getTime() ?? Number.POSITIVE_INFINITY);
  });

  test('one link is not another', async () => {
    const campaign = await newCampaign();
    const [one, two] = (await ensureLinks(pool, campaign, [url('http://x/1'), url('http://x/2')])) as [number, number];
    await setDisabled(pool, one, true);
    await setExpiry(pool, one, new Date());
    expect((await listLinks(pool, campaign)).find(({ id }) => id === two)).toMatchObject({ disabled_at: null, expires_at: null });
  });
});

describe('finding', () => {
  test('by number and by every alias, with its campaign', async () => {
    const { link } = await newLink();
    await ensureAlias(pool, `alias-${link}`, link);
    await ensureAlias(pool, `Other_${link}`, link);
    for (const name of [String(link), `alias-${link}`, `Other_${link}`]) {
      expect(await findLink(pool, name)).toEqual({ id: link, kind: 'url', campaign: `campaign ${campaigns}` });
      expect(await findUrlLink(pool, name)).toBe(link);
    }
  });

  test.each(['999999', '0', '-1', '01', '1 OR true', '', 'no-such', '1.0', '１', '99999999999999999999'])('%j is no link', async (name) => {
    await newLink();
    await expect(findLink(pool, name)).rejects.toMatchObject({ code: 'not-found', message: expect.stringContaining(`'${name}'`) });
    await expect(findUrlLink(pool, name)).rejects.toMatchObject({ code: 'not-found' });
  });

  test('an alias is told apart by upper and lower case', async () => {
    const { link } = await newLink();
    await ensureAlias(pool, `Case-${link}`, link);
    await expect(findLink(pool, `case-${link}`)).rejects.toMatchObject({ code: 'not-found' });
  });

  test('a pixel is found, but leads nowhere', async () => {
    const campaign = await newCampaign();
    const pixel = await ensureLink(pool, campaign, { kind: 'pixel' });
    expect(await findLink(pool, String(pixel))).toMatchObject({ id: pixel, kind: 'pixel' });
    await expect(findUrlLink(pool, String(pixel))).rejects.toMatchObject({
      code: 'bad-input',
      message: expect.stringContaining(`campaign ${campaigns}`),
    });
  });
});

describe('several links', () => {
  test('come in the order asked for, with what is there twice the same', async () => {
    const campaign = await newCampaign();
    const specs = [
      url('http://x/z'),
      url('http://x/a', 'foot'),
      { kind: 'pixel' } as const,
      url('http://x/a'),
      url('http://x/z'),
      url('http://x/a', 'Foot'),
    ];
    const ids = await ensureLinks(pool, campaign, specs);
    expect(ids[4]).toBe(ids[0]);
    expect(new Set(ids).size).toBe(5);
    const links = new Map((await listLinks(pool, campaign)).map((link) => [link.id, link]));
    expect(ids.map((id) => links.get(id)).map((link) => [link?.kind, link?.label, link?.target])).toEqual([
      ['url', '', 'http://x/z'],
      ['url', 'foot', 'http://x/a'],
      ['pixel', '', null],
      ['url', '', 'http://x/a'],
      ['url', '', 'http://x/z'],
      ['url', 'Foot', 'http://x/a'],
    ]);
    expect(await ensureLinks(pool, campaign, specs.toReversed())).toEqual(ids.toReversed());
    expect(links.size).toBe(5);
  });

  test('have the places that they have in the letter that was prepared last', async () => {
    const campaign = await newCampaign();
    const at = (target: string, position?: number): LinkSpec => ({ kind: 'url', target, ...(position === undefined ? {} : { position }) });
    await ensureLinks(pool, campaign, [
      at('http://x/posted'),
      at('http://x/z', 1),
      at('http://x/a', 2),
      at('http://x/m', 3),
      { kind: 'pixel' },
    ]);
    const listed = async () => (await listLinks(pool, campaign)).map(({ target, position }) => [target, position]);
    expect(await listed()).toEqual([
      ['http://x/z', 1],
      ['http://x/a', 2],
      ['http://x/m', 3],
      // This link and the pixel are in no letter.
      ['http://x/posted', null],
      [null, null],
    ]);
    const [link] = await ensureLinks(pool, campaign, [at('http://x/z')]);
    const changed = await changedOf(link as number);
    await ensureLinks(pool, campaign, [at('http://x/posted', 1), at('http://x/m', 2), at('http://x/z', 3)]);
    await ensureLinks(pool, campaign, [at('http://x/z')]);
    expect(await listed()).toEqual([
      ['http://x/posted', 1],
      ['http://x/a', 2],
      ['http://x/m', 2],
      ['http://x/z', 3],
      [null, null],
    ]);
    // Backends do not read this link again.
    expect(await changedOf(link as number)).toBe(changed);
  });

  test('none are none', async () => {
    expect(await ensureLinks(pool, await newCampaign(), [])).toEqual([]);
    expect(await ensureLinks(pool, await newCampaign(), [], new Date())).toEqual([]);
  });

  test('have ascending ids in the order asked for, whatever their targets and labels are', async () => {
    const ids = await ensureLinks(pool, await newCampaign(), [url('http://x/3', 'b'), url('http://x/1', 'c'), url('http://x/2', 'a')]);
    expect(ids).toEqual(ids.toSorted((a, b) => a - b));
  });

  test('are all made, or none of them', async () => {
    const campaign = await newCampaign();
    await expect(ensureLinks(pool, campaign, [url('http://x/1'), url('http://x/a b'), { kind: 'pixel' }])).rejects.toMatchObject({
      code: 'bad-input',
    });
    expect(await listLinks(pool, campaign)).toEqual([]);
    // A constraint of the catalog refuses the last of these links.
    await databases.query(
      'catalog',
      `ALTER TABLE catalog.link_version ADD CONSTRAINT broken CHECK (target <> 'http://x/broken') NOT VALID`,
    );
    try {
      await expect(ensureLinks(pool, campaign, [{ kind: 'pixel' }, url('http://x/1'), url('http://x/broken')])).rejects.toMatchObject({
        code: '23514',
      });
    } finally {
      await databases.query('catalog', 'ALTER TABLE catalog.link_version DROP CONSTRAINT broken');
    }
    expect(await listLinks(pool, campaign)).toEqual([]);
    expect(await ensureLinks(pool, campaign, [url('http://x/1')])).toHaveLength(1);
  });

  test('an expiry is set on new and known ones that lead somewhere; without one it stays', async () => {
    const campaign = await newCampaign();
    const specs = [url('http://x/1'), { kind: 'pixel' } as const, url('http://x/2')];
    const [known] = await ensureLinks(pool, campaign, [url('http://x/1')]);
    const at = new Date('2030-01-01T00:00:00Z');
    const ids = await ensureLinks(pool, campaign, specs, at);
    expect(ids[0]).toBe(known);
    const expiries = async () => {
      const links = new Map((await listLinks(pool, campaign)).map((link) => [link.id, link.expires_at]));
      return ids.map((id) => links.get(id));
    };
    expect(await expiries()).toEqual([at, null, at]);
    const changed = await changedOf(ids[0] as number);
    await ensureLinks(pool, campaign, specs, at);
    await ensureLinks(pool, campaign, specs);
    expect(await expiries()).toEqual([at, null, at]);
    expect(await changedOf(ids[0] as number)).toBe(changed);
    await ensureLinks(pool, campaign, [{ kind: 'pixel' }], new Date());
    expect(await expiries()).toEqual([at, null, at]);
  });

  test('the longest addresses are told apart by their last byte', async () => {
    const long = `https://x.example/${'x'.repeat(7981)}`;
    const campaign = await newCampaign();
    const ids = await ensureLinks(pool, campaign, [url(`${long}1`), url(`${long}2`)]);
    expect(new Set(ids).size).toBe(2);
  });

  test('many who make overlapping ones at once, in any order, wait for each other and not in a circle', async () => {
    const campaign = await newCampaign();
    const targets = Array.from({ length: 30 }, (_, i) => url(`http://x/${i}`, i % 3 === 0 ? `label ${i % 7}` : ''));
    const created = new Set<number>();
    for (let round = 0; round < 5; round++) {
      const lists = Array.from({ length: 12 }, (_, i) => {
        const from = (i * 7 + round) % 20;
        const list: LinkSpec[] = [...targets.slice(from, from + 10), ...targets.slice(0, round * 6), { kind: 'pixel' }];
        const ordered = i % 2 === 0 ? list : list.toReversed();
        return i % 3 === 0 ? ordered : ordered.map((spec, n): LinkSpec => (spec.kind === 'url' ? { ...spec, position: n + 1 } : spec));
      });
      const at = new Date(`203${round}-01-01T00:00:00Z`);
      const results = await Promise.all(lists.map((list, i) => ensureLinks(pool, campaign, list, i % 4 === 0 ? undefined : at)));
      const byKey = new Map<string, number>();
      for (const [i, list] of lists.entries())
        for (const [j, spec] of list.entries()) {
          const key = JSON.stringify({ ...spec, position: 0 });
          const id = results[i]?.[j] as number;
          expect(byKey.get(key) ?? id).toBe(id);
          byKey.set(key, id);
        }
      expect(new Set(byKey.values()).size).toBe(byKey.size);
      for (const id of byKey.values()) created.add(id);
    }
    const links = await listLinks(pool, campaign);
    expect(new Set(links.map(({ id }) => id))).toEqual(created);
    expect(new Set(links.map(({ kind, label, target }) => `${kind} ${label} ${target}`)).size).toBe(links.length);
    const versions = await databases.query(
      'catalog',
      'SELECT FROM catalog.link_version v JOIN catalog.link l ON l.id = v.link_id WHERE l.campaign_id = $1',
      [campaign],
    );
    expect(versions).toHaveLength(links.length - 1);
  });
});
