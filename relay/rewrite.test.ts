import fc from 'fast-check';
import { encode as encodeQuotedPrintable, wrap } from 'nodemailer/lib/qp';
import { describe, expect, test } from 'vitest';
import { encode } from '../authoring/letter/encoding.ts';
import { compileTemplate, editsOf } from '../authoring/letter/template.ts';
import type { TextKind } from './message/classify.ts';
import { readMessage } from './message/read.ts';
import { createMessageSplitter } from './message/split.ts';
import { openBody, withoutSoftBreaks } from './message/transfer.ts';
import { planPart } from './plan-part.ts';
import { type PartOutcome, rewriteMessage } from './rewrite.ts';

// Rewrites messages of all kinds, undoes the rewriting, and compares the result with the original.

const BASE = 'https://t.example.org';
const PIXEL = `<img src="${BASE}/r/pixel.gif" width="1" height="1" alt="" style="border:0;width:1px;height:1px" />`;
const LIMITS = { headerBytes: 65_536, textBytes: 100_000 };

/** Tracks a part as the relay does. The slug of a URL is the URL itself in hexadecimal, so that it can be undone. */
function track(bytes: Buffer, is: TextKind) {
  const plan = planPart(bytes, is, { baseUrls: [BASE], exclude: ['kept.example'], pixel: 'bottom' });
  if (typeof plan === 'string') return plan;
  const links = plan.tracked.map(({ from, to }) => `${BASE}/u/${plan.slice(from, to).toString('hex')}`);
  return editsOf(compileTemplate(plan), { links, pixel: `${BASE}/r/pixel.gif`, column: () => '' });
}

async function rewrite(message: Buffer, sizes: readonly number[] = [message.length]) {
  async function* chunks() {
    for (let at = 0, i = 0; at < message.length; i++) {
      const size = Math.max(1, sizes[i % sizes.length] as number);
      yield message.subarray(at, at + size);
      at += size;
    }
  }
  const outcomes: PartOutcome[] = [];
  const output: Buffer[] = [];
  const incoming = await readMessage(chunks(), LIMITS);
  const change = { removed: ['x-clickledger-campaign'], added: ['List-Unsubscribe: <https://t.example.org/o/x>'] };
  for await (const bytes of rewriteMessage(
    incoming,
    change,
    async (part, is) => track(part, is),
    (outcome) => outcomes.push(outcome),
  ))
    output.push(bytes);
  return { bytes: Buffer.concat(output), outcomes };
}

/** Undoes the changes of a decoded part. */
const undo = (part: Buffer): Buffer =>
  Buffer.from(
    part
      .toString('latin1')
      .replace(PIXEL, '')
      .replace(/https:\/\/t\.example\.org\/u\/([0-9a-f]+)/g, (_, hex: string) => Buffer.from(hex, 'hex').toString('latin1')),
    'latin1',
  );

/** Returns all of a message that must not change: its bytes between text parts, and its text parts as they are decoded. */
function contentOf(message: Buffer, restore: (part: Buffer) => Buffer): string[] {
  const splitter = createMessageSplitter(LIMITS);
  return [...splitter.push(message), ...splitter.end()].flatMap((piece) => {
    const headerOf = (bytes: Buffer): string =>
      bytes.toString('latin1').replace(/^(?:X-Clickledger-Campaign|List-Unsubscribe|Content-Transfer-Encoding|MIME-Version):.*\r\n/gm, '');
    switch (piece.kind) {
      case 'message':
        return piece.isText ? [] : [headerOf(piece.header.bytes)];
      case 'bytes':
        return [piece.bytes.toString('latin1')];
      case 'text': {
        const opened = openBody(piece.body, piece.is.transfer);
        const text = opened && piece.is.delSp ? withoutSoftBreaks(opened) : opened;
        return [headerOf(piece.header.bytes), text ? restore(text.bytes).toString('latin1') : piece.body.toString('latin1')];
      }
      case 'large':
      case 'untouched':
        return [];
    }
  });
}

