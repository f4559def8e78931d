import { expect, test } from 'vitest';
import { parseEnvelope } from './envelope.ts';

const refused = (message: string | RegExp) =>
  expect.objectContaining({ code: 'bad-input', message: expect.stringMatching(message) as string }) as Error;

test.each([
  'news@shop.example',
  'Shop <news@shop.example>',
  '"Shop, Inc." <news@shop.example>',
  'Café Žofín <news@shop.example>',
  ' <news@shop.example> ',
])('a sender with one address: %s', (from) => {
  expect(parseEnvelope(from, 'x', []).from).toBe(from);
});

test.each([
  'Shop',
  '',
  'Shop <>',
  'Shop <news>',
  'news@shop.example, other@shop.example',
  'Team: news@shop.example;',
  '@shop.example',
  'news@',
  'a@b.example\nBcc: c@d.example',
])('a sender without exactly one address is refused: %j', (from) => {
  expect(() => parseEnvelope(from, 'x', [])).toThrow(refused(/--from [\s\S]* must have exactly one mail address/));
});

const OWN = [
  'From',
  'Subject',
  'To',
  'Cc',
  'Bcc',
  'MIME-Version',
  'Content-Type',
  'Content-Transfer-Encoding',
  'Content-ID',
  'Date',
  'Message-ID',
];
test.each([...OWN, 'Received', 'Return-Path', 'DKIM-Signature', 'ARC-Seal', 'Resent-To'])(
  'a header that is not the author’s is refused: %s',
  (name) => {
    for (const spelled of [name, name.toLowerCase(), name.toUpperCase()])
      expect(() => parseEnvelope('a@b.example', 'x', [`${spelled}: x`])).toThrow(refused(new RegExp(`cannot give '${spelled}'\\. \\S+`)));
  },
);

test.each([
  'Reply-To: Shop',
  'Reply-To: <>',
  'Sender: nobody',
  'X-Empty:',
  'X-Empty:   ',
  'no header',
  'Bad Name: x',
  'Ümlaut: x',
  'X-Two: a\r\nBcc: b@c.example',
])('a header that is not one is refused: %j', (line) => {
  expect(() => parseEnvelope('a@b.example', 'x', [line])).toThrow(refused(/./));
});

test('a second Reply-To is refused, other headers may be there twice', () => {
  expect(() => parseEnvelope('a@b.example', 'x', ['Reply-To: a@b.example', 'reply-to: c@d.example'])).toThrow(refused('twice'));
  expect(parseEnvelope('a@b.example', 'x', ['X-Tag: a', 'X-Tag: b', 'Reply-To: A <a@b.example>, c@d.example']).headers).toHaveLength(3);
  expect(parseEnvelope('a@b.example', 'x', ['Reply-To: {{owner}}', 'List-Unsubscribe: <https://e.org/?e={{email}}>']).headers).toEqual([
    { key: 'Reply-To', value: '{{owner}}' },
    { key: 'List-Unsubscribe', value: '<https://e.org/?e={{email}}>' },
  ]);
});
