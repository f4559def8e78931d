import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tagOf } from '../core/slug.ts';
import { gluedForms } from '../test/support/glue.ts';
import { logLine } from '../test/support/log-lines.ts';
import { runs } from '../test/support/runs.ts';
import { type Hit, type LineFields, parseLine } from './parse.ts';

const parse = (fields: Partial<LineFields>) => parseLine(logLine(fields).trimEnd());

function hit(fields: Partial<LineFields>): Hit {
  const parsed = parse(fields);
  if (!('hit' in parsed)) throw new Error(`no hit: ${JSON.stringify(parsed)}`);
  return parsed.hit;
}

/** Decodes a path as nginx does. */
function decodeURIComponentOrNot(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const rid = '0123456789abcdef0123456789abcdef';

describe('reading a line', () => {
  test('a click that was redirected is a hit, with everything nginx knew of it', () => {
    const fields = { rid, t: 1_790_000_000.457, ip: '2001:db8::1', ua: 'UA "quoted" \\', ref: 'https://a.example/?q="', link: '12.3' };
    expect(hit({ ...fields, u: '/u/Zzabcdefghijklmnopq', purpose: ' prefetch  ' })).toEqual({
      rid,
      t: 1_790_000_000_457,
      kind: 'click',
      slug: 'Zzabcdefghijklmnopq',
      tag: 'Zz',
      link: '12.3',
      head: false,
      altered: false,
      ip: '2001:db8::1',
      ua: 'UA "quoted" \\',
      ref: 'https://a.example/?q="',
      purpose: 'prefetch',
      site: null,
    });
  });

  test('a pixel is an open under both its names', () => {
    for (const u of ['/r/Zzabcdefghijklmnopq', '/r/Zzabcdefghijklmnopq.gif']) {
      expect(hit({ u, s: 200, link: '' })).toMatchObject({ kind: 'open', slug: 'Zzabcdefghijklmnopq', tag: 'Zz', link: null });
    }
  });

  test('HEAD is a hit that says so', () => {
    expect(hit({ m: 'HEAD' }).head).toBe(true);
    expect(hit({ m: 'GET' }).head).toBe(false);
  });

  test('a path with characters after the slug says so, from version 2 on', () => {
    expect(hit({ x: '%27' }).altered).toBe(true);
    expect(hit({ x: '' }).altered).toBe(false);
    expect(hit({ v: 1 }).altered).toBe(false);
    expect(parseLine(logLine({ v: 1 }).replace(/}\n$/, ',"x":"%27"}'))).toMatchObject({ hit: { altered: false } });
  });

  test('a POST that nginx answered at /o/ is an unsubscribe, from version 2 on', () => {
    const fields = { m: 'POST', u: '/o/Zzabcdefghijklmnopq', s: 200, link: '' };
    expect(hit(fields)).toMatchObject({ kind: 'unsubscribe', slug: 'Zzabcdefghijklmnopq', tag: 'Zz', link: null });
    expect(parse({ ...fields, v: 1 })).toEqual({ skip: 'not-tracking' });
    for (const s of [302, 404, 405, 413]) expect(parse({ ...fields, s })).toEqual({ skip: 'not-served' });
    for (const u of ['/o/', '/o/ab', '/o/black-friday', '/o/Zzabcdefghijklmnopq.gif'])
      expect(parse({ ...fields, u })).toEqual({ skip: 'malformed-slug' });
  });

  test('an alias belongs to the shard of the link that the backend served for it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 52 }), (link) => {
        expect(hit({ u: '/u/black-friday', link: `${link}.2` })).toMatchObject({
          slug: 'black-friday',
          link: `${link}.2`,
          tag: tagOf({ link, recipient: 0 }),
        });
      }),
    );
  });

  test('an alias that no backend answered for, or as a pixel, has no shard', () => {
    for (const link of ['', '-', '7', '7.x', '0.1', '07.1', '7.1, 8.1']) {
      expect(parse({ u: '/u/black-friday', link })).toEqual({ skip: 'malformed-slug' });
    }
    expect(parse({ u: '/r/black-friday', s: 200, link: '7.1' })).toEqual({ skip: 'malformed-slug' });
  });

  test.each([
    '/u/',
    '/u/ab',
    '/u/abc.gif',
    '/u/00abc/def',
    '/u/00abc%20',
    '/u/é0abcdef',
    `/u/${'a'.repeat(41)}`,
    '/u/-abc',
    `/u/a-${'b'.repeat(63)}`,
  ])('nothing that could be a slug: %s', (u) => {
    expect(parse({ u })).toEqual({ skip: 'malformed-slug' });
  });

  test('what a mail client glued to a slug is read in an old log as ever; nginx leaves it out of a new one', () => {
    for (const glue of gluedForms()
      .map((form) => decodeURIComponentOrNot(form.split('?')[0] as string))
      .filter((text) => text !== '')) {
      expect(parse({ u: `/u/00abcdefghijklmnopq${glue}`, s: 404, link: '' })).toEqual({ skip: 'not-served' });
      if (/^[-_]+$/.test(glue)) continue;
      for (const fields of [
        { u: `/u/00abcdefghijklmnopq${glue}`, s: 302 },
        { u: `/r/00abcdefghijklmnopq.gif${glue}`, s: 200 },
      ])
        expect(parse(fields)).toEqual({ skip: 'malformed-slug' });
    }
  });

  test('lengths from 5 to 40 may be slugs', () => {
    expect(hit({ u: '/u/abcde' }).tag).toBe('ab');
    expect(hit({ u: `/u/${'a'.repeat(40)}` }).tag).toBe('aa');
    expect(parse({ u: '/u/abcd' })).toEqual({ skip: 'malformed-slug' });
  });

  test('what was not answered as a hit is skipped', () => {
    for (const s of [200, 301, 404, 405, 410, 429, 499, 502]) expect(parse({ s })).toEqual({ skip: 'not-served' });
    for (const s of [302, 304, 404, 405, 416]) expect(parse({ u: '/r/abcdefgh.gif', s })).toEqual({ skip: 'not-served' });
  });

  test('other paths are no tracking', () => {
    for (const u of ['/', '', '/x/abcdefgh', '/u', 'u/abcdefgh', '/U/abcdefgh']) expect(parse({ u })).toEqual({ skip: 'not-tracking' });
  });

  test('user agents with NUL, lone surrogates or an end-of-copy mark are hits like any other', () => {
    for (const ua of ['a\0b', '\\.', '\\.\n\\.', 'a\x7f', '\u{1f600}'.slice(0, 1), '\ufffd', '\\ud800', "'); DROP TABLE event; --"]) {
      expect(hit({ ua }).ua).toBe(ua);
    }
    expect(parseLine(logLine({ ua: '@' }).trimEnd().replace('@', '\\ud800'))).toMatchObject({ hit: { ua: '\ud800' } });
  });

  test('what is no JSON is a dead letter', () => {
    for (const text of [
      '',
      '{',
      '{"v":1,"rid":"',
      logLine().slice(0, -3),
      logLine().replace('}', '},'),
      logLine({ ua: '@' }).replace('@', '\x01'),
    ]) {
      expect(parseLine(text)).toEqual({ dead: 'not-json' });
    }
  });

  test('a field of a wrong type, missing or out of bounds makes a dead letter', () => {
    const v1 = JSON.parse(logLine({ v: 1, rid })) as Record<string, unknown>;
    expect(parseLine(JSON.stringify(v1))).toHaveProperty('hit');
    expect(parseLine(JSON.stringify({ ...v1, v: 2 }))).toEqual({ dead: 'bad-field' });
    const good = JSON.parse(logLine({ rid })) as Record<string, unknown>;
    expect(parseLine(JSON.stringify(good))).toHaveProperty('hit');
    for (const name of Object.keys(good).filter((key) => key !== 'v')) {
      for (const value of [undefined, null, true, [], {}, typeof good[name] === 'string' ? 7 : '7']) {
        expect(parseLine(JSON.stringify({ ...good, [name]: value })), `${name} is ${JSON.stringify(value)}`).toEqual({ dead: 'bad-field' });
      }
    }
    for (const bad of ['', rid.toUpperCase(), rid.slice(1), `${rid}0`, `${rid}\n`]) {
      expect(parseLine(JSON.stringify({ ...good, rid: bad }))).toEqual({ dead: 'bad-field' });
    }
    for (const t of [-1, 0, 946_684_799.999, 4_102_444_800, 1e300]) {
      expect(parseLine(JSON.stringify({ ...good, t }))).toEqual({ dead: 'bad-field' });
    }
  });

  test('never throws, whatever the text or the JSON', () => {
    const good = JSON.parse(logLine()) as Record<string, unknown>;
    const field = fc.constantFrom(...Object.keys(good), '__proto__', 'toString');
    const nearly = fc
      .dictionary(field, fc.oneof(fc.jsonValue(), fc.string({ unit: 'binary' })))
      .map((other) => JSON.stringify({ ...good, ...other }));
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json(), nearly), (text) => {
        const parsed = parseLine(text);
        expect(Object.keys(parsed)).toHaveLength(1);
        if ('hit' in parsed) expect(parsed.hit.tag).toMatch(/^[0-9A-Za-z]{2}$/);
      }),
      { ...runs(3000), examples: [['null'], ['1'], ['"x"'], ['[]']] },
    );
  });
});
