import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runs } from '../test/support/runs.ts';
import { bareAddress, bareName, removeInvisible } from './bare-text.ts';
import { normaliseEmail } from './recipients.ts';

const between = (first: number, last: number): string[] =>
  Array.from({ length: last - first + 1 }, (_, i) => String.fromCharCode(first + i));
const ZERO_WIDTH = [...between(0x200b, 0x200f), ...between(0x202a, 0x202e), ...between(0x2060, 0x2064), ...between(0x2066, 0x2069)];
const INVISIBLE = [...ZERO_WIDTH, '\u00ad', '\ufeff', '\u034f', '\u061c', '\u180e', '\ufe0f'];
const UNICODE_SPACES = ['\u00a0', ...between(0x2000, 0x200a), '\u202f', '\u205f', '\u3000', '\u1680'];

const word = fc.stringMatching(/^[a-z0-9]{1,8}$/);
const local = fc
  .array(word, { minLength: 1, maxLength: 3 })
  .chain((parts) => fc.constantFrom('.', '+', '-', '_').map((by) => parts.join(by)));
const address = fc
  .tuple(local, word, fc.constantFrom('example', 'com', 'co.uk', 'рф', 'museum'))
  .map(([name, domain, top]) => `${name}@x${domain}.${top}`);
/** Text that exports and people put around an address. */
const WRAPPERS: readonly ((address: string) => string)[] = [
  (it) => `<${it}>`,
  (it) => `mailto:${it}`,
  (it) => `MAILTO: ${it}`,
  (it) => `<mailto:${it}>`,
  (it) => `mailto:${it}?subject=Hello%20you`,
  (it) => `mailto:${it.replace('@', '%40')}`,
  (it) => `SMTP:${it}`,
  (it) => `e-mail: ${it}`,
  (it) => `Ann Lee <${it}>`,
  (it) => `"Lee, Ann" <${it}>`,
  (it) => `Lee, Ann <${it}>`,
  (it) => `Zoë O'Neil (Shop) < ${it} >`,
  (it) => `${it} <${it}>`,
  (it) => `"${it}" <${it.toUpperCase()}>`,
  (it) => `"Ann Lee <${it}>"`,
  (it) => `${it} (Ann Lee)`,
  (it) => `"${it}"`,
  (it) => `'${it}'`,
  (it) => `'${it}`,
  (it) => `“${it}”`,
  (it) => `„${it}“`,
  (it) => `«${it}»`,
  (it) => `‘${it}’`,
  (it) => `(${it})`,
  (it) => `[${it}]`,
  (it) => `${it},`,
  (it) => `${it};`,
  (it) => `${it}.`,
  (it) => `${it} ; , .`,
  (it) => `, ${it}`,
  (it) => `${it}>`,
  (it) => `\t${it} \n`,
  (it) => it.replace('@', '＠'),
  (it) => Array.from(it, (c) => (/[!-~]/.test(c) ? String.fromCharCode(c.charCodeAt(0) + 0xfee0) : c)).join(''),
];

describe('a mail address', () => {
  test('is found in whatever stands around it', () => {
    fc.assert(
      fc.property(
        address,
        fc.constantFrom(...WRAPPERS),
        fc.constantFrom(...WRAPPERS, (it: string) => it),
        (it, wrap, wrapAgain) => {
          const plain = normaliseEmail(it);
          expect(plain).toBeDefined();
          expect([wrap(it), normaliseEmail(wrap(it))]).toEqual([wrap(it), plain]);
          // Quotes and spaces may stand around all of these forms.
          expect(normaliseEmail(` "${wrapAgain(it)}" `)).toBe(plain);
        },
      ),
      runs(1000),
    );
  });

  test.each([...INVISIBLE, ...UNICODE_SPACES].map((character) => [character.codePointAt(0)?.toString(16), character]))(
    'has no character U+%s, at its ends or inside',
    (_, character) => {
      fc.assert(
        fc.property(address, fc.array(fc.nat(40), { minLength: 1, maxLength: 5 }), (it, places) => {
          const characters = Array.from(it);
          for (const place of places) characters.splice(place % (characters.length + 1), 0, character);
          expect(normaliseEmail(characters.join(''))).toBe(normaliseEmail(it));
        }),
        runs(50),
      );
    },
  );

  test('stays as it is if nothing stands around it', () => {
    fc.assert(
      fc.property(address, (it) => {
        expect(bareAddress(it)).toBe(it);
      }),
      runs(300),
    );
    for (const it of ["o'neil@example.com", 'Ann.Lee@Example.COM', '$x!y@example.com', '-a-@example.com']) expect(bareAddress(it)).toBe(it);
  });

  // A text with two addresses is rejected, because a wrong address is worse than a rejected line.
  test('is none if two could be meant', () => {
    fc.assert(
      fc.property(address, address, fc.constantFrom(', ', '; ', ' ', ' / ', '\n', '\r\n', ' ::: ', '><', ' or '), (one, other, by) => {
        fc.pre(normaliseEmail(one) !== normaliseEmail(other));
        for (const text of [`${one}${by}${other}`, `<${one}>${by}<${other}>`, `Ann <${one}>${by}Bob <${other}>`, `${one} <${other}>`])
          expect([text, normaliseEmail(text)]).toEqual([text, undefined]);
      }),
      runs(300),
    );
  });

  test.each(['<>', 'Ann <>', 'mailto:', '""', ',', '.', '(ann)', 'Ann <ann>', 'mailto:%ff@', '\u200b', '< ann at example.com >'])(
    '%j is none',
    (text) => {
      expect(normaliseEmail(text)).toBeUndefined();
    },
  );
});

describe('invisible characters', () => {
  test('are removed from names of columns, and other spaces become spaces', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.constantFrom('E-Mail', 'first', 'Straße', 'ſ', '名前'), fc.constantFrom(...INVISIBLE)), {
          minLength: 1,
          maxLength: 8,
        }),
        fc.constantFrom(...UNICODE_SPACES),
        (parts, space) => {
          const visible = parts.filter((part) => !INVISIBLE.includes(part));
          expect(bareName(`${space}${parts.join(space)}${space}`)).toBe(bareName(parts.join(' ')));
          expect(removeInvisible(parts.join(''))).toBe(visible.join(''));
        },
      ),
      { ...runs(200), examples: [[['\u180e', '\u200c', '\u180e'], ' ']] },
    );
    expect(bareName('\ufeffE-Mail\u00a0Adresse\u200b ')).toBe('E-Mail Adresse');
    expect(bareName('first\nname')).toBe('first\nname');
  });

  test('joiners stay where a script needs them', () => {
    for (const text of ['نام‌خانوادگی', 'क्‍ष']) expect(removeInvisible(text)).toBe(text);
    expect(removeInvisible('a\u200cb\u200d')).toBe('ab');
  });
});
