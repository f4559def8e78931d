import { describe, expect, test } from 'vitest';
import { parseConfig } from '../core/config.ts';
import { baseUrlOf, baseUrlsOf, chooseBaseUrl } from './base-urls.ts';

const A = 'https://a.example';
const B = 'https://b.example:8443';
const C = 'https://xn--mnchen-3ya.example/mail';
const ALL = [A, B, C];

const read = (BASE_URL: string, BASE_URLS: string) => baseUrlsOf(parseConfig(['BASE_URL', 'BASE_URLS'], { BASE_URL, BASE_URLS }));

describe('the base URLs of the settings', () => {
  test('are BASE_URL first, and each of BASE_URLS once', () => {
    expect(read(`${A}/`, '')).toEqual([A]);
    expect(read(A, ` ${B}/ , ${C}// ,,`)).toEqual(ALL);
    expect(read(A, `${B},HTTPS://A.example:443/,${B},${A}`)).toEqual([A, B]);
  });

  test.each(['b.example', 'ftp://b.example', `${B},nonsense`, 'https://'])('%j is refused', (text) => {
    expect(() => read(A, text)).toThrow(expect.objectContaining({ code: 'bad-settings', message: expect.stringMatching(/^BASE_URLS: /) }));
  });
});

describe('a campaign', () => {
  test.each([
    [A, A],
    [`${A}/`, A],
    ['HTTPS://B.EXAMPLE:8443', B],
    ['https://münchen.example/mail/', C],
  ])('%s is chosen as %s', (wanted, chosen) => {
    expect(chooseBaseUrl(wanted, ALL)).toBe(chosen);
  });

  test.each(['', 'a.example', 'http://a.example', 'https://b.example', 'https://xn--mnchen-3ya.example', `${A}/mail`, 'https://'])(
    '%j is not chosen, and the message lists what can be',
    (wanted) => {
      expect(() => chooseBaseUrl(wanted, ALL)).toThrow(
        expect.objectContaining({ code: 'bad-input', message: expect.stringContaining(`${A}, ${B}, ${C}`) }),
      );
    },
  );

  test('has the first base URL if it has none of its own', () => {
    expect(baseUrlOf({ name: 'x', baseUrl: null }, ALL)).toBe(A);
    expect(baseUrlOf({ name: 'x', baseUrl: 'https://B.example:8443' }, ALL)).toBe(B);
  });

  test('whose base URL was removed from the settings is an error that says what to do', () => {
    expect(() => baseUrlOf({ name: 'Spring "sale"', baseUrl: 'https://old.example' }, ALL)).toThrow(
      expect.objectContaining({
        code: 'bad-settings',
        message: expect.stringMatching(
          /https:\/\/old\.example.*BASE_URLS.*campaign edit "Spring \\"sale\\"" --base-url https:\/\/a\.example/,
        ),
      }),
    );
  });
});
