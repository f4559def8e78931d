import fc from 'fast-check';
import { parse as parseHtml } from 'parse5';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { qrSvg } from '../../authoring/qr.ts';
import { createPool, type Pool } from '../../core/postgres.ts';
import { readAuditLog } from '../../operating/api-keys.ts';
import { startTestBackend } from '../../test/support/backends.ts';
import { HOSTILE } from '../../test/support/campaigns.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';
import {
  addAccount,
  type Answer,
  authorOptionsFor,
  deskForTest,
  startTestDesk,
  type TestDesk,
  visit,
  type Visitor,
} from '../../test/support/desk.ts';
import { runs } from '../../test/support/runs.ts';
import { createDesk } from '../app.ts';

// The pages for authors, by their forms, on real databases.

let databases: Databases;
let desk: TestDesk;
let owner: Pool;
let author: Visitor;
let analyst: Visitor;
let number = 0;

beforeAll(async () => {
  databases = await createDatabases(2);
  owner = createPool(databases.ownerUrl, { max: 2, name: 'test' });
  desk = await startTestDesk(databases);
  for (const role of ['author', 'analyst'] as const) await addAccount(databases, `${role}@example.org`, role);
  author = visit(desk);
  analyst = visit(desk);
  await author.signIn('author@example.org');
  await analyst.signIn('analyst@example.org');
});
afterAll(async () => {
  await desk.app.close();
  await owner.end();
});
afterEach(() => expect(desk.onError).not.toHaveBeenCalled());

const escaped = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (c) => `&${{ '&': 'amp', '<': 'lt', '>': 'gt', '"': 'quot', "'": '#39' }[c]};`);

/** Expects a whole page of HTML without mistakes. */
function expectPage({ status, body }: Answer, expected = 200): string {
  expect({ status, body: status === expected ? '' : body }).toEqual({ status: expected, body: '' });
  const errors: string[] = [];
  // Names may have code points that Unicode reserves. Browsers accept them.
  parseHtml(body, { onParseError: ({ code }) => void (code === 'noncharacter-in-input-stream' || errors.push(code)) });
  expect(errors).toEqual([]);
  return body;
}

/** Expects that a form is shown again with a message at its top. */
function expectMistake(answer: Answer, message: string | RegExp, status = 400): string {
  const body = expectPage(answer, status);
  const [, , alert = ''] = /<h1>([^<]*)<\/h1>\s*<div role="alert"><p class="error">(.*?)<\/p>/s.exec(body) ?? [];
  expect(alert).toMatch(message);
  return body;
}

async function newCampaign(): Promise<string> {
  const { status, location = '' } = await author.post('/new-campaign', { do: 'create', name: `campaign ${++number}`, fallback: '' });
  expect(status).toBe(303);
  return location;
}

/** Creates a campaign with a link. Returns their paths. */
async function newLink(target = 'https://shop.example.org/a'): Promise<{ campaign: string; link: string; id: number }> {
  const campaign = await newCampaign();
  expect(await author.post(`${campaign}/manage`, { do: 'add-link', target, label: 'Button' })).toMatchObject({
    status: 303,
    location: `${campaign}/manage`,
  });
  const [, link = '', id = ''] = /href="(\/campaign\/\d+\/link\/(\d+)\/manage)"/.exec((await author.get(`${campaign}/manage`)).body) ?? [];
  return { campaign, link, id: Number(id) };
}

const lastEntry = async () => {
  const [{ key, account, action, object, details, status } = {} as never] = await readAuditLog(owner, 1);
  return { key, account, action, object, details, status };
};
const byAuthor = { key: null, account: 'author@example.org', status: 303 };

