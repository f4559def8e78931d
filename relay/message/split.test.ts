import fc from 'fast-check';
import { expect, test } from 'vitest';
import { expectLinear } from '../../test/support/linear.ts';
import { createLineEnds } from './line-ends.ts';
import { createMessageSplitter, type Piece } from './split.ts';

const LIMITS = { headerBytes: 4096, textBytes: 2000 };

/** Splits a message that arrives in chunks of these sizes. */
function split(message: string, sizes: readonly number[] = [message.length], limits = LIMITS): Piece[] {
  const splitter = createMessageSplitter(limits);
  const bytes = Buffer.from(message, 'latin1');
  const pieces: Piece[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = Math.max(1, sizes[i % sizes.length] as number);
    pieces.push(...splitter.push(bytes.subarray(at, at + size)));
    at += size;
  }
  return [...pieces, ...splitter.end()];
}

/** Puts the pieces together again. */
const join = (pieces: readonly Piece[]): string =>
  pieces
    .map((piece) => {
      switch (piece.kind) {
        case 'message':
          return piece.isText ? '' : piece.header.bytes.toString('latin1');
        case 'bytes':
          return piece.bytes.toString('latin1');
        case 'text':
          return piece.header.bytes.toString('latin1') + piece.body.toString('latin1');
        case 'large':
          return piece.header.bytes.toString('latin1');
        case 'untouched':
          return '';
      }
    })
    .join('');

const textsOf = (pieces: readonly Piece[]): string[] =>
  pieces.flatMap((piece) => (piece.kind === 'text' ? [`${piece.is.subtype}:${piece.body.toString('latin1')}`] : []));
const reasonsOf = (pieces: readonly Piece[]): string[] => pieces.flatMap((piece) => (piece.kind === 'untouched' ? [piece.reason] : []));

/** A MIME part of a model, and the texts that the splitter must find in it. */
interface Model {
  message: string;
  texts: string[];
}

const word = fc.stringMatching(/^[a-z]{1,8}$/);
const line = fc.oneof(
  fc.stringMatching(/^[ -~]{0,90}$/),
  fc.constantFrom('', '--', '--b', '--b1', '--b1--x', '-', '.', '..', 'Content-Type: text/html', ' --b1'),
);
const body = fc.array(line, { maxLength: 6 }).map((lines) => lines.join('\r\n'));

const leaf: fc.Arbitrary<Model> = fc.oneof(
  fc.tuple(fc.constantFrom('html', 'plain'), body).map(([subtype, text]) => ({
    message: `Content-Type: text/${subtype}; charset=utf-8\r\n\r\n${text}`,
    texts: [`${subtype}:${text}`],
  })),
  body.map((text) => ({ message: `\r\n${text}`, texts: [`plain:${text}`] })),
  body.map((text) => ({ message: `Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n${text}`, texts: [] })),
  body.map((text) => ({ message: `Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\n${text}`, texts: [] })),
);

/** Generates trees of parts. The boundaries of a tree differ, and some begin like others. */
const tree: fc.Arbitrary<Model> = fc.letrec<{ part: Model }>((tie) => ({
  part: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc
      .tuple(word, fc.array(tie('part'), { minLength: 1, maxLength: 4 }), body, body, fc.boolean(), fc.boolean())
      .map(([name, parts, preamble, epilogue, isClosed, hasSpaces]) => {
        const boundary = `b1${name}${parts.map(({ message }) => message.length).join('-')}`;
        const end = hasSpaces ? ' \t' : '';
        return {
          message: [
            `Content-Type: multipart/mixed; boundary="${boundary}"\r\n\r\n${preamble}`,
            ...parts.map(({ message }) => `--${boundary}${end}\r\n${message}`),
            ...(isClosed ? [`--${boundary}--${end}\r\n${epilogue}`] : []),
          ].join('\r\n'),
          texts: parts.flatMap(({ texts }) => texts),
        };
      }),
  ),
})).part;

const isUnambiguous = ({ message }: Model): boolean => {
  const boundaries = Array.from(message.matchAll(/boundary="([^"]*)"/g), ([, boundary]) => boundary);
  return new Set(boundaries).size === boundaries.length;
};

test('whatever the chunks are, the texts are found, and the pieces are the bytes of the message', () => {
  fc.assert(
    fc.property(tree.filter(isUnambiguous), fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 5 }), (model, sizes) => {
      const message = `Subject: test\r\n${model.message}`;
      const pieces = split(message, sizes, { headerBytes: 4096, textBytes: 100_000 });
      expect(join(pieces)).toBe(message);
      expect(textsOf(pieces)).toEqual(textsOf(split(message, [message.length], { headerBytes: 4096, textBytes: 100_000 })));
      // A model without an empty line before its text has no header, so only the bytes are compared.
      if (!model.message.startsWith('\r\n')) expect(textsOf(pieces)).toEqual(model.texts);
    }),
    { numRuns: 2000 },
  );
});

test('a boundary in the middle of a line is text, whatever the chunks are', () => {
  const text = 'one--b\r\ntwo --b--\r\nthree';
  const message = `Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n${text}\r\n--b--\r\n`;
  for (let size = 1; size <= message.length; size++) expect(textsOf(split(message, [size]))).toEqual([`plain:${text}`]);
});

