import fc from 'fast-check';
import { expect, test } from 'vitest';
import { runs } from '../test/support/runs.ts';
import { parseSmtpUrl } from './smtp-url.ts';

test('the parts of the URL are found, and the port has a default', () => {
  expect(parseSmtpUrl('smtp://mail.example.com')).toEqual({
    host: 'mail.example.com',
    port: 25,
    secure: false,
    user: undefined,
    password: '',
    isLoopback: false,
  });
  expect(parseSmtpUrl('smtp://shop:a%40b@mail.example.com/')).toMatchObject({ port: 587, user: 'shop', password: 'a@b' });
  expect(parseSmtpUrl('smtps://shop:x@mail.example.com')).toMatchObject({ port: 465, secure: true });
  expect(parseSmtpUrl('smtps://shop:x@mail.example.com:2465')).toMatchObject({ port: 2465 });
  for (const host of ['localhost', '127.0.0.1', '127.1.2.3', '[::1]'])
    expect(parseSmtpUrl(`smtp://${host}:2525`)).toMatchObject({ isLoopback: true, host: host.replace(/[[\]]/g, '') });
  expect(parseSmtpUrl('smtp://localhost.example.com')).toMatchObject({ isLoopback: false });
});

test('a mistake is explained without the password', () => {
  for (const url of ['mail.example.com', 'http://u:secret@h', 'smtp://', 'smtp://u:secret@h/path', 'smtp://u:secret@h?tls=no', ''])
    expect(() => parseSmtpUrl(url)).toThrow(/^the URL of the mail server must be smtp:\/\/HOST(?!.*secret)/);
  expect(() => parseSmtpUrl('smtp://:secret@h')).toThrow(/a password and no user(?!.*secret)/);
  expect(() => parseSmtpUrl('smtp://u:secret%@h')).toThrow(/write %25(?!.*secret)/);
});

test('any user and password survive if they are percent-encoded', () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(text, text, (user, password) => {
      const url = `smtp://${encodeURIComponent(user)}:${encodeURIComponent(password)}@h.example`;
      expect(parseSmtpUrl(url)).toMatchObject({ user, password });
    }),
    runs(300),
  );
});