/** Texts that must never become markup, and texts of other writing systems. */
const hostileText = fc.oneof(
  fc.constant(HOSTILE),
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.string({ unit: 'binary', maxLength: 60 }),
);
/** What cannot be the target of a link. */
const badTarget = fc.oneof(
  fc.constantFrom(
    'javascript:alert(1)',
    'data:text/html,x',
    'ftp://example.org/',
    '//example.org',
    'example.org',
    'https://',
    'https:///x',
    'mailto:a@example.org',
  ),
  fc.string({ minLength: 1, maxLength: 30 }).map((text) => `https://exa mple.org/${text}`),
  fc.constantFrom('\r\n', '\n', '\0', '\x1b', '\x7f', '\x85').map((control) => `https://example.org/a${control}b`),
  fc.integer({ min: 8000, max: 20_000 }).map((length) => `https://example.org/${'x'.repeat(length)}`),
);
const shown = (text: string): string => `value="${escaped(text.replaceAll(/\p{Cc}/gu, ' '))}"`;

describe('a campaign', () => {
  test('is created, has its page, and a row in the log', async () => {
    expect((await author.get('/')).body).toContain('<a href="/new-campaign">New campaign</a>');
    expectPage(await author.get('/new-campaign'));
    const name = `${HOSTILE} ${++number}`;
    const { status, location = '' } = await author.post('/new-campaign', {
      do: 'create',
      name: `  ${name} `,
      fallback: 'https://shop.example.org/',
    });
    expect({ status, location }).toEqual({ status: 303, location: expect.stringMatching(/^\/campaign\/\d+$/) });
    const id = Number(location.split('/')[2]);
    expect(await lastEntry()).toEqual({ ...byAuthor, action: 'campaign.create', object: '', details: { campaign: id, created: true } });
    const body = expectPage(await author.get(location));
    expect(body).toContain(`<h1>${escaped(name)}</h1>`);
    expect(body).toContain(`href="${location}/manage"`);
    const managed = expectPage(await author.get(`${location}/manage`));
    expect(managed).toContain('value="https://shop.example.org/"');
    expect(managed).not.toContain('<img');
  });

  test('with a name that exists is refused, and the other one does not change', async () => {
    const campaign = await newCampaign();
    const name = `campaign ${number}`;
    const answer = await author.post('/new-campaign', { do: 'create', name, fallback: 'https://shop.example.org/' });
    const body = expectMistake(answer, 'There is already a campaign', 409);
    expect(body).toContain(shown(name));
    expect(body).toContain(shown('https://shop.example.org/'));
    expect((await author.get(`${campaign}/manage`)).body).not.toContain('shop.example.org');
    expect(await lastEntry()).toMatchObject({ ...byAuthor, action: 'campaign.create', status: 409 });
  });

  test('with any name is created or refused, and never becomes markup', async () => {
    await fc.assert(
      fc.asyncProperty(hostileText, async (text) => {
        const name = `${text} n${++number}`;
        const answer = await author.post('/new-campaign', { do: 'create', name, fallback: '' });
        if (/\p{Cc}/u.test(name.trim())) {
          expect(expectMistake(answer, 'control character')).toContain(shown(name));
          return;
        }
        expect(answer.status).toBe(303);
        const { body } = await author.get(`${answer.location}/manage`);
        expect(body).toContain(`<h1>Manage ${escaped(name.trim().toWellFormed())}</h1>`);
      }),
      runs(30),
    );
  });

  test.each([
    ['', 'must have a name'],
    ['   ', 'must have a name'],
    ['x'.repeat(2001), 'longer than 2000 bytes'],
    ['ä'.repeat(1001), 'longer than 2000 bytes'],
    ['a\0b', 'control character'],
  ])('with the name %j is refused', async (name, message) => {
    expectMistake(await author.post('/new-campaign', { do: 'create', name }), message);
  });

  test('keeps its fallback if the new one is not a URL, and the form keeps what was typed', async () => {
    const campaign = await newCampaign();
    await fc.assert(
      fc.asyncProperty(badTarget, async (fallback) => {
        for (const [url, fields] of [
          ['/new-campaign', { do: 'create', name: `refused ${fallback.length}` }],
          [`${campaign}/manage`, { do: 'fallback' }],
        ] as const)
          expect(
            expectMistake(await author.post(url, { ...fields, fallback }), /cannot be tracked|control character|longer than/),
          ).toContain(shown(fallback));
      }),
      runs(15),
    );
    expect(await databases.query('catalog', `SELECT name FROM catalog.campaign WHERE name LIKE 'refused%'`)).toEqual([]);
    const [row] = await databases.query('catalog', 'SELECT fallback_url FROM catalog.campaign WHERE id = $1', [campaign.split('/')[2]]);
    expect(row).toEqual({ fallback_url: null });
  });

  test('gets a fallback, a time of sending, an end, and all of this back', async () => {
    const campaign = await newCampaign();
    const id = campaign.split('/')[2];
    const read = async () =>
      (
        await databases.query<Record<string, unknown>>(
          'catalog',
          'SELECT fallback_url, sent_at, closed_at FROM catalog.campaign WHERE id = $1',
          [id],
        )
      )[0];
    const change = async (fields: Record<string, string>, field: string): Promise<Record<string, unknown> | undefined> => {
      expect(await author.post(`${campaign}/manage`, fields)).toMatchObject({ status: 303, location: `${campaign}/manage` });
      expect(await lastEntry()).toEqual({ ...byAuthor, action: 'campaign.change', object: `campaign ${id}`, details: { fields: [field] } });
      expectPage(await author.get(`${campaign}/manage`));
      return read();
    };
    expect(await change({ do: 'fallback', fallback: 'https://shop.example.org/end' }, 'fallback')).toMatchObject({
      fallback_url: 'https://shop.example.org/end',
    });
    expect(await change({ do: 'fallback', fallback: '' }, 'fallback')).toMatchObject({ fallback_url: null });
    expect(await change({ do: 'sent', at: '2030-05-01T08:00' }, 'sent_at')).toMatchObject({ sent_at: new Date('2030-05-01T08:00Z') });
    expect(await change({ do: 'sent-now' }, 'sent_at')).toMatchObject({ sent_at: expect.any(Date) });
    expect(await change({ do: 'not-sent' }, 'sent_at')).toMatchObject({ sent_at: null });
    expect(await change({ do: 'close' }, 'closed')).toMatchObject({ closed_at: expect.any(Date) });
    expect((await author.get(`${campaign}/manage`)).body).not.toContain('value="add-link"');
    expectMistake(
      await author.post(`${campaign}/manage`, { do: 'add-link', target: 'https://shop.example.org/' }),
      'reopen it to add a link',
      409,
    );
    expect(await change({ do: 'reopen' }, 'closed')).toMatchObject({ closed_at: null });
  });

  test.each(['', 'soon', '2030-02-30T08:00', '01.05.2030', HOSTILE, 'x'.repeat(101)])('is not sent at %j', async (at) => {
    const campaign = await newCampaign();
    const body = expectMistake(await author.post(`${campaign}/manage`, { do: 'sent', at }), /time|longer than/);
    expect(body).toContain(`type="datetime-local" ${shown(at)}`);
    expect(body).toContain('is not recorded');
  });

  test('that does not exist, or a form that does not exist, is told of', async () => {
    for (const path of ['/campaign/999999/manage', '/campaign/x/manage', '/campaign/1%27/manage', '/campaign/999999/link/1/manage']) {
      expect((await author.get(path)).status).toBe(404);
      expect((await author.post(path, { do: 'close' })).status).toBe(404);
    }
    expectMistake(await author.post(`${await newCampaign()}/manage`, { do: 'rename', name: 'x' }), 'This page has no such form');
  });
});

