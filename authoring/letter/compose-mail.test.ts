import fc from 'fast-check';
import PostalMime, { decodeWords } from 'postal-mime';
import { describe, expect, test } from 'vitest';
import { runs } from '../../test/support/runs.ts';
import { type Encoding, encode } from './encoding.ts';
import { composeMail, type Mail, mboxEntry } from './compose-mail.ts';

interface Letter extends Partial<Omit<Mail, 'html' | 'text'>> {
  html?: string;
  text?: string;
  encoding?: Encoding;
}

const compose = ({ html, text, encoding = 'utf-8', ...overrides }: Letter): Promise<Buffer> =>
  composeMail({
    from: 'News <news@shop.example>',
    to: 'ann@example.com',
    subject: 'Hello',
    headers: [],
    ...overrides,
    html: html === undefined ? undefined : { bytes: encode(html, encoding), encoding },
    text: text === undefined ? undefined : { bytes: encode(text, encoding), encoding },
  });

// Mail programs may change line ends and empty lines at the end of a text. The comparison ignores both.
const normal = (text: string | undefined): string | undefined => text?.replace(/\r\n?/g, '\n').replace(/\n+$/, '');

async function read(message: Buffer) {
  const mail = await PostalMime.parse(message);
  return { ...mail, html: normal(mail.html), text: normal(mail.text) };
}

/** Splits a message into its unfolded header lines and its body. */
function split(message: Buffer): { headers: string[]; body: string } {
  const text = message.toString('latin1');
  const end = text.indexOf('\r\n\r\n');
  return {
    headers: text
      .slice(0, end)
      .replaceAll(/\r\n[ \t]/g, ' ')
      .split('\r\n'),
    body: text.slice(end + 4),
  };
}

function expectWellFormed(message: Buffer): void {
  const text = message.toString('latin1');
  expect(/[^\x00-\x7f]/.test(text)).toBe(false);
  expect(/\r(?!\n)|(?<!\r)\n/.test(text)).toBe(false);
  const { body } = split(message);
  for (const line of text.split('\r\n')) expect(line.length).toBeLessThanOrEqual(998);
  for (const line of body.split('\r\n')) expect(line.length).toBeLessThanOrEqual(76);
}

const HTML = `<!doctype html><html><head><title>Größe</title></head><body>
<p>Grüße 🎉, =20 is no space, and ${'a long line '.repeat(100)}</p>
<a href="https://t.example.org/u/${'x'.repeat(300)}?a=b&amp;c=d">here</a>   \t
</body></html>`;
const TEXT = `Grüße 🎉\n\nFrom here on\n>From there\n.\n..\n.x\ntrailing spaces   \ntabs\t\n${'x'.repeat(2000)}\n=3D=\n-- \nend`;

