import { createServer } from 'node:net';
import { Readable } from 'node:stream';
import nodemailer from 'nodemailer';
import PostalMime from 'postal-mime';
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { createSlugCodec } from '../core/slug.ts';
import { authorSettings, BASE } from '../test/support/authors.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { trackMail, type TrackMailOptions } from './nodemailer.ts';
import { createTracker, type Tracker } from './tracker.ts';

// Tests the plugin with Nodemailer, by SMTP and with a transport that returns the message.

let databases: Databases;
let tracker: Tracker;

beforeAll(async () => {
  databases = await createDatabases(1);
  tracker = await createTracker({ settings: authorSettings(databases) });
  await tracker.campaign('news');
  await tracker.campaign('other');
  return () => tracker.close();
});

const MESSAGE = {
  from: 'Shop <news@shop.example>',
  to: 'Ann <ann@example.com>',
  subject: 'News',
  html: '<p><a href="https://shop.example/a?b=1&amp;c=2">a</a> <a href="{{unsubscribe}}">no more</a></p>',
  text: 'See https://shop.example/t or leave: {{unsubscribe}}',
};

/** Sends a message with the plugin, and returns it as a reader gets it. */
async function send(message: object, options: TrackMailOptions = { campaign: 'news' }) {
  const transport = nodemailer.createTransport({ streamTransport: true, buffer: true });
  transport.use('compile', trackMail(tracker, options));
  const { message: bytes } = (await transport.sendMail({ ...MESSAGE, ...message })) as unknown as { message: Buffer };
  return PostalMime.parse(bytes);
}

const idsOf = (url: string | undefined) => createSlugCodec(databases.keys).verify(new URL(url ?? '').pathname.slice(3).replace('.gif', ''));
const hrefs = (html: string | undefined): string[] =>
  Array.from((html ?? '').matchAll(/(?:href|src)="([^"]*)"/g), ([, url]) => url as string);