describe('a link', () => {
  test('redirects to its target, to the next one, by its alias, and to nowhere when it ends', async () => {
    const backend = await startTestBackend(databases);
    const { link, id } = await newLink('https://shop.example.org/a?b=1&c=2');
    const [, path = ''] = /<code>https:\/\/t\.example\.org(\/u\/[^<]+)<\/code>/.exec(expectPage(await author.get(link))) ?? [];
    const leadsTo = async (address = path) =>
      expect.poll(
        async () => {
          const { status, headers } = await backend.get(address);
          return headers['location'] ?? status;
        },
        { timeout: 5000 },
      );
    const change = async (fields: Record<string, string>, details: object): Promise<void> => {
      expect(await author.post(link, fields)).toMatchObject({ status: 303, location: link });
      expect(await lastEntry()).toEqual({ ...byAuthor, action: 'link.change', object: `link ${id}`, details });
    };
    await (await leadsTo()).toBe('https://shop.example.org/a?b=1&c=2');
    await change({ do: 'target', target: ' https://shop.example.org/next ' }, { fields: ['target'], version: 2 });
    await (await leadsTo()).toBe('https://shop.example.org/next');
    await change({ do: 'alias', alias: 'spring-sale' }, { fields: ['alias'] });
    await (await leadsTo('/u/spring-sale')).toBe('https://shop.example.org/next');
    await change({ do: 'disable' }, { fields: ['disabled'] });
    await (await leadsTo()).toBe(410);
    expect(expectPage(await author.get(link))).toContain('State: disabled');
    await change({ do: 'enable' }, { fields: ['disabled'] });
    await (await leadsTo()).toBe('https://shop.example.org/next');
    await change({ do: 'expiry', expires: '2020-01-01T00:00' }, { fields: ['expires_at'] });
    await (await leadsTo()).toBe(410);
    expect(expectPage(await author.get(link))).toContain('value="2020-01-01T00:00"');
    await change({ do: 'expiry', expires: '' }, { fields: ['expires_at'] });
    await (await leadsTo()).toBe('https://shop.example.org/next');
    const versions = await databases.query('catalog', 'SELECT target FROM catalog.link_version WHERE link_id = $1 ORDER BY version', [id]);
    expect(versions).toEqual([{ target: 'https://shop.example.org/a?b=1&c=2' }, { target: 'https://shop.example.org/next' }]);
  });

  test('has QR codes of its URLs, on the page and as files', async () => {
    const { link } = await newLink();
    await author.post(link, { do: 'alias', alias: 'qr-code' });
    const body = expectPage(await author.get(link));
    const [, url = ''] = /<code>(https:\/\/t\.example\.org\/u\/[^<]+)<\/code>/.exec(body) ?? [];
    expect(body).toContain(qrSvg(url));
    const file = await author.get(link.replace('/manage', '/qr.svg'));
    expect(file).toMatchObject({ status: 200, body: qrSvg(url) });
    expect(file.headers).toMatchObject({
      'content-type': 'image/svg+xml',
      'content-disposition': expect.stringMatching(/^attachment; filename="link-\d+\.svg"$/),
    });
    expect((await author.get(`${link.replace('/manage', '/qr.svg')}?alias=qr-code`)).body).toBe(qrSvg('https://t.example.org/u/qr-code'));
    for (const query of ['alias=nope', 'alias=qr-code&alias=qr-code'])
      expect((await author.get(`${link.replace('/manage', '/qr.svg')}?${query}`)).status).toBe(404);
  });

  test('keeps its target if the new one is not a URL, and the form keeps what was typed', async () => {
    const { campaign, link, id } = await newLink();
    await fc.assert(
      fc.asyncProperty(badTarget, hostileText, async (target, label) => {
        const reason = /cannot be tracked|control character|longer than/;
        expect(expectMistake(await author.post(link, { do: 'target', target }), reason)).toContain(shown(target));
        const added = expectMistake(await author.post(`${campaign}/manage`, { do: 'add-link', target, label }), reason);
        expect(added).toContain(shown(target));
        expect(added).toContain(shown(label.toWellFormed()));
      }),
      runs(15),
    );
    const rows = await databases.query(
      'catalog',
      'SELECT v.target FROM catalog.link l JOIN catalog.link_version v ON v.link_id = l.id WHERE l.campaign_id = $1',
      [campaign.split('/')[2]],
    );
    expect(rows).toEqual([{ target: 'https://shop.example.org/a' }]);
    expect(await lastEntry()).toMatchObject({ action: 'link.create', status: 400 });
    expect(id).toBeGreaterThan(0);
  });

  test('has an alias only once, and only a readable one', async () => {
    const [one, other] = [await newLink(), await newLink()];
    expect((await author.post(one.link, { do: 'alias', alias: 'only-once' })).status).toBe(303);
    expect((await author.post(one.link, { do: 'alias', alias: 'only-once' })).status).toBe(303);
    expect(expectMistake(await author.post(other.link, { do: 'alias', alias: 'only-once' }), 'belongs to another link', 409)).toContain(
      shown('only-once'),
    );
    for (const alias of ['', 'nodash', '-a', 'a b-c', HOSTILE, `a-${'b'.repeat(70)}`])
      expect(expectMistake(await author.post(other.link, { do: 'alias', alias }), 'is not an alias')).toContain(shown(alias));
  });

  test('of another campaign, and a pixel, are not found', async () => {
    const [one, other] = [await newLink(), await newLink()];
    const id = Number(one.campaign.split('/')[2]);
    const [pixel] = await databases.query<{ id: number }>(
      'catalog',
      `INSERT INTO catalog.link (campaign_id, kind, original) VALUES ($1, 'pixel', '') RETURNING id::int`,
      [id],
    );
    for (const path of [
      `${one.campaign}/link/${other.id}/manage`,
      `${one.campaign}/link/${pixel?.id}/manage`,
      `${one.campaign}/link/999999/manage`,
    ]) {
      expect((await author.get(path)).status).toBe(404);
      expect((await author.post(path, { do: 'disable' })).status).toBe(404);
    }
    expect(expectPage(await author.get(`${one.campaign}/manage`))).toContain('Pixel');
    expect(
      (
        await databases.query('catalog', 'SELECT FROM catalog.link WHERE disabled_at IS NOT NULL AND id = ANY ($1)', [
          [other.id, pixel?.id],
        ])
      ).length,
    ).toBe(0);
  });

  test('whose campaign has a base URL that the settings do not have is shown, with what to do', async () => {
    const { campaign, link } = await newLink();
    await databases.query('catalog', `UPDATE catalog.campaign SET base_url = 'https://gone.example' WHERE id = $1`, [
      campaign.split('/')[2],
    ]);
    expect(expectPage(await author.get(link))).toContain('which is not in the settings');
    expect((await author.get(link.replace('/manage', '/qr.svg'))).status).toBe(503);
  });
});

