import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_TARGET_BYTES } from '../core/target.ts';
import { runs } from '../test/support/runs.ts';
import { withQuery } from './pass-query.ts';

describe('a query that is passed on', () => {
  test.each([
    ['https://shop.example/a', 'utm_source=mail', 'https://shop.example/a?utm_source=mail'],
    ['https://shop.example', 'a=1', 'https://shop.example?a=1'],
    ['https://shop.example/a?', 'a=1', 'https://shop.example/a?a=1'],
    ['https://shop.example/a?b=2&', 'a=1', 'https://shop.example/a?b=2&a=1'],
    ['https://shop.example/a?b=2', 'a=1&c=3', 'https://shop.example/a?b=2&a=1&c=3'],
    ['https://shop.example/a?b=2#top', 'a=1', 'https://shop.example/a?b=2&a=1#top'],
    ['https://shop.example/#/route?a=9', 'a=1', 'https://shop.example/?a=1#/route?a=9'],
    ['https://münchen.example/ü?ö=ß#ä', 'a=1', 'https://münchen.example/ü?ö=ß&a=1#ä'],
    ['https://shop.example/a', 'a=1&a=2&&', 'https://shop.example/a?a=1&a=2'],
    ['https://shop.example/a', 'flag&=x', 'https://shop.example/a?flag&=x'],
    ['https://shop.example/a', '?a=1', 'https://shop.example/a??a=1'],
    ['https://shop.example/a', 'ids[]=1&x={y}', 'https://shop.example/a?ids[]=1&x=%7By%7D'],
  ])('%s with %j is %s', (target, query, expected) => {
    expect(withQuery(target, query)).toBe(expected);
  });

  test.each([
    ['https://shop.example/a?utm_source=letter', 'utm_source=other'],
    ['https://shop.example/a?utm_source', 'utm_source=other'],
    ['https://shop.example/a?utm_source=', 'utm%5Fsource=other'],
    ['https://shop.example/a?utm%5fsource=x', 'utm_source=other&utm_source=third'],
    ['https://shop.example/a?a+b=1', 'a%20b=2'],
    ['https://shop.example/a?ü=1', '%C3%BC=2'],
    ['https://shop.example/a?%C3%BC=1', 'Ã¼=2'],
    ['https://shop.example/a?x=1', ''],
    ['https://shop.example/a?x=1#y', '&&'],
  ])('%s keeps what it has, given %j', (target, query) => {
    expect(withQuery(target, query)).toBe(target);
  });

  test('bytes that no URL has are encoded, so nothing can end the header or the query', () => {
    const query = Buffer.from('a=ü\r\nSet-Cookie: x\0"<>#\\^`{|}% %4').toString('latin1');
    expect(withQuery('https://shop.example/a#b', query)).toBe(
      'https://shop.example/a?a=%C3%BC%0D%0ASet-Cookie:%20x%00%22%3C%3E%23%5C%5E%60%7B%7C%7D%25%20%254#b',
    );
    expect(withQuery('https://shop.example/a', 'a=%0d%0aX:%20y')).toBe('https://shop.example/a?a=%0d%0aX:%20y');
  });

  test('that makes the address too long is dropped', () => {
    const target = `https://shop.example/${'ü'.repeat(3000)}?x=1`;
    const room = MAX_TARGET_BYTES - Buffer.byteLength(target);
    expect(withQuery(target, `a=${'b'.repeat(room - 3)}`)).toBe(`${target}&a=${'b'.repeat(room - 3)}`);
    expect(withQuery(target, `a=${'b'.repeat(room - 2)}`)).toBe(target);
    expect(withQuery(target, 'ÿ'.repeat(room / 2))).toBe(target);
  });

  test('changes neither host nor path nor fragment nor a parameter of the target, whatever it is', () => {
    const target = fc
      .tuple(
        fc.constantFrom(
          'https://shop.example',
          'http://user:pass@shop.example:8080',
          'HTTPS://Shop.Example/a//b/..',
          'https://shop.example/ü',
        ),
        fc.constantFrom('', '?', '?a=1', '?a=1&b=2&', '?utm_source=x', '?ä&ö=%C3%BC'),
        fc.constantFrom('', '#', '#x?a=2&b', '#ü'),
      )
      .map((parts) => parts.join(''));
    const part = fc.oneof(
      fc.constantFrom('a', 'b', 'utm_source', '@evil.example', '//evil.example', '\r\n', '%0d%0a', '#', '/', '?', '=', '&', '\\', 'ä'),
      fc.string(),
    );
    const query = fc.array(part).map((parts) => Buffer.from(parts.join('')).toString('latin1'));
    fc.assert(
      fc.property(target, query, (before, added) => {
        const result = withQuery(before, added);
        const [base = '', ...rest] = before.split('#');
        expect(result.startsWith(base)).toBe(true);
        expect(result.endsWith(rest.length > 0 ? `#${rest.join('#')}` : '')).toBe(true);
        expect(result.slice(base.length, result.length - before.length + base.length)).toMatch(/^[\x21\x24-\x7e]*$/);
        const [old, now] = [new URL(before), new URL(result)];
        for (const property of ['protocol', 'username', 'password', 'host', 'pathname', 'hash'] as const)
          expect(now[property]).toBe(old[property]);
        for (const [name] of old.searchParams) expect(now.searchParams.getAll(name)).toEqual(old.searchParams.getAll(name));
      }),
      runs(3000),
    );
  });
});
