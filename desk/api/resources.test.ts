import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createSlugCodec } from '../../core/slug.ts';
import { readAuditLog } from '../../operating/api-keys.ts';
import { expectProblem, startTestApi, type TestApi } from '../../test/support/api.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';

// Campaigns, links and recipients by the API, on real databases.

let databases: Databases;
let api: TestApi;
let number = 0;

beforeAll(async () => {
  databases = await createDatabases(2);
  api = await startTestApi(databases, { changes: { BASE_URLS: 'https://click.shop.example' } });
});
afterAll(() => api?.app.close());
afterEach(() => expect(api.onError).not.toHaveBeenCalled());

async function newCampaign(fields: object = {}): Promise<number> {
  const { status, json } = await api.call('POST', '/campaigns', { name: `campaign ${++number}`, ...fields });
  expect(status).toBe(201);
  return json.id as number;
}

const lastEntry = async () => (await readAuditLog(api.owner, 1))[0];

describe('campaigns', () => {
  test('a name that an index cannot have is refused, and so is a body with an encoding', async () => {
    const name = Array.from({ length: 1000 }, (_, i) => String.fromCodePoint(0x4e00 + ((i * 7919) % 20_000))).join('');
    expectProblem(await api.call('POST', '/campaigns', { name }), 400, 'bad-input');
    const encoded = await api.call('POST', '/campaigns', { name: 'x' }, { headers: { 'content-encoding': 'gzip' } });
    expectProblem(encoded, 415, 'wrong-media-type');
  });

  test('a base URL that is no longer in the settings is a conflict, before anything changes', async () => {
    const campaign = await newCampaign();
    const { json: link } = await api.call('POST', `/campaigns/${campaign}/links`, { target: 'https://shop.example/' });
    await databases.query('catalog', "UPDATE catalog.campaign SET base_url = 'https://gone.example' WHERE id = $1", [campaign]);
    expectProblem(await api.call('PATCH', `/links/${link.id}`, { disabled: true }), 409, 'conflict');
    expect((await api.call('PATCH', `/campaigns/${campaign}`, { base_url: null })).status).toBe(200);
    expect((await api.call('GET', `/links/${link.id}`)).json.disabled_at).toBeNull();
  });

  test('a campaign may have a base URL of the settings, with which its URLs begin', async () => {
    const refused = await api.call('POST', '/campaigns', { name: 'foreign', base_url: 'https://elsewhere.example' });
    expectProblem(refused, 400, 'bad-input');
    const campaign = await newCampaign({ base_url: 'https://click.shop.example' });
    const link = await api.call('POST', `/campaigns/${campaign}/links`, { target: 'https://shop.example/' });
    expect(link.json.url).toMatch(/^https:\/\/click\.shop\.example\/u\//);
    const { lines } = await api.call('POST', `/campaigns/${campaign}/urls`, [{ target: 'https://shop.example/' }]);
    expect(lines[0]?.url).toBe(link.json.url);
    const letter = await api.call('POST', `/campaigns/${campaign}/letters`, { html: '<a href="https://shop.example/">x</a>' });
    expect(letter.json.html).toContain('https://click.shop.example/u/');
    const changed = await api.call('PATCH', `/campaigns/${campaign}`, { base_url: null });
    expect(changed.json.base_url).toBeNull();
    expect((await api.call('GET', `/links/${link.json.id}`)).json.url).toMatch(/^https:\/\/t\.example\.org\/u\//);
  });

  test('a campaign is created once: the same POST finds it', async () => {
    const body = { name: 'Spring sale', fallback: 'https://shop.example/', pass_query: true, follow_hosts: ['Shop.Example'] };
    const first = await api.call('POST', '/campaigns', body);
    expect(first.status).toBe(201);
    expect(first.json).toMatchObject({
      name: 'Spring sale',
      fallback: 'https://shop.example/',
      pass_query: true,
      follow_hosts: ['shop.example'],
      sent_at: null,
      closed_at: null,
      links: 0,
    });
    expect(await lastEntry()).toMatchObject({
      action: 'campaign.create',
      status: 201,
      details: { campaign: first.json.id, created: true },
    });
    const second = await api.call('POST', '/campaigns', body);
    expect(second.status).toBe(200);
    expect(second.json).toEqual(first.json);
    expect((await api.call('GET', `/campaigns/${first.json.id}`)).json).toEqual(first.json);
  });

  test('the list is read page by page, and a name finds one', async () => {
    const ids = [await newCampaign(), await newCampaign(), await newCampaign()];
    const seen: number[] = [];
    for (let after = ''; ; ) {
      const { json } = await api.call('GET', `/campaigns?limit=2${after}`);
      expect(json.campaigns.length).toBeLessThanOrEqual(2);
      seen.push(...json.campaigns.map(({ id }: { id: number }) => id));
      if (json.next === null) break;
      after = `&after=${json.next}`;
    }
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(seen).toEqual(expect.arrayContaining(ids));
    expect(new Set(seen).size).toBe(seen.length);
    const named = await api.call('GET', `/campaigns?name=${encodeURIComponent(`campaign ${number}`)}`);
    expect(named.json).toMatchObject({ campaigns: [{ id: ids[2] }], next: null });
    expect((await api.call('GET', '/campaigns?name=nobody')).json).toEqual({ campaigns: [], next: null });
  });

  test('settings, the time of sending and closing change, and null removes', async () => {
    const id = await newCampaign({ fallback: 'https://a.example/' });
    const { json } = await api.call('PATCH', `/campaigns/${id}`, { fallback: null, sent_at: '2030-05-01T10:00:00+02:00', closed: true });
    expect(json).toMatchObject({ fallback: null, sent_at: '2030-05-01T08:00:00.000Z', closed_at: expect.any(String) });
    expect(await lastEntry()).toMatchObject({
      action: 'campaign.change',
      object: `campaign ${id}`,
      details: { fields: ['fallback', 'sent_at', 'closed'] },
    });
    const refused = await api.call('POST', `/campaigns/${id}/links`, { target: 'https://a.example/' });
    expect(expectProblem(refused, 409, 'conflict').detail).toContain('closed');
    expect((await api.call('PATCH', `/campaigns/${id}`, { sent_at: null, closed: false })).json).toMatchObject({
      sent_at: null,
      closed_at: null,
    });
    expect((await api.call('PATCH', `/campaigns/${id}`, {})).status).toBe(200);
  });

  test('what does not exist is 404, and wrong values are 400 with their place', async () => {
    expectProblem(await api.call('GET', '/campaigns/999999'), 404, 'not-found');
    expectProblem(await api.call('PATCH', '/campaigns/999999', { closed: true }), 404, 'not-found');
    const wrong = expectProblem(await api.call('POST', '/campaigns', { name: '', fallback: 7, more: 1 }), 400, 'bad-input');
    expect(wrong.errors?.map(({ pointer }) => pointer).toSorted()).toEqual(['/fallback', '/more', '/name']);
    expectProblem(await api.call('POST', '/campaigns', { name: 'x', fallback: 'javascript:alert(1)' }), 400, 'bad-input');
    expectProblem(await api.call('POST', '/campaigns', { name: 'a\u0000b' }), 400, 'bad-input');
    expectProblem(await api.call('POST', '/campaigns', { name: ' ' }), 400, 'bad-input');
    expectProblem(await api.call('GET', '/campaigns?limit=0'), 400, 'bad-input');
    expectProblem(await api.call('GET', '/campaigns?limt=1'), 400, 'bad-input');
    expectProblem(await api.call('GET', '/campaigns/1?x=1'), 400, 'bad-input');
    expectProblem(await api.call('GET', '/campaigns/one'), 400, 'bad-input');
  });
});

describe('links', () => {
  test('a link is found again by its target and label, and its URL has its number', async () => {
    const campaign = await newCampaign();
    const body = { target: 'https://shop.example/a', label: 'top', alias: `spring-${campaign}` };
    const first = await api.call('POST', `/campaigns/${campaign}/links`, body);
    expect(first.json).toMatchObject({ kind: 'url', target: body.target, label: 'top', version: 1, aliases: [body.alias] });
    const slug = String(first.json.url).replace('https://t.example.org/u/', '');
    expect(createSlugCodec(databases.keys).verify(slug)).toMatchObject({ ok: true, ids: { link: first.json.id, recipient: 0 } });
    expect((await api.call('POST', `/campaigns/${campaign}/links`, body)).json).toEqual(first.json);
    const pixel = (await api.call('POST', `/campaigns/${campaign}/links`, { kind: 'pixel' })).json;
    expect(pixel).toMatchObject({ kind: 'pixel', target: null, url: expect.stringContaining('/r/') });
    expect((await api.call('POST', `/campaigns/${campaign}/links`, { kind: 'unsubscribe' })).json).toMatchObject({ url: null });
    const { links } = (await api.call('GET', `/campaigns/${campaign}/links`)).json;
    expect(links.map(({ kind }: { kind: string }) => kind)).toEqual(['url', 'pixel', 'unsubscribe']);
    expect((await api.call('GET', `/links/${first.json.id}`)).json).toEqual(first.json);
  });

  test('a link changes its target as a new version, expires, and is disabled and enabled', async () => {
    const campaign = await newCampaign();
    const { id } = (await api.call('POST', `/campaigns/${campaign}/links`, { target: 'https://shop.example/a' })).json;
    const changed = await api.call('PATCH', `/links/${id}`, {
      target: 'https://shop.example/b',
      expires_at: '2031-01-01T00:00:00Z',
      disabled: true,
    });
    expect(changed.json).toMatchObject({
      target: 'https://shop.example/b',
      version: 2,
      expires_at: '2031-01-01T00:00:00.000Z',
      disabled_at: expect.any(String),
    });
    expect(await lastEntry()).toMatchObject({ action: 'link.change', object: `link ${id}`, details: { version: 2 } });
    const again = await api.call('PATCH', `/links/${id}`, {
      target: 'https://shop.example/b',
      expires_at: null,
      disabled: false,
      alias: `b-${id}`,
    });
    expect(again.json).toMatchObject({ version: 2, expires_at: null, disabled_at: null, aliases: [`b-${id}`] });
  });

  test('a pixel has no target, and an alias has one link', async () => {
    const campaign = await newCampaign();
    const links = `/campaigns/${campaign}/links`;
    const pixel = (await api.call('POST', links, { kind: 'pixel' })).json;
    expectProblem(await api.call('PATCH', `/links/${pixel.id}`, { target: 'https://shop.example/' }), 400, 'bad-input');
    expectProblem(await api.call('POST', links, { kind: 'pixel', target: 'https://shop.example/' }), 400, 'bad-input');
    expectProblem(await api.call('POST', links, { kind: 'pixel', alias: 'a-b' }), 400, 'bad-input');
    expectProblem(await api.call('POST', links, {}), 400, 'bad-input');
    expectProblem(await api.call('POST', links, { target: 'ftp://shop.example/' }), 400, 'bad-input');
    expectProblem(await api.call('POST', links, { target: 'https://shop.example/', alias: 'nodash' }), 400, 'bad-input');
    await api.call('POST', links, { target: 'https://shop.example/1', alias: `taken-${campaign}` });
    expectProblem(await api.call('POST', links, { target: 'https://shop.example/2', alias: `taken-${campaign}` }), 409, 'conflict');
    expectProblem(await api.call('GET', '/links/999999'), 404, 'not-found');
    expectProblem(await api.call('PATCH', '/links/999999', {}), 404, 'not-found');
    expectProblem(await api.call('GET', '/campaigns/999999/links'), 404, 'not-found');
  });
});

describe('recipients', () => {
  test('a person is found by address or id, and gets the id that was missing', async () => {
    const first = await api.call('POST', '/recipients', { email: 'Ann@Example.com' });
    expect(first.json).toMatchObject({ email: 'ann@example.com', external_id: null, opted_out_at: null, unsubscribed_at: null });
    const second = await api.call('POST', '/recipients', { email: 'ann@example.com', external_id: 'c-1' });
    expect(second.json).toEqual({ ...first.json, external_id: 'c-1' });
    expect((await api.call('POST', '/recipients/find', { external_id: 'c-1' })).json).toEqual(second.json);
    expect((await api.call('GET', `/recipients/${first.json.recipient}`)).json).toEqual(second.json);
    expect(JSON.stringify(await readAuditLog(api.owner, 10))).not.toMatch(/example\.com|c-1/);
    expectProblem(await api.call('POST', '/recipients/find', { email: 'nobody@example.com' }), 404, 'not-found');
    expectProblem(await api.call('POST', '/recipients/find', {}), 400, 'bad-input');
    expectProblem(await api.call('POST', '/recipients', {}), 400, 'bad-input');
    expectProblem(await api.call('POST', '/recipients', { email: 'ann' }), 400, 'bad-input');
    expectProblem(await api.call('POST', '/recipients', { external_id: '' }), 400, 'bad-input');
    await api.call('POST', '/recipients', { email: 'bob@example.com', external_id: 'c-2' });
    expectProblem(await api.call('POST', '/recipients', { email: 'ann@example.com', external_id: 'c-2' }), 409, 'conflict');
  });

  test('a person opts out, is a test recipient, and is forgotten for good', async () => {
    const { recipient } = (await api.call('POST', '/recipients', { email: 'carl@example.com' })).json;
    const path = `/recipients/${recipient}`;
    expect((await api.call('PATCH', path, { opted_out: true, test: true })).json).toMatchObject({ opted_out_at: expect.any(String) });
    for (const shard of ['a', 'b'])
      expect(await databases.query(shard, 'SELECT is_test FROM shard.recipient WHERE recipient_id = $1', [recipient])).toEqual([
        { is_test: true },
      ]);
    expect((await api.call('PATCH', path, { opted_out: false, test: false })).json).toMatchObject({ opted_out_at: null });
    expect((await api.call('POST', `${path}/resubscribe`)).status).toBe(200);
    expect((await api.call('DELETE', path)).status).toBe(204);
    expect(await lastEntry()).toMatchObject({ action: 'recipient.forget', object: `recipient ${recipient}`, status: 204 });
    expect((await api.call('DELETE', path)).status).toBe(204);
    expectProblem(await api.call('GET', path), 404, 'not-found');
    expectProblem(await api.call('PATCH', path, { opted_out: true }), 404, 'not-found');
    expectProblem(await api.call('POST', `${path}/resubscribe`), 404, 'not-found');
    expectProblem(await api.call('DELETE', '/recipients/999999'), 404, 'not-found');
    expect(await lastEntry()).toMatchObject({ action: 'recipient.forget', status: 404 });
  });

  test('all people are listed, one on each line', async () => {
    await api.call('POST', '/recipients', { external_id: 'listed' });
    const { lines } = await api.call('GET', '/recipients');
    expect(lines.filter(({ external_id }) => external_id === 'listed')).toHaveLength(1);
    expect(lines.map(({ recipient }) => recipient)).toEqual(lines.map(({ recipient }) => recipient).toSorted((a, b) => a - b));
    expect((await api.call('GET', '/recipients?unsubscribed=true')).lines).toEqual([]);
    expectProblem(await api.call('GET', '/recipients?unsubscribed=yes'), 400, 'bad-input');
  });
});