describe('a recipient', () => {
  async function newPerson(): Promise<{ path: string; id: number; email: string }> {
    const email = `reader-${++number}@example.org`;
    const [row] = await databases.query<{ id: number }>(
      'catalog',
      'INSERT INTO catalog.recipient (email, external_id) VALUES ($1, $2) RETURNING id::int',
      [email, `x${number}`],
    );
    return { path: `/person/${row?.id}`, id: row?.id as number, email };
  }
  const read = async (id: number) =>
    (
      await databases.query<Record<string, unknown>>(
        'catalog',
        'SELECT email, external_id, opted_out_at, forgotten_at FROM catalog.recipient WHERE id = $1',
        [id],
      )
    )[0];

  test('opts out and in again', async () => {
    const { path, id } = await newPerson();
    expect(expectPage(await author.get(path))).toContain('Opt out of tracking');
    expect(await author.post(path, { do: 'opt-out' })).toMatchObject({ status: 303, location: path });
    expect(await read(id)).toMatchObject({ opted_out_at: expect.any(Date) });
    expect(await lastEntry()).toEqual({
      ...byAuthor,
      action: 'recipient.change',
      object: `recipient ${id}`,
      details: { fields: ['opted_out'] },
    });
    expect(expectPage(await author.get(path))).toContain('Opt in again');
    expect((await author.post(path, { do: 'opt-in' })).status).toBe(303);
    expect(await read(id)).toMatchObject({ opted_out_at: null });
    expect((await author.post(path, { do: 'nothing' })).status).toBe(400);
    expect((await author.post('/person/999999', { do: 'opt-out' })).status).toBe(404);
  });

  test('is forgotten only if the number is typed, and then the shards know it', async () => {
    const { path, id, email } = await newPerson();
    const page = expectPage(await author.get(`${path}/forget`));
    expect(page).toContain('This cannot be undone');
    for (const typed of ['', '0', `${id}0`, HOSTILE, 'a\0b'])
      expect(
        expectMistake(await author.post(`${path}/forget`, { do: 'forget', number: typed }), /Nothing is deleted|control character/),
      ).toContain(shown(typed));
    expect(await read(id)).toMatchObject({ email, forgotten_at: null });
    expect(await author.post(`${path}/forget`, { do: 'forget', number: ` ${id} ` })).toMatchObject({ status: 303, location: path });
    expect(await read(id)).toMatchObject({ email: null, external_id: null, forgotten_at: expect.any(Date) });
    expect(await lastEntry()).toEqual({ ...byAuthor, action: 'recipient.forget', object: `recipient ${id}`, details: {} });
    for (const { name } of databases.shards.list)
      expect(await databases.query(name, 'SELECT forgotten FROM shard.recipient WHERE recipient_id = $1', [id])).toEqual([
        { forgotten: true },
      ]);
    const after = expectPage(await author.get(path));
    expect(after).toContain('only the number is left');
    expect(after).not.toContain(`${path}/forget`);
    expect((await author.get(`${path}/forget`)).status).toBe(404);
  });

  test('is never in the log by address', async () => {
    const rows = await readAuditLog(owner, 10_000);
    expect(rows.length).toBeGreaterThan(20);
    expect(JSON.stringify(rows.map(({ action, object, details }) => [action, object, details]))).not.toContain('@');
  });
});