describe('a message', () => {
  test('has both parts, the same as they were', async () => {
    const message = await compose({ html: HTML, text: TEXT });
    expectWellFormed(message);
    expect(await read(message)).toMatchObject({ html: HTML, text: TEXT, attachments: [] });
    // All parts are quoted-printable, so most of the text is readable in the raw message.
    for (const parts of [message, await compose({ html: 'x', text: 'ü'.repeat(500) })])
      expect(parts.toString('latin1').match(/^Content-Transfer-Encoding: .*(?=\r$)/gim)).toEqual([
        'Content-Transfer-Encoding: quoted-printable',
        'Content-Transfer-Encoding: quoted-printable',
      ]);
    expect(split(message).headers.join('\n')).toMatch(/^Content-Type: multipart\/alternative;/m);
    // Clients show the last alternative that they support, so the HTML is last.
    const { body } = split(message);
    expect(body.indexOf('text/plain')).toBeLessThan(body.indexOf('text/html'));
  });

  test('of HTML alone, of text alone', async () => {
    for (const part of [{ html: HTML }, { text: TEXT }]) {
      const message = await compose(part);
      expectWellFormed(message);
      const mail = await read(message);
      expect([mail.html, mail.text]).toEqual(['html' in part ? HTML : undefined, 'text' in part ? TEXT : undefined]);
      expect(split(message).headers.join('\n')).toMatch('html' in part ? /^Content-Type: text\/html/m : /^Content-Type: text\/plain/m);
    }
  });

  test('says who it is from and to, what it is about, and when', async () => {
    const mail = await read(
      await compose({ from: '"Müller, Söhne & Co" <news@shop.example>', to: 'ann@xn--mnchen-3ya.example', text: 'x' }),
    );
    expect(mail.from).toMatchObject({ name: 'Müller, Söhne & Co', address: 'news@shop.example' });
    expect(mail.to).toEqual([{ name: '', address: 'ann@xn--mnchen-3ya.example' }]);
    expect(mail.messageId).toMatch(/^<[^<>\s]+@shop\.example>$/);
    expect(Math.abs(Date.parse(mail.date ?? '') - Date.now())).toBeLessThan(60_000);
    const { headers } = split(await compose({ text: 'x' }));
    const names = headers.map((line) => line.slice(0, line.indexOf(':')).toLowerCase());
    expect(names).toEqual([...new Set(names)]);
    expect(headers).toContain('MIME-Version: 1.0');
  });

  test('a message of its own every time', async () => {
    const [one, two] = [await read(await compose({ text: 'x' })), await read(await compose({ text: 'x' }))];
    expect(one.messageId).not.toBe(two.messageId);
  });

  test.each([
    'Hello',
    'Größe für Jürgen',
    '🎉 Neu! 🎉',
    'He said "hello", <b>\\o/</b> & \'bye\'',
    `${'Ein sehr langer Betreff mit Umläuten '.repeat(10).trim()}`,
    `${'a long subject '.repeat(30).trim()}`,
    '文字'.repeat(60),
    '👩‍👩‍👧'.repeat(20),
    'two  spaces',
  ])('its subject is %j', async (subject) => {
    const message = await compose({ subject, text: 'x' });
    expectWellFormed(message);
    expect((await read(message)).subject).toBe(subject);
  });

  test('has further headers in their order, also twice the same', async () => {
    const headers = [
      { key: 'Reply-To', value: 'Ann <reply@shop.example>' },
      { key: 'X-One', value: 'Größe 🎉' },
      { key: 'X-Two', value: 'a'.repeat(50) },
      { key: 'X-One', value: 'again' },
      { key: 'List-Unsubscribe', value: `<https://shop.example/unsubscribe?${'x'.repeat(400)}>` },
      { key: 'List-Unsubscribe-Post', value: 'List-Unsubscribe=One-Click' },
    ];
    const message = await compose({ headers, text: 'x' });
    expectWellFormed(message);
    const mail = await read(message);
    expect(mail.replyTo).toMatchObject([{ name: 'Ann', address: 'reply@shop.example' }]);
    const own = mail.headers.filter(({ key }) => /^(?:x-|list-)/.test(key)).map(({ key, value }) => ({ key, value: decodeWords(value) }));
    expect(own.filter(({ key }) => key === 'x-one').map(({ value }) => value)).toEqual(['Größe 🎉', 'again']);
    expect(own.find(({ key }) => key === 'x-two')?.value).toBe('a'.repeat(50));
    expect(own.find(({ key }) => key === 'list-unsubscribe')?.value).toBe(`<https://shop.example/unsubscribe?${'x'.repeat(400)}>`);
    expect(own.find(({ key }) => key === 'list-unsubscribe-post')?.value).toBe('List-Unsubscribe=One-Click');
    const order = split(message)
      .headers.map((line) => line.slice(0, line.indexOf(':')).toLowerCase())
      .filter((name) => /^(?:x-|list-)/.test(name));
    expect(order).toEqual(['x-one', 'x-two', 'x-one', 'list-unsubscribe', 'list-unsubscribe-post']);
  });

  test('each part goes out in the encoding of the letter, byte for byte, and says so', async () => {
    const letter = { html: '<p>Größe: 5 € „x“</p>', text: 'Größe: 5 € „x“', encoding: 'windows-1252' } as const;
    const message = await compose(letter);
    expectWellFormed(message);
    expect(message.toString('latin1').match(/charset=("?)windows-1252\1/gi)).toHaveLength(2);
    expect(await read(message)).toMatchObject({ html: letter.html, text: letter.text });
  });

  test.each([
    ['windows-1251', 'Скидка «50 %»'],
    ['iso-8859-2', 'Zażółć gęślą jaźń'],
    ['koi8-r', 'Скидка'],
    ['gb18030', '打折 😀'],
    ['big5', '折扣'],
    ['euc-kr', '할인'],
    ['shift_jis', '割引ソ表示'],
    ['iso-2022-jp', '割引'],
    ['utf-16le', 'скидка 😀'],
  ])('is read back by a mail program, from a letter in %s', async (encoding, content) => {
    const bytes = encode(`<p>${content}</p>`, encoding);
    const message = await composeMail({
      from: 'news@shop.example',
      to: 'ann@example.com',
      subject: 'x',
      headers: [],
      html: { bytes, encoding },
      text: { bytes: encode(content, encoding), encoding },
    });
    expectWellFormed(message);
    expect(await read(message)).toMatchObject({ html: `<p>${content}</p>`, text: content });
  });

  test('each part is in its own encoding', async () => {
    const message = await composeMail({
      from: 'news@shop.example',
      to: 'ann@example.com',
      subject: 'x',
      headers: [],
      html: { bytes: Buffer.from('<p>Größe 🎉</p>'), encoding: 'utf-8' },
      text: { bytes: Buffer.from('Gr\xf6\xdfe', 'latin1'), encoding: 'windows-1252' },
    });
    expect(await read(message)).toMatchObject({ html: '<p>Größe 🎉</p>', text: 'Größe' });
  });

  test.each([
    'a\r\nb',
    'a\nb',
    'a\n\n\nb\n\n',
    '\n\nx',
    '   ',
    ' \n \n',
    'x\n',
    'a\r\n\r\n',
    '=',
    '=\n',
    'ä'.repeat(300),
    `${'x'.repeat(75)} \ny`,
    `${'x'.repeat(76)}\ny`,
    '\tx',
    'a\x00b',
  ])('a text of %j', async (text) => {
    const message = await compose({ text });
    expectWellFormed(message);
    expect((await read(message)).text).toBe(normal(text));
  });

  test('text that looks like a boundary or a header stays text', async () => {
    const text = '--\n----_NmP-1-Part_1--\nContent-Type: text/html\n\nSubject: x\n\n--x--\n';
    expect(await read(await compose({ html: `<pre>${text}</pre>`, text }))).toMatchObject({
      text: normal(text),
      html: `<pre>${text}</pre>`,
    });
  });

  test('a file or an address in a letter is text, and nothing is fetched', async () => {
    const html =
      '<img src="file:///etc/passwd"><img src="data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"><img src="/etc/passwd">';
    expect(await read(await compose({ html }))).toMatchObject({ html, attachments: [] });
  });
});

describe('values from a list', () => {
  const EVIL = [
    'x\r\nBcc: eve@example.com',
    'x\nBcc: eve@example.com',
    'x\rBcc: eve@example.com',
    'x\r\n\r\n<p>body</p>',
    'x\u2028Bcc: y',
    '\r\nBcc: eve@example.com',
    'ü\r\nBcc: eve@example.com',
    'x\r\n Bcc: folded',
  ];

  test.each(EVIL)('%j in a subject adds no header', async (subject) => {
    const message = await compose({ subject, text: 'the text' });
    expectWellFormed(message);
    const mail = await read(message);
    expect(mail.headers.filter(({ key }) => key === 'bcc')).toEqual([]);
    expect(mail.bcc).toBeUndefined();
    expect(mail.text).toBe('the text');
    expect(split(message).headers).toHaveLength(split(await compose({ text: 'the text' })).headers.length);
  });

  test.each(EVIL)('%j in a header adds none', async (value) => {
    const message = await compose({
      headers: [
        { key: 'X-Name', value },
        { key: 'Reply-To', value },
      ],
      text: 'the text',
    });
    const mail = await read(message);
    expect(mail.headers.map(({ key }) => key).filter((key) => key === 'bcc')).toEqual([]);
    expect(mail.headers.filter(({ key }) => key === 'x-name')).toHaveLength(1);
    expect(mail.text).toBe('the text');
    expect(split(message).headers.map((line) => line.split(':', 1)[0]?.toLowerCase())).not.toContain('bcc');
  });
});

const character = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom('a', 'b', ' ', '.', '\n', '=', '<', '-', '\r\n', 'From ', '\nFrom ', '>', '  \n', '\t') },
  { weight: 1, arbitrary: fc.constantFrom('ü', '€', '“', 'x'.repeat(90)) },
  { weight: 1, arbitrary: fc.constantFrom('🎉', '文', '\u2028', '\u00a0') },
);
// The brackets protect the white space at both ends, which some programs remove.
const body = fc.array(character, { minLength: 1, maxLength: 60 }).map((all) => `[${all.join('')}]`);

test('any letter is read back as it was', async () => {
  await fc.assert(
    fc.asyncProperty(fc.option(body), fc.option(body), fc.boolean(), async (html, text, latin1) => {
      const only = (part: string | null) => (part === null ? undefined : latin1 ? part.replaceAll(/[🎉文\u2028]/gu, '') : part);
      const parts = { html: only(html), text: only(text) };
      if (parts.html === undefined && parts.text === undefined) return;
      const message = await compose({
        ...(parts.html === undefined ? {} : { html: parts.html }),
        ...(parts.text === undefined ? {} : { text: parts.text }),
        encoding: latin1 ? 'windows-1252' : 'utf-8',
      });
      expectWellFormed(message);
      const mail = await read(message);
      expect([mail.html, mail.text]).toEqual([normal(parts.html), normal(parts.text)]);
    }),
    runs(300),
  );
});

describe('mbox', () => {
  const at = new Date('2026-03-01T08:05:09Z');

  /**
   * Splits an mbox file as mail programs do: at lines that begin with `From ` after an empty line or at the beginning. Removes one `>` of
   * the quoting.
   */
  function messagesOf(mbox: string): { from: string; message: string }[] {
    const messages: { from: string; lines: string[] }[] = [];
    let afterEmpty = true;
    for (const line of mbox.split('\n')) {
      if (afterEmpty && line.startsWith('From ')) messages.push({ from: line, lines: [] });
      else messages.at(-1)?.lines.push(line.replace(/^>(>*From )/, '$1'));
      afterEmpty = line === '';
    }
    // The empty line after each message belongs to the file and not to the message. After the last line end, split() returns one more empty
    // line.
    return messages.map(({ from, lines }, i) => ({ from, message: lines.slice(0, i === messages.length - 1 ? -2 : -1).join('\n') }));
  }

  const asInMbox = (message: Buffer): string => message.toString('latin1').replaceAll('\r\n', '\n').replace(/\n$/, '');

  test('begins with who sent it and when, and ends with an empty line', async () => {
    const message = await compose({ text: 'x' });
    for (const from of ['News <news@shop.example>', 'news@shop.example', '"A <b> c" <news@shop.example>', ' news@shop.example ']) {
      const [first] = mboxEntry(message, from, at).toString('latin1').split('\n', 1);
      expect(first).toMatch(/^From \S+ Sun Mar 01 08:05:09 2026$/);
    }
    const entry = mboxEntry(message, 'News <news@shop.example>', at).toString('latin1');
    expect(entry.split('\n', 1)[0]).toBe('From news@shop.example Sun Mar 01 08:05:09 2026');
    expect(entry).toMatch(/[^\n]\n\n$/);
    expect(entry).not.toContain('\r');
  });

  test('several messages come back one by one, whatever their lines begin with', async () => {
    const texts = [
      'From here on\n\nFrom there\n\n>From afar\n>>From far\n> From\nFrom\nFromage',
      '\n\nFrom eve@example.com Sun Mar  1 08:05:09 2026\nSubject: x\n\nx',
      'plain\n\n\n',
      '>From the beginning',
    ];
    const messages = await Promise.all(texts.map((text) => compose({ text, html: `<pre>\n${text}</pre>` })));
    const mbox = Buffer.concat(messages.map((message) => mboxEntry(message, 'news@shop.example', at))).toString('latin1');
    const found = messagesOf(mbox);
    expect(found.map(({ message }) => message)).toEqual(messages.map(asInMbox));
    for (const [i, { message }] of found.entries()) expect((await read(Buffer.from(message, 'latin1'))).text).toBe(normal(texts[i]));
  });

  test('any messages come back one by one', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(body, fc.boolean(), fc.boolean()), { minLength: 1, maxLength: 5 }), async (letters) => {
        const messages = await Promise.all(
          letters.map(([text, html, bare]) => compose(html ? { text, html: text } : { text: bare ? text.slice(1, -1) : text })),
        );
        const mbox = Buffer.concat(messages.map((message) => mboxEntry(message, 'news@shop.example', at))).toString('latin1');
        const found = messagesOf(mbox);
        expect(found).toHaveLength(messages.length);
        // Empty lines at the end of a message are not compared.
        const trimmed = (text: string) => text.replace(/\n+$/, '');
        expect(found.map(({ message }) => trimmed(message))).toEqual(messages.map(asInMbox).map(trimmed));
      }),
      runs(200),
    );
  });
});