const withCrlf = (text: string): string => text.replace(/\r\n|\r|\n/g, '\r\n');

describe('with the rewriting undone, a message is the original', () => {
  const url = fc
    .tuple(
      fc.constantFrom('http', 'https'),
      fc.constantFrom('shop.example', 'news.example', 'kept.example'),
      fc.stringMatching(/^[a-z0-9/._-]{0,200}$/),
    )
    .map(([scheme, host, path]) => `${scheme}://${host}/${path}x`);
  const words = fc.constantFrom(
    'Hello',
    'Grüße',
    'a = b',
    'trailing ',
    '.',
    '..',
    'From here',
    '=C3=BC',
    '日本語',
    'naïve',
    '-- ',
    'x'.repeat(90),
  );
  const html = fc
    .array(
      fc.oneof(
        words,
        url.map((address) => `<a href="${address}">link</a>`),
        fc.constant('<p>'),
        fc.constant('\r\n'),
        fc.constant('<br>'),
      ),
      {
        maxLength: 20,
      },
    )
    .map((bits) => `<html><body>${bits.join(' ')}</body></html>\r\n`);
  const plain = fc.array(fc.oneof(words, url, fc.constant('\r\n')), { maxLength: 20 }).map((bits) => `${bits.join(' ')}\r\n`);
  const text = fc.oneof(
    html.map((content) => ({ subtype: 'html', content })),
    plain.map((content) => ({ subtype: 'plain', content })),
  );
  const leaf = fc
    .tuple(
      text,
      fc.constantFrom('utf-8', 'iso-8859-1', 'windows-1252', 'shift_jis', 'iso-2022-jp', 'koi8-r', undefined),
      fc.constantFrom('7bit', '8bit', 'quoted-printable', 'base64', undefined),
    )
    .map(([{ subtype, content }, charset, transfer]) => {
      const bytes = encode(content, charset ?? 'utf-8', () => '?');
      const body =
        transfer === 'quoted-printable'
          ? wrap(encodeQuotedPrintable(bytes), 76)
          : transfer === 'base64'
            ? (bytes.toString('base64').match(/.{1,76}/g) ?? []).join('\r\n')
            : bytes.toString('latin1');
      return [
        `Content-Type: text/${subtype}${charset === undefined ? '' : `; charset="${charset}"`}`,
        ...(transfer === undefined ? [] : [`Content-Transfer-Encoding: ${transfer}`]),
        '',
        body,
      ].join('\r\n');
    });
  const attachment = fc.uint8Array({ maxLength: 300 }).map((bytes) => {
    const content = (
      Buffer.from(bytes)
        .toString('base64')
        .match(/.{1,76}/g) ?? []
    ).join('\r\n');
    return `Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment\r\n\r\n${content}`;
  });
  const part = fc.letrec<{ part: string }>((tie) => ({
    part: fc.oneof(
      { depthSize: 'small' },
      leaf,
      attachment,
      fc
        .tuple(
          fc.constantFrom('mixed', 'alternative', 'related', 'signed'),
          fc.array(tie('part'), { minLength: 1, maxLength: 3 }),
          fc.uuid(),
        )
        .map(
          ([subtype, parts, boundary]) =>
            `Content-Type: multipart/${subtype}; boundary="${boundary}"\r\n\r\n${parts.map((each) => `--${boundary}\r\n${each}\r\n`).join('')}--${boundary}--\r\n`,
        ),
    ),
  })).part;

  test('whatever its parts, charsets and encodings are', async () => {
    const property = fc.asyncProperty(
      part,
      fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 4 }),
      async (content, sizes) => {
        const message = Buffer.from(`From: a@shop.example\r\nX-Clickledger-Campaign: news\r\nSubject: x\r\n${content}`, 'latin1');
        const { bytes, outcomes } = await rewrite(message, sizes);
        expect(contentOf(bytes, undo)).toEqual(contentOf(message, (unchanged) => unchanged));
        const tracked = outcomes.filter((outcome) => outcome === 'changed').length;
        expect(tracked > 0).toBe(/t\.example\.org\/[ur]\//.test(contentOf(bytes, (unchanged) => unchanged).join('')));
      },
    );
    await fc.assert(property, { numRuns: 1500 });
  });

  test('and the lines that changed are not longer than mail servers allow', async () => {
    const property = fc.asyncProperty(leaf, async (content) => {
      const message = Buffer.from(content, 'latin1');
      const longest = (bytes: Buffer): number =>
        Math.max(
          ...bytes
            .toString('latin1')
            .split('\r\n')
            .map((line) => line.length),
        );
      const { bytes } = await rewrite(message);
      expect(longest(bytes)).toBeLessThanOrEqual(Math.max(998, longest(message)));
    });
    await fc.assert(property, { numRuns: 500 });
  });
});

