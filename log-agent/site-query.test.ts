import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { siteFields } from '../core/site-event.ts';
import { tagOf } from '../core/slug.ts';
import { logLine } from '../test/support/log-lines.ts';
import { runs } from '../test/support/runs.ts';
import { type LineFields, parseLine } from './parse.ts';
import { parseSiteQuery } from './site-query.ts';

const SITE = '00abcdefghijklmnopq';
const CLICK = 'Zzabcdefghijklmnopq';
const fieldsOf = (query: string) => parseSiteQuery(SITE, query)?.fields;

describe('the query of a site event', () => {
  test('has the name, and whatever else is well-formed', () => {
    expect(
      parseSiteQuery(
        SITE,
        `n=sign+up&v=-12.345678&k=eur&u=https%3A%2F%2FShop.Example%3A8443%2Fa%2Fb%3Fmail%3Dann%23top&r=https%3A%2F%2Fx.example%2Fy&c=${CLICK}&s=0k3z&x.plan=pro&x.from=M%C3%BCnchen&other=1`,
      ),
    ).toEqual({
      kind: 'goal',
      fields: {
        site: SITE,
        name: 'sign up',
        session: '0k3z',
        page: 'shop.example:8443/a/b',
        value: '-12.345678',
        currency: 'EUR',
        properties: { plan: 'pro', from: 'München' },
        dropped: 0,
      },
      click: CLICK,
      referrer: 'https://x.example/y',
    });
    expect(parseSiteQuery(SITE, 'n=visit')).toEqual({
      kind: 'visit',
      fields: { site: SITE, name: '', dropped: 0 },
      click: undefined,
      referrer: '',
    });
  });

  test.each<[string, string, number]>([
    ['a value that is no decimal number', 'v=1e5', 1],
    ['a value with a comma', 'v=1,50', 1],
    ['a value that is too long', 'v=1234567890123', 1],
    ['a currency that is no code', 'k=euro', 1],
    ['a page that is no web address', 'u=javascript:alert(1)', 1],
    ['a click that is no slug', 'c=black-friday', 1],
    ['a number of the tab that is none', 's=ABC', 1],
    ['a property with a bad name', 'x.a+b=1&x.=1&x.1=1', 3],
    ['a property that is too long', `x.a=${'a'.repeat(101)}`, 1],
    ['a property with control characters', 'x.a=a%00b&x.b=a%0Ab', 2],
    ['more than eight properties', Array.from({ length: 10 }, (_, i) => `x.p${i}=1`).join('&'), 2],
    ['a parameter that is repeated', 'v=1&v=2&n=other', 2],
    ['a referrer that is too long', `r=https://x.example/${'a'.repeat(600)}`, 1],
  ])('is kept without %s', (_, rest, dropped) => {
    expect(fieldsOf(`n=buy&${rest}`)).toMatchObject({ name: 'buy', dropped });
  });

  test.each([
    ['https://x.example/%D0%BF%D1%80%D0%B8%D0%B2%D0%B5%D1%82?a', 'x.example/привет'],
    ['https://münchen.example/ü', 'xn--mnchen-3ya.example/ü'],
    ['https://x.example/a%00b', 'x.example/a%00b'],
    ['https://x.example/%FF', 'x.example/%FF'],
    [`https://x.example/${'ü'.repeat(400)}`, `x.example/${'ü'.repeat(290)}`],
    [`https://x.example/${'a'.repeat(289)}😀`, `x.example/${'a'.repeat(289)}`],
  ])('has a page that people can read, cut to 300 characters: %s', (url, page) =>
    expect(fieldsOf(`n=visit&u=${encodeURIComponent(url)}`)).toMatchObject({ page, dropped: 0 }),
  );

  test('with too many parameters is still one that a worker accepts', () => {
    const fields = fieldsOf(`n=visit${'&n'.repeat(120_000)}`);
    expect(siteFields.parse(fields)).toMatchObject({ dropped: 1000 });
  });

  test('a visit has no value', () => expect(fieldsOf('n=visit&v=1&k=EUR')).toEqual({ site: SITE, name: '', dropped: 2 }));

  test.each(['', 'n=', 'n=%20', 'v=1', `n=${'a'.repeat(65)}`, 'n=a%00b', 'n=a%0Ab', 'N=buy'])('without a name it is none: %j', (query) =>
    expect(parseSiteQuery(SITE, query)).toBeUndefined(),
  );

  test('any query gives valid fields or none, and always the same', () => {
    const parameter = fc.tuple(
      fc.oneof(fc.constantFrom('n', 'v', 'k', 'u', 'r', 'c', 's', 'x.a', 'x.__proto__', 'x.constructor'), fc.string()),
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.webUrl(),
        fc.constantFrom('visit', '1.5', 'EUR', CLICK, '%', '%zz', '%ff', '%F0%9F%98%80'),
      ),
    );
    fc.assert(
      fc.property(fc.array(parameter), fc.boolean(), (parameters, isEncoded) => {
        const text = isEncoded ? encodeURIComponent : (part: string) => part;
        const query = parameters.map(([name, value]) => `${text(name.toWellFormed())}=${text(value.toWellFormed())}`).join('&');
        const found = parseSiteQuery(SITE, query);
        if (found) expect(siteFields.parse(JSON.parse(JSON.stringify(found.fields)))).toEqual(found.fields);
        expect(parseSiteQuery(SITE, query)).toEqual(found);
      }),
      runs(2000),
    );
  });
});

describe('the line of a site event', () => {
  const fields: Partial<LineFields> = { u: `/e/${SITE}`, s: 204, link: '', q: `n=visit&c=${CLICK}`, ref: 'https://own.example/' };
  const parse = (changes: Partial<LineFields>) => parseLine(logLine({ ...fields, ...changes }).trimEnd());

  test('is an event with the page before in place of the header', () => {
    expect(parse({ q: 'n=visit&r=https%3A%2F%2Fx.example' })).toMatchObject({
      hit: { kind: 'visit', slug: '-', ref: 'https://x.example' },
    });
    expect(parse({})).toMatchObject({ hit: { kind: 'visit', slug: CLICK, ref: '', link: null, site: { site: SITE } } });
  });

  test('is on the shard of the click, else of the tab, else of the request: the same whenever the log is read', () => {
    const rid = 'ffffffffffff00000000000000000000';
    const tagOfLine = (q: string): string => (parse({ q, rid }) as { hit: { tag: string } }).hit.tag;
    expect(tagOfLine(`n=visit&s=abc&c=${CLICK}`)).toBe('Zz');
    expect(tagOfLine('n=visit&s=abc')).toBe(tagOf({ link: Number.parseInt('abc', 36), recipient: 0 }));
    expect(tagOfLine('n=visit')).toBe(tagOf({ link: 2 ** 48 - 1, recipient: 0 }));
    const tags = new Set(Array.from({ length: 5000 }, (_, i) => tagOfLine(`n=visit&s=${i.toString(36)}`)));
    expect(tags.size).toBeGreaterThan(2000);
  });

  test('is none if nginx answered otherwise, if the site has no valid form, without a name, and in version 1', () => {
    for (const s of [200, 302, 404, 405, 414, 429]) expect(parse({ s })).toEqual({ skip: 'not-served' });
    for (const u of ['/e/', '/e/ab', '/e/black-friday', `/e/${SITE}/`]) expect(parse({ u })).toEqual({ skip: 'malformed-slug' });
    expect(parse({ q: 'v=1' })).toEqual({ skip: 'malformed-name' });
    expect(parse({ v: 1 })).toEqual({ skip: 'not-tracking' });
  });
});
