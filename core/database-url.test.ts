import { describe, expect, test } from 'vitest';
import { changeDatabaseUrl, formatDatabaseUrl, parseDatabaseUrl, singleHostUrls } from './database-url.ts';

describe('the URL of a database', () => {
  test('has one host or several', () => {
    const one = parseDatabaseUrl('postgres://ann:se%2Ccret@db1:5433/name?sslmode=require');
    expect(one).toMatchObject({ hosts: ['db1:5433'], sessionAttrs: 'any' });
    const three = parseDatabaseUrl('postgresql://ann:s@db1:1,[::1]:2,db3/name?target_session_attrs=prefer-standby&sslmode=require');
    expect(three).toMatchObject({ hosts: ['db1:1', '[::1]:2', 'db3'], sessionAttrs: 'prefer-standby' });
    expect(singleHostUrls(three)).toEqual([
      'postgresql://ann:s@db1:1/name?sslmode=require',
      'postgresql://ann:s@[::1]:2/name?sslmode=require',
      'postgresql://ann:s@db3/name?sslmode=require',
    ]);
  });

  test('of several hosts means the server that can be written to, unless it says otherwise', () => {
    expect(parseDatabaseUrl('postgres://a@h1,h2/n').sessionAttrs).toBe('read-write');
    expect(parseDatabaseUrl('postgres://a@h1,h2/n?target_session_attrs=any').sessionAttrs).toBe('any');
  });

  test.each([
    'postgres://ann:secret@db1:5432',
    'postgres://ann:secret@db1:5432,db2:5432/a%20b?sslmode=verify-full',
    'postgres://db1,db2/name',
    'postgres://[::1]:5432,[::2]/name',
  ])('%s is the same after it was parsed', (text) => {
    const { url, hosts } = parseDatabaseUrl(text);
    expect(formatDatabaseUrl(url, hosts)).toBe(text);
  });

  test('keeps its hosts when something else changes', () => {
    const change = (url: URL): void => void Object.assign(url, { username: 'bob', password: 'p@ss', pathname: '/other' });
    expect(changeDatabaseUrl('postgres://ann@h1:1,h2:2/n?sslmode=require', change)).toBe(
      'postgres://bob:p%40ss@h1:1,h2:2/other?sslmode=require',
    );
  });

  test.each([
    'mysql://ann:secret@db1/n',
    'postgres://a@h1,b=V0/n',
    'postgres://ann:secret@db1,/n',
    'postgres://ann:secret@db1:x,db2/n',
    'postgres://ann:secret@db1,db2/n?target_session_attrs=master',
    'db1',
    '',
  ])('%j is refused, and its password is not shown', (text) => {
    expect(() => parseDatabaseUrl(text)).toThrow(
      expect.objectContaining({ code: 'bad-settings', message: expect.not.stringContaining('secret') }),
    );
  });
});
