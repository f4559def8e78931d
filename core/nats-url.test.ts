import { describe, expect, test } from 'vitest';
import { natsUrlWithCredentials, parseNatsUrl } from './nats-url.ts';

describe('the URL of NATS', () => {
  test('says where the servers are, who we are there, and whether TLS is wanted', () => {
    expect(parseNatsUrl('nats://agent:se%40cret@n1:4222, nats://agent:se%40cret@[::1]:4223')).toEqual({
      servers: ['n1:4222', '[::1]:4223'],
      user: 'agent',
      password: 'se@cret',
      tls: false,
    });
    expect(parseNatsUrl('tls://n1')).toEqual({ servers: ['n1'], user: undefined, password: '', tls: true });
  });

  test.each([
    'n1:4222',
    'http://n1',
    'nats://',
    'nats://agent:secret@n1,n2',
    'nats://agent:secret@n1,nats://n2',
    'nats://agent:secret@n1,nats://agent:other@n2',
    'tls://agent:secret@n1,nats://agent:secret@n2',
    'nats://agent:secret%@n1',
    '',
  ])('%j is refused, and its password is not shown', (text) => {
    expect(() => parseNatsUrl(text)).toThrow(
      expect.objectContaining({ code: 'bad-settings', message: expect.not.stringContaining('secret') }),
    );
  });

  test('takes other credentials in every server', () => {
    expect(natsUrlWithCredentials('tls://n1:4222,tls://[::1]', 'worker', 'p@ss')).toBe(
      'tls://worker:p%40ss@n1:4222,tls://worker:p%40ss@[::1]',
    );
  });
});
