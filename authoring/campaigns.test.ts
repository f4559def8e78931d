import { beforeAll, describe, expect, test } from 'vitest';
import { createPool, type Pool } from '../core/postgres.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { editCampaign, ensureCampaign, findCampaign, findOpenCampaign, listCampaigns, markSent, setClosed } from './campaigns.ts';

let databases: Databases;
let pool: Pool;

beforeAll(async () => {
  databases = await createDatabases(1);
  pool = createPool(databases.roleUrls.author, { max: 5, name: 'test' });
  return () => pool.end();
});

let campaignCount = 0;
async function newCampaign(name = `campaign ${++campaignCount}`): Promise<{ id: number; name: string }> {
  const { id } = await ensureCampaign(pool, name);
  return { id, name };
}

async function listed(id: number) {
  const found = (await listCampaigns(pool)).find((campaign) => campaign.id === id);
  if (!found) throw new Error(`campaign ${id} is not listed`);
  return found;
}

describe('sending', () => {
  test('the time is noted, changed, and taken back', async () => {
    const { id } = await newCampaign();
    expect((await listed(id)).sent_at).toBeNull();
    await markSent(pool, id, new Date('2026-03-01T08:00:00.123Z'));
    expect((await listed(id)).sent_at).toEqual(new Date('2026-03-01T08:00:00.123Z'));
    await markSent(pool, id, new Date('2026-03-02T08:00:00Z'));
    expect((await listed(id)).sent_at).toEqual(new Date('2026-03-02T08:00:00Z'));
    await markSent(pool, id, null);
    expect((await listed(id)).sent_at).toBeNull();
  });

  test('of one campaign, and of no other', async () => {
    const [one, other] = [await newCampaign(), await newCampaign()];
    await markSent(pool, one.id, new Date('2026-03-01T08:00:00Z'));
    expect((await listed(other.id)).sent_at).toBeNull();
  });
});

describe('closing', () => {
  test('twice keeps the first time; reopened, it has none', async () => {
    const { id } = await newCampaign();
    await setClosed(pool, id, true);
    const { closed_at: first } = await listed(id);
    expect(first).toBeInstanceOf(Date);
    await setClosed(pool, id, true);
    expect((await listed(id)).closed_at).toEqual(first);
    await setClosed(pool, id, false);
    await setClosed(pool, id, false);
    expect((await listed(id)).closed_at).toBeNull();
    await setClosed(pool, id, true);
    expect((await listed(id)).closed_at?.getTime()).toBeGreaterThan(first?.getTime() ?? Number.POSITIVE_INFINITY);
  });

  test('of one campaign, and of no other', async () => {
    const [one, other] = [await newCampaign(), await newCampaign()];
    await setClosed(pool, one.id, true);
    expect((await listed(other.id)).closed_at).toBeNull();
  });

  test('a closed campaign is found, but nothing new is made for it until it is reopened', async () => {
    const { id, name } = await newCampaign('Spring "sale"');
    expect(await findOpenCampaign(pool, name)).toEqual({ id, name, baseUrl: null });
    expect(await findOpenCampaign(pool, String(id))).toEqual({ id, name, baseUrl: null });
    await setClosed(pool, id, true);
    expect(await findCampaign(pool, name)).toEqual({ id, name, baseUrl: null, closed: true });
    for (const nameOrId of [name, String(id)])
      await expect(findOpenCampaign(pool, nameOrId)).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringContaining('clickledger campaign reopen "Spring \\"sale\\""'),
      });
    await setClosed(pool, id, false);
    expect(await findOpenCampaign(pool, name)).toEqual({ id, name, baseUrl: null });
    expect(await findCampaign(pool, name)).toEqual({ id, name, baseUrl: null, closed: false });
  });

  test('a closed campaign is not made a second time', async () => {
    const { id, name } = await newCampaign();
    await setClosed(pool, id, true);
    expect(await ensureCampaign(pool, name)).toEqual({ id, created: false });
    await expect(findOpenCampaign(pool, name)).rejects.toMatchObject({ code: 'conflict' });
  });

  test('a number that is no text is never a name', async () => {
    const { id } = await newCampaign();
    const { id: other } = await newCampaign(String(id));
    expect(await findOpenCampaign(pool, id)).toMatchObject({ id });
    expect(await findOpenCampaign(pool, String(id))).toMatchObject({ id: other });
    await expect(findCampaign(pool, 999_999)).rejects.toMatchObject({ code: 'not-found' });
  });

  test('a campaign that is not there is not found open either', async () => {
    await expect(findOpenCampaign(pool, 'nope')).rejects.toMatchObject({ code: 'not-found' });
  });
});

describe('fallbacks', () => {
  test.each(['javascript:alert(1)', 'x', 'https://x.example/\r\nSet-Cookie: a=b'])('%j can be nobody’s fallback', async (fallback) => {
    await expect(ensureCampaign(pool, 'with a bad fallback', { fallbackUrl: fallback })).rejects.toMatchObject({ code: 'bad-input' });
    await expect(findCampaign(pool, 'with a bad fallback')).rejects.toMatchObject({ code: 'not-found' });
    const { name } = await newCampaign();
    await expect(ensureCampaign(pool, name, { fallbackUrl: fallback })).rejects.toMatchObject({ code: 'bad-input' });
    // The catalog itself refuses this fallback, too.
    await expect(pool.query('UPDATE catalog.campaign SET fallback_url = $2 WHERE name = $1', [name, fallback])).rejects.toMatchObject({
      code: '23514',
    });
  });
});

describe('queries', () => {
  test('are passed on only if the author says so, and a repeated creation changes nothing else', async () => {
    const { id, name } = await newCampaign();
    expect((await listed(id)).pass_query).toBe(false);
    await ensureCampaign(pool, name, { passQuery: true });
    await ensureCampaign(pool, name);
    expect((await listed(id)).pass_query).toBe(true);
    await editCampaign(pool, id, { fallbackUrl: 'https://shop.example/' });
    expect((await listed(id)).pass_query).toBe(true);
    await editCampaign(pool, id, { passQuery: false });
    expect((await listed(id)).pass_query).toBe(false);
    expect(await pool.query('SELECT fallback_url FROM catalog.campaign WHERE id = $1', [id])).toMatchObject({
      rows: [{ fallback_url: 'https://shop.example/' }],
    });
  });

  test('a change is a change of every link of the campaign, and of no other', async () => {
    const [one, other] = [await newCampaign(), await newCampaign()];
    for (const { id } of [one, other])
      await pool.query(`INSERT INTO catalog.link (campaign_id, kind, original) VALUES ($1, 'pixel', '')`, [id]);
    const changed = async (id: number) => (await pool.query('SELECT changed::text FROM catalog.link WHERE campaign_id = $1', [id])).rows;
    const before = [await changed(one.id), await changed(other.id)];
    await editCampaign(pool, one.id, { passQuery: false });
    expect([await changed(one.id), await changed(other.id)]).toEqual(before);
    await editCampaign(pool, one.id, { passQuery: true });
    expect(await changed(one.id)).not.toEqual(before[0]);
    expect(await changed(other.id)).toEqual(before[1]);
  });
});

describe('rights', () => {
  test('an author cannot rename or remove a campaign', async () => {
    const { id } = await newCampaign();
    await expect(pool.query(`UPDATE catalog.campaign SET name = 'x' WHERE id = $1`, [id])).rejects.toMatchObject({ code: '42501' });
    await expect(pool.query('DELETE FROM catalog.campaign WHERE id = $1', [id])).rejects.toMatchObject({ code: '42501' });
  });
});
