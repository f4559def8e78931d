import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { copyText } from './copy-text.ts';
import { hostOf } from './fold-values.ts';

/** Decodes a value in the text format of COPY, as the PostgreSQL documentation describes it. */
function readCopyText(text: string): string | null {
  if (text === '\\N') return null;
  const escapes: Record<string, string> = { n: '\n', r: '\r', t: '\t', '\\': '\\' };
  return text.replace(/\\(.)/gs, (_, character: string) => escapes[character] ?? character);
}

describe('texts for COPY', () => {
  test('read back they are what they were, without NUL', () => {
    const text = fc.string({ unit: fc.constantFrom('\0', '\\', '\n', '\r', '\t', '.', 'N', 'n', 'é', '\ud800', ' ') });
    fc.assert(
      fc.property(fc.oneof(text, fc.string()), (value) => {
        const written = copyText(value);
        expect(written).not.toMatch(/[\n\r\t\0]/);
        expect(readCopyText(written)).toBe(value.replaceAll('\0', ''));
      }),
    );
  });

  test('null is \\N, and a text \\N is not', () => {
    expect(copyText(null)).toBe('\\N');
    expect(copyText('\\N')).toBe('\\\\N');
    expect(copyText('')).toBe('');
  });
});

describe('the host of a referrer', () => {
  test.each([
    ['https://Mail.Example.COM/inbox/1?token=secret#x', 'mail.example.com'],
    ['http://localhost:8080', 'localhost'],
    ['android-app://com.google.android.gm/', 'com.google.android.gm'],
    ['https://xn--mnchen-3ya.example', 'xn--mnchen-3ya.example'],
    ['https://a.example?q', 'a.example'],
    ['https://münchen.example/', null],
    ['https://user:password@a.example/', null],
    ['https://a.example@evil.example/', null],
    ['https://user:12@a.example/', null],
    ['https://a.example:99999x/', null],
    ['javascript:alert(1)', null],
    ['a.example', null],
    ['', null],
    ['https://', null],
    ['https://a b/', null],
    [`https://${'a'.repeat(254)}/`, null],
    ['https://a.example\t/', null],
  ])('of %s is %s', (referrer, host) => {
    expect(hostOf(referrer)).toBe(host);
  });

  test('never has more than a host can have', () => {
    fc.assert(fc.property(fc.string(), (text) => /^[a-z0-9.-]{0,253}$/.test(hostOf(`https://${text}`) ?? '')));
  });
});