test('any bytes pass unchanged', () => {
  const bits = fc.constantFrom(
    '\r\n',
    '--b',
    '--b--',
    'Content-Type: multipart/mixed; boundary=b',
    'Content-Type: text/html',
    'x',
    '-',
    '\r\n\r\n',
    ': ',
  );
  fc.assert(
    fc.property(fc.array(bits, { maxLength: 40 }), fc.integer({ min: 1, max: 9 }), (parts, size) => {
      const message = parts.join('');
      expect(join(split(message, [size]))).toBe(message);
    }),
    { numRuns: 5000 },
  );
});

test.each([
  ['no-break.txt', 'Subject: x', []],
  ['a header without a body', 'Subject: x\r\n', ['plain:']],
  ['an empty message', '', ['plain:']],
  ['a body without a header', '\r\nhello', ['plain:hello']],
])('%s passes', (_name, message) => {
  expect(join(split(message))).toBe(message);
});

test.each([
  ['multipart/signed', 'multipart/signed; boundary=s', 'signed'],
  ['multipart/encrypted', 'multipart/encrypted; boundary=s', 'encrypted'],
  ['a delivery report', 'multipart/report; boundary=s; report-type=delivery-status', 'report'],
  ['S/MIME', 'application/pkcs7-mime; smime-type=signed-data', 'encrypted'],
  ['a calendar', 'text/calendar; method=REQUEST', 'calendar'],
  ['AMP', 'text/x-amp-html', 'amp'],
  ['an attached message', 'message/rfc822', 'attached-message'],
  ['a text with a file name', 'text/plain; name="a.txt"', 'attached-text'],
  ['an unknown charset', 'text/html; charset=x-klingon', 'charset'],
  ['a multipart without a boundary', 'multipart/mixed', 'malformed'],
])('%s passes untouched, and says why', (_name, type, reason) => {
  const inner = '--s\r\nContent-Type: text/html\r\n\r\n<a href="https://shop.example/">x</a>\r\n--s--\r\n';
  const message = `Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: ${type}\r\n\r\n${inner}--o--\r\n`;
  const pieces = split(message, [7]);
  expect({ bytes: join(pieces), texts: textsOf(pieces), reasons: reasonsOf(pieces) }).toEqual({
    bytes: message,
    texts: [],
    reasons: [reason],
  });
});

test('the parts of a digest are messages', () => {
  const message = 'Content-Type: multipart/digest; boundary=o\r\n\r\n--o\r\n\r\nSubject: a\r\n\r\ntext\r\n--o--\r\n';
  expect(reasonsOf(split(message))).toEqual(['attached-message']);
});

test('a text part that is too large passes on as it arrives', () => {
  const text = 'x'.repeat(99);
  const message = `Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\n${`${text}\r\n`.repeat(50)}--o\r\n\r\nsmall\r\n--o--\r\n`;
  const pieces = split(message, [64]);
  expect(join(pieces)).toBe(message);
  expect(textsOf(pieces)).toEqual(['plain:small']);
  expect(reasonsOf(pieces)).toEqual(['too-large']);
});

test.each<[string, (size: number) => string]>([
  ['boundaries', (size) => '--b\r\n'.repeat(size)],
  ['boundaries before an empty line', (size) => `${'--b\r\n'.repeat(size)}\r\n`],
  ['parentheses in a header', (size) => `--b\r\nContent-Transfer-Encoding: ${'('.repeat(size)}\r\n\r\nx\r\n--b--`],
  ['lines that begin like boundaries', (size) => `--b\r\n\r\n${`--${' '.repeat(500)}x\r\n`.repeat(size / 500)}--b--`],
  ['a header of many lines', (size) => `--b\r\n${'a:\r\n'.repeat(size / 4)}`],
])('%s take linear time', (_name, make) => {
  const wide = { headerBytes: 1_000_000, textBytes: 1_000_000 };
  expectLinear(
    10_000,
    (size) => `Content-Type: multipart/mixed; boundary=b\r\n\r\n${make(size)}`,
    (message) => void split(message, [4096], wide),
  );
});

test('a header that is too large is refused', () => {
  expect(() => split(`Subject: ${'x'.repeat(5000)}\r\n\r\nx`, [100])).toThrow('larger than 4096 bytes');
});

test('multiparts that are nested too deep pass untouched', () => {
  let message = 'Content-Type: text/html\r\n\r\nx';
  for (let i = 0; i < 60; i++) message = `Content-Type: multipart/mixed; boundary=n${i}n\r\n\r\n--n${i}n\r\n${message}\r\n--n${i}n--\r\n`;
  const pieces = split(message, [333]);
  expect(join(pieces)).toBe(message);
  expect(reasonsOf(pieces)).toEqual(['too-deep']);
});

test('every line ends in CRLF after a bare CR or LF, whatever the chunks are', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('\r', '\n', '\r\n', 'a', '.', 'bc'), { maxLength: 30 }),
      fc.integer({ min: 1, max: 5 }),
      (bits, size) => {
        const input = Buffer.from(bits.join(''));
        const lineEnds = createLineEnds();
        const output: Buffer[] = [];
        for (let at = 0; at < input.length; at += size) output.push(lineEnds(input.subarray(at, at + size)));
        output.push(lineEnds());
        expect(Buffer.concat(output).toString()).toBe(input.toString().replace(/\r\n|\r|\n/g, '\r\n'));
      },
    ),
    { numRuns: 2000 },
  );
});