describe('a message', () => {
  test('gets tracked links, a pixel and the headers of RFC 8058, in both parts', async () => {
    const mail = await send({});
    const [link, unsubscribe, pixel] = hrefs(mail.html);
    expect(link).toMatch(new RegExp(`^${BASE}/u/`));
    expect(pixel).toMatch(new RegExp(`^${BASE}/r/.*\\.gif$`));
    expect(mail.text).toMatch(new RegExp(`^See ${BASE}/u/\\w+ or leave: ${BASE}/o/\\w+\\s*$`));
    const header = (key: string) => mail.headers.find((one) => one.key === key)?.value;
    expect(header('list-unsubscribe')).toBe(`<${unsubscribe}>`);
    expect(header('list-unsubscribe-post')).toBe('List-Unsubscribe=One-Click');
    const ids = [link, unsubscribe, pixel].map(idsOf);
    expect(new Set(ids.map((each) => (each.ok ? each.ids.recipient : 0))).size).toBe(1);
  });

  test('may have its parts as buffers and streams, attachments, and a campaign of its own', async () => {
    const mail = await send({
      html: Buffer.from(MESSAGE.html),
      text: Readable.from(['See https://shop.example/t']),
      attachments: [{ filename: 'a.txt', content: 'https://shop.example/attached' }],
      clickledger: { campaign: 'other' },
    });
    expect(hrefs(mail.html)[0]).toMatch(/\/u\//);
    expect(mail.text).toContain(`${BASE}/u/`);
    expect(new TextDecoder().decode(mail.attachments[0]?.content as ArrayBuffer)).toBe('https://shop.example/attached');
    const { rows } = {
      rows: await databases.query<{ n: number }>(
        'catalog',
        `SELECT count(*)::int AS n FROM catalog.link l JOIN catalog.campaign c ON c.id = l.campaign_id WHERE c.name = 'other' AND l.kind = 'url'`,
      ),
    };
    expect(rows).toEqual([{ n: 2 }]);
  });

  test('gets columns if it has them, and keeps other tags if not', async () => {
    const html = '<p>Dear {{name}}, <a href="https://shop.example/">shop</a> {{unsubscribe}}</p>';
    expect((await send({ html, text: undefined, clickledger: { columns: { name: '<Ann>' } } })).html).toContain('Dear &lt;Ann&gt;,');
    const kept = (await send({ html, text: undefined })).html;
    expect(kept).toContain('Dear {{name}},');
    expect(kept).toContain(`${BASE}/o/`);
  });

  test('keeps its own header for unsubscribing', async () => {
    for (const own of [
      { headers: { 'List-Unsubscribe': '<mailto:leave@shop.example>' } },
      { headers: [{ key: 'list-unsubscribe', value: '<mailto:leave@shop.example>' }] },
      { headers: { 'List-Unsubscribe ': '<mailto:leave@shop.example>' } },
      { list: { unsubscribe: 'leave@shop.example' } },
      { list: { Unsubscribe: 'leave@shop.example' } },
    ]) {
      const mail = await send(own);
      expect(mail.headers.filter(({ key }) => key.startsWith('list-unsubscribe'))).toMatchObject([
        { value: '<mailto:leave@shop.example>' },
      ]);
    }
  });

  test('keeps other headers, and a header without a value is none', async () => {
    const mail = await send({ headers: { key: 'X-Own', value: 'kept' }, list: { unsubscribe: null, help: 'help@shop.example' } });
    const names = mail.headers.map(({ key }) => key);
    expect(names.filter((name) => name.startsWith('list-unsubscribe'))).toEqual(['list-unsubscribe', 'list-unsubscribe-post']);
    expect(mail.headers).toContainEqual(expect.objectContaining({ key: 'x-own', value: 'kept' }));
    expect((await send({ headers: { 'List-Unsubscribe': null } })).headers.map(({ key }) => key)).toContain('list-unsubscribe');
  });

  test.each([null, '', undefined])('may have a part that is %j', async (missing) => {
    const onlyText = await send({ html: missing });
    expect(onlyText.html).toBeUndefined();
    expect(onlyText.text).toContain('/u/');
    const onlyHtml = await send({ text: missing });
    expect(onlyHtml.html).toContain('/u/');
  });

  test('with a number in its columns', async () => {
    expect(
      (await send({ html: '<p>{{n}} <a href="https://shop.example/">a</a></p>', text: null, clickledger: { columns: { n: 3 } } })).html,
    ).toContain('3 ');
  });

  test('is sent as it is without tracking, and without a body', async () => {
    expect((await send({ clickledger: { track: false } })).html).toContain('href="https://shop.example/a?b=1&amp;c=2"');
    expect((await send({ html: undefined, text: undefined })).subject).toBe('News');
  });

  test.each<[string, object, string, TrackMailOptions?]>([
    ['several recipients', { to: 'ann@example.com, bob@example.com' }, 'has 2'],
    ['a copy to another', { cc: [{ name: '', address: 'bob@example.com' }] }, 'has 2'],
    ['a copy to another in the envelope', { envelope: { from: 'a@shop.example', to: 'ann@example.com', cc: 'bob@example.com' } }, 'has 2'],
    ['a blind copy in the headers', { headers: { Bcc: 'bob@example.com' } }, 'has 2'],
    ['no recipient', { to: [] }, 'has 0'],
    ['a raw letter', { raw: 'To: ann@example.com' }, 'links in `raw`'],
    ['an AMP letter', { amp: '<html amp4email></html>' }, 'links in `amp`'],
    ['another HTML part', { alternatives: [{ contentType: 'text/html', content: '<p>' }] }, 'links in `alternatives`'],
    ['no campaign', {}, 'has no campaign', {}],
    ['an unknown campaign', { clickledger: { campaign: 'x' } }, "campaign 'x' does not exist"],
    ['an invalid address', { to: 'ann@' }, 'bad-address'],
  ])('with %s is refused', async (_, message, reason, options) => {
    await expect(send(message, options)).rejects.toThrow(reason);
  });

  test('to one person several times has one recipient', async () => {
    expect(
      (await send({ to: 'Ann@Example.com', cc: ['ann@example.com'], envelope: { from: 'a@shop.example', to: 'ann@example.com' } })).html,
    ).toContain('/u/');
  });

  test('to the envelope alone goes to its recipient', async () => {
    const mail = await send({ envelope: { from: 'a@shop.example', bcc: 'zoe@example.com' } });
    const ids = idsOf(hrefs(mail.html)[0]);
    const [zoe] = await databases.query<{ id: number }>('catalog', `SELECT id::int FROM catalog.recipient WHERE email = 'zoe@example.com'`);
    expect(ids.ok && ids.ids.recipient).toBe(zoe?.id);
  });

  test('is prepared again after a minute, so that a closed campaign and missing requests are noticed', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    onTestFinished(() => void vi.useRealTimers());
    let calls = 0;
    const counting = { prepare: (letter: Parameters<Tracker['prepare']>[0]) => (calls++, tracker.prepare(letter)) };
    const transport = nodemailer.createTransport({ streamTransport: true, buffer: true });
    transport.use('compile', trackMail(counting, { campaign: 'news' }));
    for (const [waitMs, expected] of [
      [0, 1],
      [59_000, 1],
      [2000, 2],
    ] as const) {
      vi.advanceTimersByTime(waitMs);
      await transport.sendMail(MESSAGE);
      expect(calls).toBe(expected);
    }
  });

  test('to a person who has unsubscribed is refused', async () => {
    const [person] = await databases.query<{ id: number }>(
      'catalog',
      `INSERT INTO catalog.recipient (email) VALUES ('gone@example.com') RETURNING id::int`,
    );
    await databases.query(
      'a',
      `INSERT INTO shard.unsubscribe (at, off, gen, rid, recipient_id, link_id, campaign_id) VALUES (now(), 0, gen_random_uuid(), gen_random_uuid(), $1, 1, 1)`,
      [person?.id],
    );
    await expect(send({ to: 'gone@example.com' })).rejects.toMatchObject({ code: 'conflict' });
  });

  test('goes out by SMTP', async () => {
    let received = '';
    const server = createServer((socket) => {
      let inData = false;
      socket.write('220 test\r\n');
      socket.on('data', (chunk) => {
        const text = chunk.toString('latin1');
        if (inData) received += text;
        if (inData && received.endsWith('\r\n.\r\n')) {
          inData = false;
          socket.write('250 ok\r\n');
        } else if (!inData) {
          inData = /^DATA/i.test(text);
          socket.write(inData ? '354 go\r\n' : /^QUIT/i.test(text) ? '221 bye\r\n' : '250 ok\r\n');
        }
      });
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    onTestFinished(() => void server.close());
    const transport = nodemailer.createTransport({
      host: '127.0.0.1',
      port: (server.address() as { port: number }).port,
      secure: false,
      ignoreTLS: true,
    });
    transport.use('compile', trackMail(tracker, { campaign: 'news' }));
    await transport.sendMail(MESSAGE);
    transport.close();
    expect((await PostalMime.parse(received)).html).toContain(`${BASE}/u/`);
  });
});
