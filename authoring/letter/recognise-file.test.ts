import { expect, test } from 'vitest';
import { encode } from './encoding.ts';
import { expectLinear } from '../../test/support/linear.ts';
import { assertIsLetter, formatOf, isMailMessage } from './recognise-file.ts';

const check =
  (content: string | Buffer, kind: 'html' | 'text' = 'html', name = 'letter.html') =>
  () =>
    assertIsLetter(Buffer.from(content as string), kind, name);

const BODY = 'Content-Type: text/html; charset=utf-8\r\n\r\n<p><a href="https://shop.example/">x</a></p>';
const FIELDS: readonly string[] = [
  'ARC-Seal: i=1; a=rsa-sha256; t=1;\r\n cv=none; d=shop.example',
  'DKIM-Signature: v=1; a=rsa-sha256;\r\n\td=shop.example; b=abc',
  'Received: from a by b;\r\n Sat, 28 Nov 2026 00:00:00 +0000',
  'Return-Path: <news@shop.example>',
  'Delivered-To: ann@example.com',
  'X-Mailer: x',
  'From: Shop <news@shop.example>',
  'Content-Transfer-Encoding: quoted-printable',
  'MIME-Version: 1.0',
  'Authentication-Results: mx.example; spf=pass',
  'List-Unsubscribe: <https://shop.example/off>',
];

test.each(FIELDS)('a whole message is recognised, whatever its first header is: %j', (first) => {
  for (const end of ['\r\n', '\n'])
    for (const before of [
      '',
      '\ufeff',
      '\r\n',
      'From news@shop.example Sat Nov 28 00:00:00 2026\n',
      '>From x@y.example Sat Nov 28 00:00:00 2026\n',
    ]) {
      const message = (before + `${first}\r\nSubject: x\r\n${BODY}`).replaceAll('\r\n', end);
      expect(isMailMessage(message)).toBe(true);
      for (const kind of ['html', 'text'] as const) expect(check(message, kind)).toThrow(/whole message with headers.*Give only/);
    }
});

test.each([
  '<p>From: Ann</p>',
  'Dear Ann,\n\nFrom: Monday on\nTo: Friday',
  'https://shop.example/a\nhttps://shop.example/b',
  'From Monday on, the shop is open.\nSubject: to change',
  'Note: the shop is closed.\nHint: come on Monday.',
  'Subject: x\n\nDear Ann',
  '',
])('a text that only looks like a message is a letter: %j', (text) => {
  expect(isMailMessage(text)).toBe(false);
});

test.each([
  ['', 'empty'],
  [' \r\n\t', 'empty'],
  ['\ufeff\n', 'empty'],
  ['PK\x03\x04\x14\x00[Content_Types].xml', /ZIP file.*docx.*Export it as HTML/],
  ['%PDF-1.7', 'a PDF'],
  ['{\\rtf1\\ansi', 'an RTF document'],
  ['GIF89a', 'an image'],
  ['<p>\0\0', 'a binary file'],
  ['<mjml><mj-body></mj-body></mjml>', /MJML.*ends in \.mjml/],
  ['<?xml version="1.0"?>\n<!-- x -->\n<mjml lang="de"></mjml>', 'MJML'],
  ['# News\n\nRead [this](https://shop.example/).', /Markdown.*ends in \.md/],
  ['# News<br>\n\n* [this](https://shop.example/)\n', 'Markdown'],
  ['Hello\n\nhttps://shop.example/', /plain text.*\.txt/],
])('%j is said to be what it is', (content, what) => {
  expect(check(content)).toThrow(
    expect.objectContaining({
      code: 'bad-input',
      message: expect.stringMatching(typeof what === 'string' ? `is ${what}` : what) as string,
    }),
  );
});

test('Markdown is recognised by its name, HTML in a text by its beginning', () => {
  expect(check('# News', 'text', 'letter.md')).toThrow('Markdown');
  expect(check('<!doctype html><p>x</p>', 'text', 'letter.txt')).toThrow(/is HTML.*\.html/);
});

test.each([
  '<p>x',
  '<!doctype html><html><body>[link](https://shop.example/) <a href="https://shop.example/">x</a></body></html>',
  '<!-- a comment --><table><tr><td>x</table>',
  '<!--[if mso]><v:rect href="https://shop.example/"></v:rect><![endif]-->',
  'Hello <b>Ann</b>',
])('a letter is a letter: %j', (content) => {
  expect(check(content)).not.toThrow();
});

test('a text is a text, also with what looks like Markdown, and a letter in UTF-16 is a letter', () => {
  expect(check('Read [this](https://shop.example/)\n# x', 'text', 'letter.txt')).not.toThrow();
  expect(check(encode('\ufeff<p>x', 'utf-16le'))).not.toThrow();
});

test('comments before the first element take linear time', () => {
  expectLinear(
    10_000,
    (size) => Buffer.from('<!--[if mso]>x<![endif]-->\n'.repeat(size / 20)),
    (bytes) => expect(formatOf('letter.html', bytes)).toBe('html'),
  );
});
