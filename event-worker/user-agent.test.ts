import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runs } from '../test/support/runs.ts';
import { reduceUserAgent } from './user-agent.ts';

describe('user agents as they come', () => {
  test.each([
    [
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.7444.60 Safari/537.36',
      { client: 'Chrome', version: '142', system: 'Windows', device: 'desktop', bot: false },
    ],
    [
      'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1',
      { client: 'Safari', version: '18', system: 'iOS', device: 'mobile', bot: false },
    ],
    // The user agent of Apple Mail without the mail proxy of Apple. It does not contain the name of the client.
    [
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)',
      { system: 'macOS', device: 'desktop', bot: false },
    ],
    // The user agent of the mail proxy of Apple.
    ['Mozilla/5.0', { client: '', device: 'bot', bot: true }],
    [
      'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.4.0',
      { client: 'Thunderbird', version: '140', system: 'Linux', device: 'desktop', bot: false },
    ],
    [
      'Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.19328; Pro)',
      { client: 'Outlook', version: '16', system: 'Windows', device: 'desktop', bot: false },
    ],
    [
      'Mozilla/5.0 (Linux; Android 15; SM-X710) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36',
      { client: 'Chrome', system: 'Android', device: 'tablet', bot: false },
    ],
    ['Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)', { device: 'bot', bot: true }],
    // Requests of apps: the default of a library, and the web view of Android.
    ['okhttp/4.12.0', { device: 'bot', bot: true }],
    [
      'Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/UQ1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/142.0.0.0 Mobile Safari/537.36',
      { system: 'Android', device: 'mobile', bot: false },
    ],
    [
      'Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Trident/7.0; Microsoft Outlook 16.0.5000; ms-office; MSOffice 16)',
      { client: 'Outlook', version: '16', system: 'Windows', bot: false },
    ],
    ['Outlook-iOS/723.4027091.prod.iphone (4.28.0)', { client: 'Outlook', version: '4', system: 'iOS', device: 'mobile', bot: false }],
    ['curl/8.14.1', { device: 'bot', bot: true }],
    ['python-requests/2.32.5', { device: 'bot', bot: true }],
    ['', { client: '', version: '', system: '', device: 'bot', bot: true }],
  ])('%s', (ua, expected) => {
    expect(reduceUserAgent(ua)).toMatchObject(expected);
  });

  test('image proxies load for readers of their mail, about whom they say nothing', () => {
    const gmail = 'Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)';
    expect(reduceUserAgent(gmail)).toMatchObject({ client: 'Gmail', version: '', system: '', device: 'unknown' });
    const yahoo = 'YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html';
    expect(reduceUserAgent(yahoo)).toMatchObject({ client: 'Yahoo Mail', version: '', device: 'unknown' });
  });
});

describe('what is kept of a user agent', () => {
  test('is short, printable and free of backslashes, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary', maxLength: 600 }),
          fc.string().map((text) => `Mozilla/5.0 (${text}) ${text}/1`),
        ),
        (ua) => {
          const { id, client, version, system, device } = reduceUserAgent(ua);
          for (const text of [client, version, system, device]) expect(text).toMatch(/^[\x20-\x5b\x5d-\x7e]{0,40}$/);
          expect(BigInt(id)).toBe(BigInt.asIntN(64, BigInt(id)));
        },
      ),
      runs(500),
    );
  });

  test('the id stands for the four others and nothing else', () => {
    const chrome = (build: string) =>
      `Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${build} Safari/537.36`;
    expect(reduceUserAgent(chrome('142.0.1.1')).id).toBe(reduceUserAgent(chrome('142.0.9.9')).id);
    expect(reduceUserAgent(chrome('142.0.1.1')).id).not.toBe(reduceUserAgent(chrome('143.0.1.1')).id);
    expect(reduceUserAgent('').id).toBe('5346646162177179043');
  });

  test('a browser that updates itself is old four years after the release of its version', () => {
    const oldFrom = (ua: string): string | number => {
      const { oldFromMs } = reduceUserAgent(ua);
      return Number.isFinite(oldFromMs) ? new Date(oldFromMs).getUTCFullYear() : oldFromMs;
    };
    const chrome = (version: number) =>
      `Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${version}.0.0.0 Safari/537.36`;
    expect([79, 96, 120, 144].map((version) => oldFrom(chrome(version)))).toEqual([2023, 2025, 2027, 2030]);
    expect(oldFrom('Mozilla/5.0 (X11; Linux x86_64; rv:102.0) Gecko/20100101 Firefox/102.0')).toBe(2026);
    // The age of these says how old the device is.
    expect(
      oldFrom(
        'Mozilla/5.0 (iPhone; CPU iPhone OS 12_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1 Mobile/15E148 Safari/604.1',
      ),
    ).toBe(Number.POSITIVE_INFINITY);
    expect(oldFrom('curl/7.1')).toBe(Number.POSITIVE_INFINITY);
  });

  test('a name that nobody else has is not among it', () => {
    for (const ua of ['Jane Doe personal browser/1.0 x', 'jane@example.com/7 (Linux)', 'x/jane y', 'Mozilla/5.0 (jane) Jane/1 x'])
      expect(JSON.stringify(reduceUserAgent(ua))).not.toMatch(/jane/i);
    expect(reduceUserAgent('Mozilla/5.0 (X11; Linux x86_64) Firefox/123456789123.0')).toMatchObject({
      client: 'Firefox',
      version: '123456789',
      family: { client: 'Firefox', version: '(other)' },
    });
  });
});