describe('the preview', () => {
  const LETTER = `<!DOCTYPE html>
<html><body>
<p><a href="https://shop.example.org/sale">Sale</a> <a href="mailto:us@example.org">Write</a> <a href="shop.example.org">Shop</a></p>
<p>Dear *|FNAME|*, <a href="https://shop.example.org/bye">Unsubscribe</a></p>
</body></html>`;

  async function upload(
    parts: Record<string, string | { name: string; bytes: string | Uint8Array<ArrayBuffer> }>,
    visitor = author,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const token = /name="form_token" value="([^"]+)"/.exec((await visitor.get('/preview')).body)?.[1];
    const form = new FormData();
    const all: typeof parts = { ...(token === undefined ? {} : { form_token: token }), ...parts };
    for (const [name, part] of Object.entries(all))
      if (typeof part === 'string') form.append(name, part);
      else form.append(name, new Blob([part.bytes]), part.name);
    const response = new Response(form);
    const cookie = Array.from(visitor.cookies, ([name, value]) => `${name}=${value}`).join('; ');
    const answer = await desk.app.inject({
      method: 'POST',
      url: '/preview',
      headers: {
        host: '127.0.0.1',
        origin: 'http://127.0.0.1',
        cookie,
        'content-type': response.headers.get('content-type') ?? '',
        ...headers,
      },
      payload: Buffer.from(await response.arrayBuffer()),
    });
    return { status: answer.statusCode, location: answer.headers.location, body: answer.body, headers: answer.headers, setCookies: [] };
  }
  const noFile = { html: { name: '', bytes: '' }, text: { name: '', bytes: '' } };
  const counts = async () =>
    databases.query(
      'catalog',
      'SELECT (SELECT count(*) FROM catalog.link) AS links, (SELECT count(*) FROM catalog.letter) AS letters, (SELECT count(*) FROM catalog.audit_log) AS log',
    );

  test('shows which links would be tracked, and stores nothing', async () => {
    const before = await counts();
    for (const parts of [
      { ...noFile, pasted: LETTER },
      { ...noFile, html: { name: 'letter.html', bytes: LETTER }, pasted: '' },
    ]) {
      const body = expectPage(await upload(parts));
      expect(body).toMatch(/would be tracked<\/span><b>1<\/b>.*would be kept<\/span><b>3<\/b>/s);
      expect(body).toContain('added in line 5 of the HTML');
      expect(body).toContain('kept: it is for unsubscribing');
      expect(body).toContain('html, line 3: shop.example.org');
      expect(body).toContain('html, line 4: *|FNAME|*');
    }
    expect(await counts()).toEqual(before);
  });

  test('reads a file in its charset, and a pasted letter whatever it declares', async () => {
    const letter = (bytes: string) => `<meta charset="windows-1251"><a href="https://shop.example.org/">${bytes}</a>`;
    const body = expectPage(
      await upload({
        ...noFile,
        html: { name: 'l.html', bytes: new Uint8Array(Buffer.from(letter('\xd1\xea\xe8\xe4\xea\xe8'), 'latin1')) },
      }),
    );
    expect(body).toContain('>Скидки</td>');
    expect(expectPage(await upload({ ...noFile, pasted: letter('Скидки') }))).toContain('>Скидки</td>');
  });

  test('takes a text part, also in place of the HTML', async () => {
    const text = { name: 'letter.txt', bytes: 'See https://shop.example.org/text' };
    expect(expectPage(await upload({ ...noFile, pasted: LETTER, text }))).toContain('https://shop.example.org/text');
    expect(expectPage(await upload({ ...noFile, html: text }))).toContain('There is no HTML part');
  });

  test.each<[string, Parameters<typeof upload>[0], RegExp]>([
    ['nothing', noFile, /The letter is missing/],
    ['two letters', { html: { name: 'a.html', bytes: LETTER }, pasted: LETTER }, /there twice/],
    ['a text as HTML', { pasted: 'Hello' }, /is plain text/],
    ['Markdown', { html: { name: 'a.md', bytes: '# x' } }, /clickledger prepare --dry-run/],
    ['an image', { html: { name: 'a.png', bytes: '\x89PNG' } }, /not a letter|binary|plain text/],
    ['an empty file', { html: { name: 'a.html', bytes: '' } }, /is empty/],
    ['HTML as text', { text: { name: 'a.txt', bytes: LETTER } }, /is HTML/],
    [
      'three files',
      { ...noFile, html: { name: 'a', bytes: 'x' }, text: { name: 'b', bytes: 'x' }, more: { name: 'c', bytes: 'x' } },
      /more than 2 files/,
    ],
    ['a whole message', { pasted: 'From: a@example.org\nSubject: x\n\n<p>x</p>' }, /whole message/],
  ])('refuses %s', async (name, parts, message) => {
    const answer = await upload(parts);
    // Such a form is refused before it is read.
    if (name === 'three files') expect(answer).toMatchObject({ status: 400, body: expect.stringMatching(message) });
    else expectMistake(answer, message);
  });

  test('any letter is shown or refused, and never becomes markup', async () => {
    await fc.assert(
      fc.asyncProperty(hostileText, hostileText, async (words, address) => {
        const pasted = `<p>${words}</p><a href="https://shop.example.org/${address.replaceAll('"', '')}">${words}</a></textarea><script>alert(1)</script>`;
        const answer = await upload({ ...noFile, pasted });
        expect([200, 400]).toContain(answer.status);
        expect(answer.body).not.toContain('<script>alert');
        expect(answer.body).not.toContain('<img');
      }),
      runs(30),
    );
  });

  test('a malformed form, one that is too long, and one of another type are refused', async () => {
    expect((await upload(noFile, author, { 'content-type': 'multipart/form-data; boundary=other' })).status).toBe(400);
    expect((await upload(noFile, author, { 'content-type': 'multipart/form-data' })).status).toBe(400);
    expectMistake(await upload({ pasted: 'x'.repeat(5 * 1024 * 1024) }), 'larger than 4 MB');
    expect((await author.post('/preview', { pasted: LETTER })).status).toBe(200);
    expect((await author.post('/preview', { filler: 'x'.repeat(100_000) })).status).toBe(400);
    expect((await author.post('/new-campaign', {}, { headers: { 'content-type': 'multipart/form-data; boundary=x' } })).status).toBe(400);
  });

  test('a form without its token, or of another origin, is refused', async () => {
    expect((await upload({ ...noFile, pasted: LETTER, form_token: 'x' })).status).toBe(403);
    expect((await upload({ ...noFile, pasted: LETTER }, author, { origin: 'https://evil.example' })).status).toBe(403);
  });
});

