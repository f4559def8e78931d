import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { copyText } from './copy-text.ts';

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
