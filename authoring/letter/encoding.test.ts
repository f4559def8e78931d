import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runs } from '../../test/support/runs.ts';
import { decode, type DecodedText, detectEncoding, encode, encodeQuery, isValidAt, parseCharset } from './encoding.ts';

const bytes = fc.uint8Array({ maxLength: 300 });
const text = fc.string({ unit: 'binary', maxLength: 100 });

/** Texts with characters that each encoding has. */
const SAMPLES: Readonly<Record<string, string>> = {
  'utf-8': 'süß скидка 割引 😀',
  'utf-16le': 'süß скидка 割引 😀',
  'utf-16be': 'süß скидка 割引 😀',
  'windows-1250': 'Žluťoučký kůň',
  'windows-1251': 'скидка «ё»',
  'windows-1252': 'süß „€“ Žofía',
  'windows-1253': 'έκπτωση',
  'windows-1254': 'indirim ğışİ',
  'windows-1255': 'מבצע',
  'windows-1256': 'تخفيض',
  'windows-1257': 'atlaidė ąčęėįšųūž',
  'windows-1258': 'giảm giá'.normalize('NFC').replace(/[^\x00-\x7fá]/gu, ''),
  'windows-874': 'ลดราคา',
  'iso-8859-2': 'zażółć gęślą jaźń',
  'iso-8859-5': 'скидка',
  'iso-8859-7': 'έκπτωση',
  'iso-8859-15': '€ Šž œ é',
  'koi8-r': 'скидка',
  'koi8-u': 'знижка ґєі',
  ibm866: 'скидка',
  macintosh: 'soldes é ü',
  gbk: '打折优惠',
  gb18030: '打折优惠 €😀',
  big5: '折扣優惠',
  'euc-kr': '할인 행사',
  'euc-jp': '割引ソ表示',
  shift_jis: '割引ソ表示能',
  'iso-2022-jp': '割引ソ表示',
};
const MULTI_BYTE = ['utf-8', 'gbk', 'gb18030', 'big5', 'euc-kr', 'euc-jp', 'shift_jis', 'utf-16le', 'utf-16be'];

/** Cuts a text at these positions, and returns the joined bytes of the pieces. */
function cutAndJoin(decoded: DecodedText, cuts: readonly number[]): Buffer {
  const places = [0, ...cuts.map((cut) => cut % (decoded.text.length + 1)).toSorted((a, b) => a - b), decoded.text.length];
  return Buffer.concat(places.slice(1).map((to, i) => decoded.slice(places[i] as number, to)));
}

describe('bytes read and written again', () => {
  test('are the same, whatever they are and wherever the text is cut', () => {
    const anyBytes = fc.oneof(
      bytes,
      text.map((it) => new Uint8Array(Buffer.from(it))),
      // Mostly valid text with some damaged bytes.
      fc.tuple(fc.constantFrom(...Object.entries(SAMPLES)), fc.array(fc.nat(60), { maxLength: 3 })).map(([[encoding, sample], at]) => {
        const written = encode(`<a href="x">${sample}</a>`, encoding);
        for (const i of at) written[i % written.length] = 0xf1;
        return new Uint8Array(written);
      }),
    );
    fc.assert(
      fc.property(anyBytes, fc.constantFrom(...Object.keys(SAMPLES)), fc.array(fc.nat(400), { maxLength: 4 }), (letter, encoding, cuts) => {
        if (encoding === 'iso-2022-jp') return;
        expect(Buffer.compare(cutAndJoin(decode(letter, encoding), cuts), letter)).toBe(0);
      }),
      runs(2000),
    );
  });

  test.each(Object.entries(SAMPLES))('in %s are that text again, and a link within is its own bytes', (encoding, sample) => {
    const link = `https://shop.example/${sample.replaceAll(' ', '')}?q=1`;
    const letter = `<p>${sample}<a href="${link}">${sample}</a>${sample}`;
    const written = encode(letter, encoding);
    const decoded = decode(written, encoding);
    expect(decoded.text).toBe(letter);
    const from = letter.indexOf(link);
    const pieces = [decoded.slice(0, from), decoded.slice(from, from + link.length), decoded.slice(from + link.length)];
    expect(Buffer.concat(pieces)).toEqual(written);
    expect(pieces[1]).toEqual(encode(link, encoding));
    expect(decode(Buffer.concat([pieces[0] as Buffer, encode('NEW', encoding), pieces[2] as Buffer]), encoding).text).toBe(
      letter.replace(link, 'NEW'),
    );
  });

  test('as windows-1252 have a character each', () => {
    fc.assert(
      fc.property(bytes, (letter) => {
        const { text: read } = decode(letter, 'windows-1252');
        expect(read).toHaveLength(letter.length);
        expect(Buffer.compare(encode(read, 'windows-1252'), letter)).toBe(0);
      }),
      runs(500),
    );
  });

  test('as UTF-8 keep their byte order mark, and any other', () => {
    for (const letter of ['\ufeffa', '\ufeff\ufeff', 'a\ufeff']) {
      expect(decode(Buffer.from(letter), 'utf-8').text).toBe(letter);
      expect(encode(letter, 'utf-8')).toEqual(Buffer.from(letter));
    }
  });

  test('of ISO-2022-JP begin and end in ASCII, even if they are cut between two kanji', () => {
    const written = encode('a割引表示b', 'iso-2022-jp');
    const decoded = decode(written, 'iso-2022-jp');
    for (let cut = 0; cut <= decoded.text.length; cut++) {
      const [before, after] = [decoded.slice(0, cut), decoded.slice(cut)].map((piece) => decode(piece, 'iso-2022-jp').text);
      expect([before, after]).toEqual([decoded.text.slice(0, cut), decoded.text.slice(cut)]);
    }
  });
});