describe('who may change something', () => {
  test('an analyst neither sees nor may use the forms', async () => {
    const { campaign, link } = await newLink();
    const bodies = [await analyst.get('/'), await analyst.get(campaign), await analyst.get(link.replace('/manage', ''))].map(
      ({ body }) => body,
    );
    expect(bodies.join()).not.toMatch(/\/manage|new-campaign|\/preview/);
    for (const path of ['/new-campaign', `${campaign}/manage`, link, '/preview', link.replace('/manage', '/qr.svg')])
      expect((await analyst.get(path)).status).toBe(403);
    expect((await analyst.post(link, { do: 'disable' })).status).toBe(403);
  });

  /** A desk without accounts, on its own databases. */
  async function openDesk(settings?: Record<string, string>, host = '127.0.0.1') {
    const own = await createDatabases(1);
    if (settings !== undefined) return { own, visitor: visit(await deskForTest(own, settings, host)) };
    const pool = createPool(own.roleUrls.analyst, { max: 2, name: 'test' });
    const authorPool = createPool(own.roleUrls.author, { max: 2, name: 'test' });
    const app = createDesk({
      pool,
      host,
      timeoutSeconds: 9,
      zone: 'UTC',
      refreshSeconds: 10,
      onError: desk.onError,
      author: authorOptionsFor(own, authorPool),
    });
    app.addHook('onClose', async () => void (await Promise.all([pool.end(), authorPool.end()])));
    opened.push(app);
    return { own, visitor: visit({ app }) };
  }
  const opened: { close: () => Promise<unknown> }[] = [];
  afterEach(async () => void (await Promise.all(opened.splice(0).map((app) => app.close()))));

  test.each([
    ['accounts', {}],
    ['options of accounts', undefined],
  ])('without %s on loopback, everyone may, but no foreign page', async (_name, settings) => {
    const { own, visitor } = await openDesk(settings);
    expect(expectPage(await visitor.get('/'))).toContain('href="/new-campaign"');
    expect(expectPage(await visitor.get('/new-campaign'))).not.toContain('form_token');
    const create = (name: string, headers: Record<string, string | undefined> = {}) =>
      visitor.post('/new-campaign', { do: 'create', name }, { headers: headers as Record<string, string> });
    for (const headers of [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: undefined },
      { origin: undefined, 'sec-fetch-site': 'cross-site' },
    ]) {
      const answer = await create('foreign', headers);
      expect(answer.status).toBe(403);
      expect(answer.body).toContain('This form does not come from a page of the desk');
    }
    expect((await create('own')).status).toBe(303);
    expect(await own.query('catalog', 'SELECT name FROM catalog.campaign')).toEqual([{ name: 'own' }]);
    expect(await own.query('catalog', 'SELECT key_id, account_id, action, details, status FROM catalog.audit_log')).toEqual([
      { key_id: null, account_id: null, action: 'campaign.create', details: { by: 'desk', campaign: 1, created: true }, status: 303 },
    ]);
    expect((await visitor.get('/new-campaign')).headers['referrer-policy']).toBe('same-origin');
  });

  test.each([
    ['on an address that others can reach', { SIGN_IN: 'off' }, '0.0.0.0'],
    ['with a public DESK_URL', { SIGN_IN: 'off', DESK_URL: 'https://desk.example.org' }, '127.0.0.1'],
    ['without options of accounts', undefined, '0.0.0.0'],
  ])('without sign-in, nobody may %s', async (_name, settings, host) => {
    const { visitor } = await openDesk(settings as Record<string, string> | undefined, host);
    expect(expectPage(await visitor.get('/'))).not.toContain('/new-campaign');
    expect((await visitor.get('/new-campaign')).status).toBe(404);
    expect((await visitor.post('/new-campaign', { do: 'create', name: 'x' })).status).toBe(405);
  });

  test('the database that does not answer is told of', async () => {
    const down = createPool('postgres://x:y@127.0.0.1:1/x', { max: 1, name: 'test' });
    const pool = createPool(databases.roleUrls.analyst, { max: 1, name: 'test' });
    const app = createDesk({
      pool,
      host: '127.0.0.1',
      timeoutSeconds: 9,
      zone: 'UTC',
      refreshSeconds: 10,
      onError: desk.onError,
      author: authorOptionsFor(databases, down),
    });
    opened.push(app);
    const visitor = visit({ app });
    expect((await visitor.post('/new-campaign', { do: 'create', name: 'x' })).status).toBe(503);
    expect((await visitor.get('/campaign/1/manage')).status).toBe(503);
    await pool.end();
    await down.end();
  });
});