/** A corpus of odd messages: the text after the rewriting, with `T` for a tracked URL, or the outcomes of its parts. */
const A = '<a href="https://shop.example/a">a</a>';
const TRACKED = '<a href="T">a</a>P';
const CORPUS: readonly { name: string; message: string; expected?: string; outcomes: PartOutcome[] }[] = [
  { name: 'no header field at all', message: '\r\nsee https://shop.example/a', expected: 'see T', outcomes: ['changed'] },
  { name: 'no Content-Type', message: 'Subject: x\r\n\r\nsee https://shop.example/a\r\n', expected: 'see T', outcomes: ['changed'] },
  {
    name: '8-bit header fields',
    message: 'Subject: Gr\xfc\xdfe\r\nContent-Type: text/html\r\n\r\n' + A,
    expected: TRACKED,
    outcomes: ['changed'],
  },
  {
    name: 'a folded Content-Type',
    message: `Content-Type:\r\n text/html;\r\n\tcharset="utf-8"\r\n\r\n${A}`,
    expected: TRACKED,
    outcomes: ['changed'],
  },
  {
    name: 'comments in Content-Type',
    message: `Content-Type: text/html (a page); charset=utf-8 (Unicode)\r\n\r\n${A}`,
    expected: TRACKED,
    outcomes: ['changed'],
  },
  {
    name: 'upper case',
    message: `CONTENT-TYPE: TEXT/HTML; CHARSET=UTF-8\r\nCONTENT-TRANSFER-ENCODING: 8BIT\r\n\r\n${A}`,
    expected: TRACKED,
    outcomes: ['changed'],
  },
  { name: 'bare line feeds', message: `Subject: x\nContent-Type: text/html\n\n\r${A}`, expected: TRACKED, outcomes: ['changed'] },
  {
    name: 'a text that begins like a message',
    message: 'Subject: x\r\n\r\nFrom: a@b.example\r\nTo: c@d.example\r\n\r\nsee https://shop.example/a',
    expected: 'From: a@b.example\r\nTo: c@d.example\r\n\r\nsee T',
    outcomes: ['changed'],
  },
  {
    name: 'a text that was tracked before',
    message: `Content-Type: text/html\r\n\r\n<a href="${BASE}/u/old">a</a><img src="${BASE}/r/old.gif">`,
    outcomes: ['unchanged'],
  },
  {
    name: 'an address with bytes that are not valid',
    message: 'Content-Type: text/html; charset=utf-8\r\n\r\n<a href="https://shop.example/\xff">a</a>',
    outcomes: ['unreadable'],
  },
  {
    name: 'an unknown transfer encoding',
    message: `Content-Type: text/html\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\n${A}`,
    outcomes: ['encoding'],
  },
  {
    name: 'a text signed with PGP',
    message: 'Subject: x\r\n\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\nhttps://shop.example/a\r\n',
    outcomes: ['pgp'],
  },
  {
    name: 'a multipart of an unknown kind',
    message: `Content-Type: multipart/constructor; boundary=s\r\n\r\n--s\r\nContent-Type: text/html\r\n\r\n${A}\r\n--s--\r\n`,
    outcomes: ['changed'],
  },
  {
    name: 'a text in ISO-2022-JP that ends in kanji',
    message: 'Content-Type: text/html; charset=iso-2022-jp\r\n\r\n<a href="https://shop.example/a">a</a>\x1b$B$"',
    expected: '<a href="T">a</a>\x1b$B$"',
    outcomes: ['changed'],
  },
  {
    name: 'a part of a signed message',
    message: `Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\nContent-Type: text/html\r\n\r\n${A}\r\n--s--\r\n`,
    outcomes: ['signed'],
  },
  {
    name: 'an invitation',
    message: `Content-Type: multipart/alternative; boundary=s\r\n\r\n--s\r\nContent-Type: text/html\r\n\r\n${A}\r\n--s\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\nURL:https://shop.example/a\r\n--s--\r\n`,
    outcomes: ['changed', 'calendar'],
  },
  {
    name: 'a forwarded message',
    message: `Content-Type: multipart/mixed; boundary=s\r\n\r\n--s\r\n\r\nhello\r\n--s\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: text/html\r\n\r\n${A}\r\n--s--\r\n`,
    outcomes: ['unchanged', 'attached-message'],
  },
];

