import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hostOf } from './fold-values.ts';

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
