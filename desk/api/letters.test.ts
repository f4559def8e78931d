import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readAuditLog } from '../../operating/api-keys.ts';
import { trackedAddresses } from '../../test/support/authors.ts';
import { expectProblem, startTestApi, type TestApi } from '../../test/support/api.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';

// Letters by the API.

const HTML = `<p>Dear {{name}}, <a href="https://shop.example/sale">sale</a> and <a href="https://shop.example/news">news</a>.</p>
<p><a href="{{unsubscribe}}">Unsubscribe</a></p>`;
const PLAIN = HTML.replace(/<p><a href="\{\{.*$/m, '');

let databases: Databases;
let api: TestApi;
let campaign: number;
let path: string;
let number = 0;

beforeAll(async () => {
  databases = await createDatabases(1);
  api = await startTestApi(databases);
});
afterAll(() => api?.app.close());
afterEach(() => expect(api.onError).not.toHaveBeenCalled());

async function newCampaign(): Promise<void> {
  campaign = (await api.call('POST', '/campaigns', { name: `letters ${++number}` })).json.id;
  path = `/campaigns/${campaign}/letters`;
}

describe('a letter as JSON', () => {
  test('gets shared links, with what is tracked and what is kept', async () => {
    await newCampaign();
    const body = {
      html: PLAIN,
      text: 'See https://shop.example/sale',
      utm: { source: 'mail' },
      exclude: ['news.example'],
      expires_at: '2031-01-01T00:00:00Z',
    };
    const { json } = await api.call('POST', path, body);
    expect(json.links.map(({ part, target }: { part: string; target: string }) => [part, target])).toEqual([
      ['html', 'https://shop.example/sale?utm_source=mail'],
      ['html', 'https://shop.example/news?utm_source=mail'],
      ['text', 'https://shop.example/sale?utm_source=mail'],
    ]);
    expect(trackedAddresses(databases, json.html)).toMatchObject([{ recipient: 0 }, { recipient: 0 }, { kind: 'r', recipient: 0 }]);
    expect(trackedAddresses(databases, json.text)).toHaveLength(1);
    expect((await api.call('POST', path, body)).json).toEqual(json);
    expect(await readAuditLog(api.owner, 1)).toMatchObject([
      { action: 'letter.prepare', object: `campaign ${campaign}`, details: { links: 3 } },
    ]);
    const { links } = (await api.call('GET', `/campaigns/${campaign}/links`)).json;
    expect(links.find(({ id }: { id: number }) => id === json.links[0].id)).toMatchObject({
      expires_at: '2031-01-01T00:00:00.000Z',
      position: 1,
    });
  });

  test('gets merge tags for a mail service', async () => {
    await newCampaign();
    const { json } = await api.call('POST', path, { html: HTML, merge: 'mailchimp', honeypot: true });
    expect(json.columns).toEqual(['CL_1', 'CL_2', 'CL_HIDDEN', 'CL_PIXEL', 'CL_UNSUB']);
    for (const column of json.columns) expect(json.html).toContain(`*|${column}|*`);
    expect(json.html).toContain('Dear {{name}}');
  });

  test('a letter that is empty or too long, and wrong options, are refused', async () => {
    await newCampaign();
    expectProblem(await api.call('POST', path, {}), 400, 'bad-input');
    expectProblem(await api.call('POST', path, { html: PLAIN, merge: 'nobody' }), 400, 'bad-input');
    expectProblem(await api.call('POST', path, { html: PLAIN, fill: true }), 400, 'bad-input');
    expectProblem(await api.call('POST', path, { html: 'x'.repeat(5_000_000) }), 413, 'too-large');
    expectProblem(await api.call('POST', '/campaigns/999999/letters', { html: PLAIN }), 404, 'not-found');
    // A link for unsubscribing belongs to one person.
    expect((await api.call('POST', path, { html: HTML })).json.html).toContain('{{unsubscribe}}');
  });
});

describe('letters of people as NDJSON', () => {
  test('the first line is the letter, and each person gets an own one', async () => {
    await newCampaign();
    const body = [
      { html: HTML, fill: true },
      { email: 'ann@example.com', columns: { name: 'Ann' } },
      { email: 'no address', columns: { name: 'No' } },
      { external_id: 'b', columns: { name: 'Bob <b>' }, more: 1 },
      { external_id: 'b', columns: { name: 'Bob <b>' } },
    ];
    const { lines } = await api.call('POST', path, body);
    expect(lines[0]).toMatchObject({ line: 1, links: [{ part: 'html' }, { part: 'html' }], kept: expect.any(Array) });
    expect(lines[2]).toEqual({ line: 3, rejected: 'bad-address' });
    expect(lines[3]).toMatchObject({ line: 4, problem: { errors: [{ pointer: '/more' }] } });
    for (const [at, name] of [
      [1, 'Ann'],
      [4, 'Bob &lt;b&gt;'],
    ] as const) {
      const { recipient, html, unsubscribe } = lines[at];
      expect(html).toContain(`Dear ${name},`);
      expect(html).toContain(unsubscribe);
      expect(trackedAddresses(databases, html).map((each) => each.recipient)).toEqual([recipient, recipient, recipient]);
    }
    expect((await api.call('POST', path, body)).lines).toEqual(lines);
    expect(await databases.query('catalog', 'SELECT count(*)::int AS n FROM catalog.mailing WHERE campaign_id = $1', [campaign])).toEqual([
      { n: 2 },
    ]);
    expect(await readAuditLog(api.owner, 1)).toMatchObject([{ details: { links: 2, people: 4, mistakes: 1 }, status: 200 }]);
  });

  test('a letter that its columns would make too long is refused, and the next person gets one', async () => {
    await newCampaign();
    const { lines } = await api.call('POST', path, [
      { html: `<p>${'{{name}}'.repeat(10_000)}</p>`, fill: true },
      { external_id: 'long', columns: { name: 'x'.repeat(10_000) } },
      { external_id: 'short', columns: { name: 'x' } },
    ]);
    expect(lines[1]).toMatchObject({ line: 2, problem: { code: 'bad-input' } });
    expect(lines[2].html).toContain('x'.repeat(10_000));
  });
  test('a person who lacks a column gets a problem, and the next person a letter', async () => {
    await newCampaign();
    const people = [{ email: 'ann@example.com' }, { email: 'bob@example.com', columns: { name: 'Bob' } }];
    const { lines } = await api.call('POST', path, [{ html: HTML, fill: true }, ...people]);
    expect(lines).toMatchObject([
      { line: 1 },
      { line: 2, problem: { code: 'bad-input', detail: expect.stringContaining('{{name}}') } },
      { line: 3, html: expect.stringContaining('Dear Bob,') },
    ]);
  });

  test('a person who has unsubscribed gets no letter until an author subscribes the person again', async () => {
    await newCampaign();
    const body = [
      { html: HTML, fill: true },
      { email: 'gone@example.com', columns: { name: 'G' } },
    ];
    const { recipient } = (await api.call('POST', path, body)).lines[1];
    await databases.query(
      'a',
      `INSERT INTO shard.unsubscribe (at, off, gen, rid, recipient_id, link_id, campaign_id) VALUES (now(), 0, gen_random_uuid(), gen_random_uuid(), $1, 1, 1)`,
      [recipient],
    );
    for (const merge of [{}, { merge: 'ses', fill: false }])
      expect((await api.call('POST', path, [{ ...(body[0] as object), ...merge }, { email: 'gone@example.com' }])).lines[1]).toEqual({
        line: 2,
        rejected: 'unsubscribed',
      });
    expect((await api.call('GET', '/recipients?unsubscribed=true')).lines).toMatchObject([
      { recipient, email: 'gone@example.com', unsubscribed_at: expect.any(String) },
    ]);
    expect((await api.call('POST', `/recipients/${recipient}/resubscribe`)).json).toMatchObject({ unsubscribed_at: null });
    expect((await api.call('POST', path, body)).lines[1]).toMatchObject({ recipient });
  });

  test('while requests to unsubscribe may be missing, letters are refused', async () => {
    await newCampaign();
    await api.call('POST', path, { html: HTML });
    await databases.query('a', `INSERT INTO shard.ledger (gen, size, committed) VALUES (gen_random_uuid(), 100, '{[0,50)}')`);
    try {
      expect(expectProblem(await api.call('POST', path, { html: HTML }), 503, 'unavailable').detail).toMatch(
        /50 bytes.*set despite_missing/,
      );
      expectProblem(await api.call('POST', path, [{ html: HTML }, { email: 'ann@example.com' }]), 503, 'unavailable');
      expect((await api.call('POST', path, { html: HTML, despite_missing: true })).status).toBe(200);
    } finally {
      await databases.query('a', 'DELETE FROM shard.ledger');
    }
  });

  test('with merge, each person gets the values of the columns', async () => {
    await newCampaign();
    const { lines } = await api.call('POST', path, [
      { html: HTML, merge: 'sendgrid' },
      { email: 'ann@example.com' },
      { email: 'bob@example.com' },
    ]);
    const [head, ann, bob] = lines;
    expect(head.html).toContain('{{CL_1}}');
    expect(Object.keys(ann.values)).toEqual(head.columns);
    expect(trackedAddresses(databases, JSON.stringify(bob.values)).map(({ recipient }) => recipient)).toEqual([
      bob.recipient,
      bob.recipient,
      bob.recipient,
    ]);
    await api.call('PATCH', `/recipients/${ann.recipient}`, { opted_out: true });
    const [, out] = (await api.call('POST', path, [{ html: HTML, merge: 'sendgrid' }, { email: 'ann@example.com' }])).lines;
    expect(out.values).toMatchObject({ CL_1: 'https://shop.example/sale', CL_PIXEL: expect.stringMatching(/^data:/) });
  });

  test('a first line that is no letter refuses the request', async () => {
    await newCampaign();
    expectProblem(await api.call('POST', path, []), 400, 'bad-input');
    expectProblem(await api.call('POST', path, [{ email: 'ann@example.com' }]), 400, 'bad-input');
    expectProblem(await api.call('POST', path, ['', { html: HTML }]), 400, 'bad-input');
    expectProblem(await api.call('POST', path, [{ html: HTML, merge: 'ses', fill: true }]), 400, 'bad-input');
    expectProblem(await api.call('POST', path, [{}]), 400, 'bad-input');
  });
});