describe('damaged bytes', () => {
  test('are found where they are, and nowhere else', () => {
    fc.assert(
      fc.property(fc.constantFrom(...MULTI_BYTE.filter((name) => !name.startsWith('utf-16'))), fc.boolean(), (encoding, isDamaged) => {
        const sample = SAMPLES[encoding] as string;
        const letter = Buffer.concat([
          encode(`${sample}<a href="`, encoding),
          encode(sample, encoding),
          Buffer.from(isDamaged ? 'ff' : '', 'hex'),
          encode(`">${sample}`, encoding),
        ]);
        const decoded = decode(letter, encoding);
        const from = sample.length + 9;
        expect(isValidAt(decoded, from, decoded.text.indexOf('">'))).toBe(!isDamaged);
        expect(isValidAt(decoded, 0, from)).toBe(true);
        expect(decoded.slice(0, from).equals(encode(`${sample}<a href="`, encoding))).toBe(true);
      }),
      runs(200),
    );
  });

  test('are told from a replacement character that the letter has', () => {
    expect(isValidAt(decode(Buffer.from('a\ufffdb'), 'utf-8'), 0, 3)).toBe(true);
    expect(isValidAt(decode(Buffer.from('61ff62', 'hex'), 'utf-8'), 0, 3)).toBe(false);
  });
});