test.each(CORPUS)('$name', async ({ message, expected, outcomes }) => {
  const bytes = Buffer.from(message, 'latin1');
  const result = await rewrite(bytes, [13]);
  expect(result.outcomes).toEqual(outcomes);
  const text = result.bytes
    .toString('latin1')
    .replace(PIXEL, 'P')
    .replace(/https:\/\/t\.example\.org\/u\/[0-9a-f]+(?!\w)/g, 'T');
  if (expected === undefined) {
    if (!outcomes.includes('changed')) expect(contentOf(result.bytes, (part) => part)).toEqual(contentOf(bytes, (part) => part));
  } else expect(text.slice(text.indexOf('\r\n\r\n') + 4).trim()).toBe(expected);
  expect(contentOf(result.bytes, undo)).toEqual(contentOf(Buffer.from(withCrlf(message), 'latin1'), (part) => part));
});

test('a URL in a flowed text with DelSp may be over two lines', async () => {
  const message = Buffer.from(
    'Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\nSee https://shop.exa \r\nmple/offer and \r\nmore.\r\n',
  );
  const { bytes } = await rewrite(message);
  const expected = `${BASE}/u/${Buffer.from('https://shop.example/offer').toString('hex')}`;
  expect(bytes.toString()).toContain(`See ${expected} and \r\nmore.\r\n`);
});

test('a line that becomes too long makes its part quoted-printable', async () => {
  const links = Array.from({ length: 60 }, (_, i) => `<a href="http://s.ee/${i}">x</a>`)
    .join('')
    .slice(0, 980);
  const message = Buffer.from(`Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n${links}\r\n`);
  const { bytes } = await rewrite(message);
  expect(bytes.toString()).toMatch(/^Content-Transfer-Encoding: quoted-printable\r\n/m);
  expect(bytes.toString()).not.toContain('7bit');
  expect(contentOf(bytes, undo)).toEqual(contentOf(message, (part) => part));
});

test('a text part that is too large passes, and the header changes', async () => {
  const message = Buffer.from(`Content-Type: text/html\r\nX-Clickledger-Campaign: news\r\n\r\n${`${A}\r\n`.repeat(4000)}`);
  const { bytes, outcomes } = await rewrite(message, [8192]);
  expect(outcomes).toEqual(['too-large']);
  expect(bytes.toString()).toBe(
    message.toString().replace('X-Clickledger-Campaign: news\r\n', 'List-Unsubscribe: <https://t.example.org/o/x>\r\n'),
  );
});
