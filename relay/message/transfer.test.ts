import fc from 'fast-check';
import { encode as encodeQuotedPrintable, wrap } from 'nodemailer/lib/qp';
import { describe, expect, test } from 'vitest';
import type { Edit } from '../../authoring/letter/template.ts';
import { expectLinear } from '../../test/support/linear.ts';
import { type Body, hasTooLongLine, openBody as tryToOpen, toQuotedPrintable, withoutSoftBreaks } from './transfer.ts';

const openBody = (encoded: Buffer, transfer: Parameters<typeof tryToOpen>[1]): Body => tryToOpen(encoded, transfer) as Body;

/** Generates bytes and changes of them. */
const changed = fc
  .tuple(
    fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 400 }).map((text) => Buffer.from(text.replace(/[\r\n]/g, ''))),
      fc.array(fc.stringMatching(/^[ -~äß=.]{0,120}$/), { maxLength: 8 }).map((lines) => Buffer.from(lines.join('\r\n'))),
      fc
        .uint8Array({ maxLength: 200 })
        .map((bytes) => Buffer.from(bytes).filter((byte) => byte !== 10 && byte !== 13) as unknown as Buffer),
    ),
    fc.array(fc.tuple(fc.nat(), fc.nat({ max: 30 }), fc.stringMatching(/^[!-~=]{0,120}$/)), { maxLength: 4 }),
  )
  .map(([content, wishes]) => {
    const bytes = Buffer.from(content);
    return { bytes, edits: editsOf(bytes, wishes) };
  });

function editsOf(bytes: Buffer, wishes: readonly [at: number, length: number, text: string][]): Edit[] {
  const edits: Edit[] = [];
  for (const [at, length, text] of wishes.toSorted((a, b) => (a[0] % (bytes.length + 1)) - (b[0] % (bytes.length + 1)))) {
    const from = at % (bytes.length + 1);
    if (from < (edits.at(-1)?.to ?? 0) || bytes[from] === 10) continue;
    // A URL has no line break, so neither has what is replaced.
    let to = from;
    while (to < Math.min(bytes.length, from + length) && bytes[to] !== 13 && bytes[to] !== 10) to++;
    edits.push({ from, to, bytes: Buffer.from(text) });
  }
  return edits;
}

function spliced(bytes: Buffer, edits: readonly Edit[]): Buffer {
  let at = 0;
  const pieces = edits.flatMap(({ from, to, bytes: replacement }) => {
    const piece = [bytes.subarray(at, from), replacement];
    at = to;
    return piece;
  });
  return Buffer.concat([...pieces, bytes.subarray(at)]);
}

const longestLine = (bytes: Buffer): number =>
  Math.max(
    ...bytes
      .toString('latin1')
      .split('\r\n')
      .map((line) => line.length),
  );

describe('quoted-printable', () => {
  /** Encodes as programs do, with soft line breaks. */
  const encode = (bytes: Buffer): Buffer => Buffer.from(wrap(encodeQuotedPrintable(bytes), 76));

  test('decodes what a library encodes, also what the library decodes differently in the middle of lines', () => {
    const decodes = fc.property(changed, ({ bytes }) => {
      expect(openBody(encode(bytes), 'quoted-printable').bytes).toEqual(bytes);
    });
    fc.assert(decodes, { numRuns: 1000 });
  });

  test('has the changes after decoding, and no line above 76 characters', () => {
    fc.assert(
      fc.property(changed, ({ bytes, edits }) => {
        const encoded = openBody(encode(bytes), 'quoted-printable').apply(edits);
        expect(openBody(encoded, 'quoted-printable').bytes).toEqual(spliced(bytes, edits));
        expect(longestLine(encoded)).toBeLessThanOrEqual(76);
      }),
      { numRuns: 3000 },
    );
  });

  test('keeps every line that has no change byte for byte', () => {
    const lines = ['odd =3d escape', 'trailing space   ', 'a=', '=C3=BCber', 'lone = sign', 'soft=  '];
    const encoded = Buffer.from([...lines, 'https://a.example/', ...lines].join('\r\n'));
    const body = openBody(encoded, 'quoted-printable');
    const from = body.bytes.indexOf('https://');
    const result = body.apply([{ from, to: from + 18, bytes: Buffer.from('https://t.example.org/u/x') }]).toString();
    expect(result).toBe([...lines.slice(0, 5), 'soft=  ', 'https://t.example.org/u/x', ...lines].join('\r\n'));
  });

  test.each([
    ['a soft line break inside a URL', 'see https://a.exa=\r\nmple/ now', 'see https://t.x/ now'],
    ['an escape at its end', 'see https://a.example=2F now', 'see https://t.x/ now'],
    ['the line break after it', 'see https://a.example/=\r\n now', 'see https://t.x/=\r\n now'],
  ])('replaces a URL with %s', (_name, encoded, expected) => {
    const body = openBody(Buffer.from(encoded), 'quoted-printable');
    const text = body.bytes.toString();
    const url = /https:\S+/.exec(text)?.[0] ?? '';
    const from = text.indexOf(url);
    expect(body.apply([{ from, to: from + url.length, bytes: Buffer.from('https://t.x/') }]).toString()).toBe(expected);
  });

  /** What programs and servers on the way make of it: escapes that are none, spaces at the end of lines, soft line breaks anywhere. */
  const anyEncoded = fc
    .array(fc.constantFrom('=', '=\r\n', '= \r\n', '=3', '=3D', '=3d', ' ', '\t', '\r\n', 'a', 'A4', '\xff', 'x'.repeat(70)), {
      maxLength: 40,
    })
    .map((pieces) => Buffer.from(pieces.join(''), 'latin1'));

  test('any bytes are read without an error, and stay if nothing changes', () => {
    fc.assert(
      fc.property(anyEncoded, (encoded) => {
        expect(openBody(encoded, 'quoted-printable').apply([])).toEqual(encoded);
      }),
    );
  });

  test('any bytes have the changes after decoding, whatever is next to a change', () => {
    const wishes = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 30 }), fc.stringMatching(/^[ -~]{0,120}$/)), { maxLength: 4 });
    const decodes = fc.property(anyEncoded, wishes, (encoded, some) => {
      const body = openBody(encoded, 'quoted-printable');
      const edits = editsOf(body.bytes, some);
      expect(openBody(body.apply(edits), 'quoted-printable').bytes).toEqual(spliced(body.bytes, edits));
    });
    fc.assert(decodes, { numRuns: 3000 });
  });
});