describe('the encoding of a letter', () => {
  test.each([
    ['', 'utf-8'],
    ['61', 'utf-8'],
    ['c3a4', 'utf-8'],
    ['efbbbf61', 'utf-8'],
    ['f09f9880', 'utf-8'],
    ['e4', 'windows-1252'],
    ['c3', 'windows-1252'],
    // UTF-8 with a damaged byte.
    ['c3a4e4', 'utf-8'],
    ['2f73c3bcc39fff', 'utf-8'],
    // Invalid UTF-8: a surrogate, an overlong encoding, and a code point above U+10FFFF.
    ['eda080', 'windows-1252'],
    ['c080', 'windows-1252'],
    ['f4908080', 'windows-1252'],
    ['fffe3c00', 'utf-16le'],
    ['feff003c', 'utf-16be'],
  ])('of the bytes %s is %s', (hex, encoding) => {
    expect(detectEncoding(Buffer.from(hex, 'hex')).encoding).toBe(encoding);
  });

  test('is found by a byte order mark, then the given charset, then the <meta>, then the bytes', () => {
    const detect = (content: string, options: Parameters<typeof detectEncoding>[1] = {}) =>
      detectEncoding(Buffer.from(content, 'latin1'), { html: true, ...options });
    const meta = '<meta charset=windows-1251>';
    expect(detect(`\xef\xbb\xbf${meta}`, { charset: 'gbk' })).toEqual({ encoding: 'utf-8', source: 'bom' });
    expect(detect(meta, { charset: 'gbk' })).toEqual({ encoding: 'gbk', source: 'charset' });
    expect(detect(meta)).toEqual({ encoding: 'windows-1251', source: 'meta' });
    expect(detect(meta, { html: false })).toEqual({ encoding: 'utf-8', source: 'bytes' });
    expect(detect('<meta http-equiv="Content-Type" content="text/html; charset=ISO-8859-1">')).toEqual({
      encoding: 'windows-1252',
      source: 'meta',
    });
    expect(detect(`<!-- ${meta} --><meta charset="Shift-JIS">`)).toEqual({ encoding: 'shift_jis', source: 'meta' });
    expect(detect(`${' '.repeat(1024)}${meta}`)).toEqual({ encoding: 'utf-8', source: 'bytes' });
    // This declaration is written in ASCII, so the letter cannot be UTF-16.
    expect(detect('<meta charset=utf-16le>')).toEqual({ encoding: 'utf-8', source: 'meta' });
    expect(detect('\xe4')).toEqual({ encoding: 'windows-1252', source: 'fallback' });
    expect(detect('\xe4', { fallback: 'koi8-r' })).toEqual({ encoding: 'koi8-r', source: 'fallback' });
  });

  test.each([
    'latin1 windows-1252',
    'CP1251 windows-1251',
    ' gb2312 gbk',
    'sjis shift_jis',
    'ks_c_5601-1987 euc-kr',
    'csisolatin2 iso-8859-2',
  ])('has the labels of browsers: %s', (pair) => {
    const [label = '', name] = pair.trim().split(' ');
    expect(parseCharset(` ${label} `)).toBe(name);
  });

  test.each(['klingon', 'utf-7', 'iso-2022-kr', ''])('that browsers do not support is refused: %s', (label) => {
    expect(() => parseCharset(label)).toThrow(
      expect.objectContaining({ code: 'bad-input', message: expect.stringContaining('windows-1251') }),
    );
  });
});

describe('encoded text', () => {
  test('is what browsers decode, in the table of each encoding', () => {
    expect(decode(Buffer.from('8085929396e4ff', 'hex'), 'windows-1252').text).toBe('€…’“–äÿ');
    expect(encode('€…’“–äÿ', 'windows-1252').toString('hex')).toBe('8085929396e4ff');
    for (const [encoding, sample] of Object.entries(SAMPLES))
      if (encoding !== 'utf-16be') expect(new TextDecoder(encoding).decode(encode(sample, encoding))).toBe(sample);
  });

  test('has a replacement for each character that the encoding lacks', () => {
    expect(encode('aя😀é', 'windows-1252').toString('latin1')).toBe('a??é');
    const reference = (character: string) => `&#${character.codePointAt(0)};`;
    expect(encode('aя😀é', 'windows-1252', reference).toString('latin1')).toBe('a&#1103;&#128512;é');
    expect(decode(encode('日本é', 'shift_jis', reference), 'shift_jis').text).toBe('日本&#233;');
    expect(decode(encode('日é本', 'iso-2022-jp', reference), 'iso-2022-jp').text).toBe('日&#233;本');
    expect(encode('aя😀é', 'utf-8', () => 'no')).toEqual(Buffer.from('aя😀é'));
  });
});

describe('the query of an address', () => {
  test('is percent-encoded in the encoding of the page, and the rest is not', () => {
    expect(encodeQuery('https://shop.example/скидка?q=скидка&a=1#скидка', 'windows-1251')).toBe(
      'https://shop.example/скидка?q=%F1%EA%E8%E4%EA%E0&a=1#скидка',
    );
    expect(encodeQuery('?q=é€', 'iso-8859-15')).toBe('?q=%E9%A4');
    expect(encodeQuery('?q=я', 'iso-8859-15')).toBe('?q=%26%231103%3B');
    expect(encodeQuery('?q=割', 'shift_jis')).toBe('?q=%8A%84');
    for (const same of ['https://shop.example/скидка', '#?я', '?q=a%20b', 'mailto:a']) expect(encodeQuery(same, 'windows-1251')).toBe(same);
    expect(encodeQuery('?q=я', 'utf-8')).toBe('?q=я');
  });
});
