import { expect, test } from 'vitest';
import { summariseKept } from './kept-links.ts';
import { planLetter } from './plan.ts';

const plan = (content: string, kind: 'html' | 'text' = 'html') =>
  planLetter(Buffer.from(content), kind, {
    baseUrls: ['https://t.example.org'],
    exclude: [],
    trackUnsubscribe: false,
    utm: {},
    pixel: 'none',
  });

test('links that are not tracked are counted by reason', () => {
  const html = plan(
    '<a href="#top">x</a>\n<a href="mailto:a@b.example">x</a><a href="#">y</a>\n<a href="https://shop.example/unsubscribe">x</a>',
  );
  expect(summariseKept([html])).toEqual({ counts: { anchor: 2, 'not-http': 1, unsubscribe: 1 }, suspicious: [] });
});

test.each([
  'www.shop.example',
  'facebook.com',
  'htps://shop.example/',
  'http//shop.example',
  'file:///C:/letter.html',
  'http://',
  'page.html',
  'C:\\letter.html',
])('an address that leads nowhere is listed with its line: %s', (address) => {
  expect(summariseKept([plan(`<p>\n\n<a href="${address}">x</a>`)]).suspicious).toEqual([
    { part: 'html', line: 3, address, reason: expect.any(String) as string },
  ]);
});

test.each([
  'mailto:a@b.example',
  'tel:+49301234',
  'sms:+1',
  'whatsapp://send?text=x',
  'webcal://shop.example/x.ics',
  '#top',
  '',
  '{{link}}',
  'cid:logo',
])('an address that mail programs open is not: %s', (address) => {
  expect(summariseKept([plan(`<a href="${address}">x</a>`)]).suspicious).toEqual([]);
});