describe('base64', () => {
  test.each([76, 64, 60])('has the changes after decoding, with lines of %d characters as before', (width) => {
    fc.assert(
      fc.property(changed, ({ bytes, edits }) => {
        const encode = (content: Buffer): string => (content.toString('base64').match(new RegExp(`.{1,${width}}`, 'g')) ?? []).join('\r\n');
        const body = openBody(Buffer.from(`${encode(bytes)}\r\n`), 'base64');
        expect(body.bytes).toEqual(bytes);
        const result = body.apply(edits).toString();
        expect(Buffer.from(result, 'base64')).toEqual(spliced(bytes, edits));
        if (bytes.toString('base64').length > width) expect(result).toBe(`${encode(spliced(bytes, edits))}\r\n`);
      }),
    );
  });
});

test.each([
  ['padding in the middle', `${Buffer.from('one two').toString('base64')}\r\n${Buffer.from('and the rest').toString('base64')}\r\n`],
  ['a footer in plain text', `${Buffer.from('one two').toString('base64')}\r\n-- \r\nTo unsubscribe, write to us\r\n`],
])('base64 with %s is not opened, because a change would lose text', (_name, encoded) => {
  expect(tryToOpen(Buffer.from(encoded), 'base64')).toBeUndefined();
});

test.each<[string, 'quoted-printable' | 'base64', (size: number) => string]>([
  ['spaces', 'quoted-printable', (size) => `${' '.repeat(size)}x`],
  ['spaces after an equals sign', 'quoted-printable', (size) => `=${' '.repeat(size)}x`],
  ['empty lines', 'base64', (size) => `${'\r\n'.repeat(size)}QUJD`],
])('%s in %s take linear time', (_name, transfer, make) => {
  const apply = (encoded: Buffer): void => void openBody(encoded, transfer).apply([{ from: 0, to: 1, bytes: Buffer.from('x') }]);
  expectLinear(20_000, (size) => Buffer.from(make(size)), apply);
});

test('soft line breaks with many changes take linear time', () => {
  expectLinear(
    2000,
    (size) => Buffer.from('a \r\nb'.repeat(size)),
    (bytes) => {
      const body = withoutSoftBreaks(openBody(bytes, 'identity'));
      body.apply(Array.from({ length: body.bytes.length >> 1 }, (_, i) => ({ from: 2 * i, to: 2 * i + 1, bytes: Buffer.from('c') })));
    },
  );
});

describe('text without an encoding', () => {
  test('has the changes, and nothing else', () => {
    const splices = fc.property(changed, ({ bytes, edits }) => {
      expect(openBody(bytes, 'identity').apply(edits)).toEqual(spliced(bytes, edits));
    });
    fc.assert(splices);
  });

  test('a line above 998 bytes is found, and quoted-printable makes it shorter', () => {
    const long = Buffer.from(`short\r\n${'x'.repeat(999)}\r\nü`);
    expect(hasTooLongLine(long)).toBe(true);
    expect(hasTooLongLine(Buffer.from(`${'x'.repeat(998)}\r\n`))).toBe(false);
    const encoded = toQuotedPrintable(long);
    expect(longestLine(encoded)).toBeLessThanOrEqual(76);
    expect(openBody(encoded, 'quoted-printable').bytes).toEqual(long);
  });
});

describe('format=flowed with DelSp', () => {
  test.each([
    [
      'a URL over two lines',
      'See https://shop.exa \r\nmple/offer for more.',
      'See https://shop.example/offer for more.',
      'https://shop.example/offer',
    ],
    ['a stuffed line', 'See https://shop.exa \r\n mple/offer.', 'See https://shop.example/offer.', 'https://shop.example/offer'],
    ['a break before it', 'See this: \r\nhttps://shop.example/offer', 'See this:https://shop.example/offer', 'https://shop.example/offer'],
    ['a break after it', 'https://shop.example/offer  \r\nis good', 'https://shop.example/offer is good', 'https://shop.example/offer'],
  ])('%s is one URL', (_name, encoded, unfolded, url) => {
    const body = withoutSoftBreaks(openBody(Buffer.from(encoded), 'identity'));
    expect(body.bytes.toString()).toBe(unfolded);
    const from = unfolded.indexOf(url);
    const result = body.apply([{ from, to: from + url.length, bytes: Buffer.from('URL') }]);
    expect(withoutSoftBreaks(openBody(result, 'identity')).bytes.toString()).toBe(unfolded.replace(url, 'URL'));
  });

  test('signatures and quoted text keep their line breaks', () => {
    const text = 'a\r\n-- \r\nAnn \r\n> quoted \r\n> text \r\nend';
    expect(withoutSoftBreaks(openBody(Buffer.from(text), 'identity')).bytes.toString()).toBe(
      'a\r\n-- \r\nAnn \r\n> quoted \r\n> text \r\nend',
    );
  });
});
