import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runs } from '../../test/support/runs.ts';
import { decode, encode } from './encoding.ts';
import { type LetterPlan, planLetter, type PlanOptions } from './plan.ts';
import { compileTemplate, fillTemplate } from './template.ts';

const OPTIONS: PlanOptions = { baseUrls: ['https://t.example.org'], exclude: [], trackUnsubscribe: false, utm: {}, pixel: 'none' };
const plan = (bytes: Uint8Array, options: Partial<PlanOptions> = {}, kind: 'html' | 'text' = 'html'): LetterPlan =>
  planLetter(bytes, kind, { ...OPTIONS, ...options });

/** Words that each charset has, for the path, the query and the text of a letter. */
const WORDS: Readonly<Record<string, string>> = {
  'windows-1250': 'žluťoučký',
  'windows-1251': 'скидка',
  'windows-1252': 'süß',
  'iso-8859-2': 'zażółć',
  'iso-8859-15': 'œuf€',
  'koi8-r': 'скидка',
  gbk: '打折',
  gb18030: '打折',
  big5: '折扣',
  'euc-kr': '할인',
  'euc-jp': '割引',
  shift_jis: 'ソ表示',
  'iso-2022-jp': '割引',
};

describe('a letter in another charset', () => {
  test.each(Object.entries(WORDS))('%s leads where a browser goes, and its other bytes stay', (charset, word) => {
    const letter = (link: string) => `<meta charset="${charset}"><p>${word} <a href="${link}">${word}</a> {{name}} ${word}</p>`;
    const link = `https://shop.example/${word}?q=${word}#${word}`;
    const written = encode(letter(link), charset);
    const it = plan(written);
    // Browsers encode a path in UTF-8 and a query in the charset of the page (WHATWG URL).
    const inPage = Array.from(encode(word, charset), (byte) =>
      byte > 0x7e || byte < 0x21 || '"#\'<>'.includes(String.fromCharCode(byte))
        ? `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
        : String.fromCharCode(byte),
    ).join('');
    expect(it.tracked.map(({ target }) => target)).toEqual([`https://shop.example/${word}?q=${inPage}#${word}`]);
    expect(it.warnings).toEqual([]);
    const filled = fillTemplate(compileTemplate(it, ['name']), {
      links: ['https://t.example.org/u/x'],
      pixel: undefined,
      column: () => word,
    });
    expect(filled).toEqual(encode(letter('https://t.example.org/u/x').replace('{{name}}', word), charset));
    // The result is the same if the letter has no declaration and the user gives the charset.
    const undeclared = encode(`<a href="${link}">${word}</a>`, charset);
    expect(plan(undeclared, { charset }).tracked).toMatchObject([{ target: it.tracked[0]?.target }]);
  });

  test('is said to be in a guessed charset, if it declares none', () => {
    const it = plan(Buffer.from('<a href="https://shop.example/s\xfc\xdf">x</a>', 'latin1'));
    expect(it.tracked.map(({ target }) => target)).toEqual(['https://shop.example/süß']);
    expect(it.warnings).toEqual([expect.stringMatching(/read as windows-1252.*--charset/)]);
    expect(plan(Buffer.from('<a href="https://shop.example/süß">x</a>')).warnings).toEqual([]);
  });

  test('that is UTF-8 in fact is read as browsers do, and said to be', () => {
    const it = plan(Buffer.from('<meta charset=iso-8859-1>süß €'));
    expect(it.encoding).toBe('windows-1252');
    expect(it.warnings).toEqual([expect.stringMatching(/declares the charset windows-1252, but its bytes are UTF-8.*--charset utf-8/)]);
    expect(plan(Buffer.from('<meta charset=iso-8859-1>süß €'), { charset: 'utf-8' }).warnings).toEqual([]);
  });
});

describe('damaged bytes in a letter', () => {
  const insertAt = (text: string, mark: string, bytes: Buffer): Buffer => {
    const [before = '', after = ''] = text.split(mark);
    return Buffer.concat([Buffer.from(before), bytes, Buffer.from(after)]);
  };
  const damaged = fc.constantFrom('ff', 'e4', 'c3', 'e282', 'f09f98', '80', 'eda080').map((hex) => Buffer.from(hex, 'hex'));

  test('outside of links pass through, and the links are right', () => {
    fc.assert(
      fc.property(damaged, fc.constantFrom('', '<meta charset=utf-8>'), fc.nat(2), (bytes, meta, place) => {
        const marks = ['!', '', ''];
        const [first, second, third] = [0, 1, 2].map((i) => (i === place ? '!' : (marks[i + 3] ?? '')));
        const letter = `${meta}<p>ü${first}</p><a class="${second}" href="https://shop.example/süß">ö</a><!-- ${third} -->ß`;
        const original = insertAt(letter, '!', bytes);
        const it = plan(original);
        expect(it.encoding).toBe('utf-8');
        expect(it.tracked.map(({ target }) => target)).toEqual(['https://shop.example/süß']);
        expect(it.warnings).toEqual([expect.stringMatching(/1 place that are not valid utf-8, the first at line 1, column \d+/)]);
        const template = compileTemplate(it);
        expect(fillTemplate(template, { links: undefined, pixel: undefined, column: () => '' })).toEqual(original);
        const filled = fillTemplate(template, { links: ['NEW'], pixel: undefined, column: () => '' });
        expect(filled).toEqual(insertAt(letter.replace('https://shop.example/süß', 'NEW'), '!', bytes));
      }),
      runs(200),
    );
  });

  test('inside of a link are refused with the place of the link', () => {
    fc.assert(
      fc.property(damaged, fc.constantFrom('html', 'text'), (bytes, kind) => {
        const lines = ['ü', 'ß', kind === 'html' ? '  <a href="https://shop.example/sü!ß/x">x</a>' : '  https://shop.example/sü!ß/x ü'];
        const column = kind === 'html' ? 12 : 3;
        expect(() => plan(insertAt(lines.join('\n'), '!', bytes), {}, kind as 'html' | 'text')).toThrow(
          expect.objectContaining({ code: 'bad-input', message: expect.stringContaining(`line 3, column ${column}:`) }),
        );
      }),
      runs(50),
    );
  });

  test('of a link that stays as it is pass through', () => {
    const original = insertAt('<a href="mailto:ü!@e.org">ü</a> ü', '!', Buffer.from('ff', 'hex'));
    const it = plan(original);
    expect(fillTemplate(compileTemplate(it), { links: [], pixel: undefined, column: () => '' })).toEqual(original);
    expect(decode(original, 'utf-8').text).toContain('\ufffd');
  });
});
