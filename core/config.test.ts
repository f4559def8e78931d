import { describe, expect, test } from 'vitest';
import { parseConfig, SETTINGS, type SettingName } from './config.ts';
import { ClickledgerError } from './errors.ts';

const names = Object.keys(SETTINGS) as SettingName[];
const key = 'ab'.repeat(32);

function mistakesOf(wanted: readonly SettingName[], env: Record<string, string | undefined>): string[] {
  try {
    parseConfig(wanted, env);
  } catch (error) {
    expect(error).toBeInstanceOf(ClickledgerError);
    expect((error as ClickledgerError).code).toBe('bad-settings');
    return (error as ClickledgerError).message.split('\n');
  }
  return [];
}

describe('settings', () => {
  test('every setting says what it is for', () => {
    for (const name of names) expect(SETTINGS[name].help.length, name).toBeGreaterThan(15);
  });

  test('every default is acceptable, and with nothing set exactly those without a default are missing', () => {
    const mistakes = mistakesOf(names, {});
    const missing = names.filter((name) => (SETTINGS[name] as { default?: string }).default === undefined);
    expect(mistakes).toEqual(missing.map((name) => `${name} is not set: ${SETTINGS[name].help}`));
  });

  test('defaults are parsed like what is given', () => {
    const config = parseConfig(['PORT', 'WINDOW_MIB', 'WORKER_SHARDS', 'MMDB_PATH', 'LOG_LEVEL', 'KEEP_LOGS_DAYS'], {});
    expect(config).toEqual({ PORT: 3000, WINDOW_MIB: 64, WORKER_SHARDS: [], MMDB_PATH: '', LOG_LEVEL: 'info', KEEP_LOGS_DAYS: 7 });
    expect(Object.isFrozen(config)).toBe(true);
  });

  test('an empty value counts as not set', () => {
    expect(parseConfig(['PORT'], { PORT: '' }).PORT).toBe(3000);
    expect(mistakesOf(['LOG_DIR'], { LOG_DIR: '' })).toEqual([expect.stringContaining('LOG_DIR is not set')]);
  });

  test('all mistakes come in one error, each naming its setting', () => {
    const env = {
      BASE_URL: 'ftp://x',
      CATALOG_URL: 'mysql://x',
      SHARDS: 'a=01=postgres://db/x',
      SLUG_KEYS: 'abc',
      PORT: '65536',
      WINDOW_MIB: '1.5',
      POLL_MS: 'soon',
      LOG_LEVEL: 'loud',
    };
    const wanted = Object.keys(env) as SettingName[];
    const mistakes = mistakesOf([...wanted, 'LOG_DIR'], env);
    expect(mistakes.map((line) => line.split(/[: ]/)[0])).toEqual([...wanted, 'LOG_DIR']);
    expect(mistakes.join('\n')).toContain('must begin at 00');
    expect(mistakes.join('\n')).toContain('64 hex digits');
    expect(mistakes.join('\n')).toContain('must be a whole number');
  });

  test('no mistake repeats a secret', () => {
    const secret = 'hunter2hunter2';
    const env = { CATALOG_URL: `mysql://me:${secret}@x`, SLUG_KEYS: secret, SHARDS: `postgres://me:${secret}@db/x` };
    expect(mistakesOf(['CATALOG_URL', 'SLUG_KEYS', 'SHARDS'], env).join()).not.toContain(secret);
  });

  test('only what is asked for is looked at', () => {
    expect(parseConfig(['PORT'], { PORT: '1', SHARDS: 'nonsense' })).toEqual({ PORT: 1 });
  });

  test.each([
    ['PORT', '0', 0],
    ['PORT', '65535', 65535],
    ['BASE_URL', 'https://t.example.org///', 'https://t.example.org'],
    ['BASE_URLS', 'https://b.example/, http://c.example:8080', ['https://b.example', 'http://c.example:8080']],
    ['WORKER_SHARDS', 'a,b', ['a', 'b']],
  ] as const)('%s=%s is %j', (name, text, value) => {
    expect(parseConfig([name], { [name]: text })).toEqual({ [name]: value });
  });

  test.each(['-1', '1e3', ' 5', '0x10', '5 ', '65536', '99999999999999999999'])('PORT=%s is refused', (text) => {
    expect(mistakesOf(['PORT'], { PORT: text })).toHaveLength(1);
  });

  test('PARTS comes parsed, none where it is not set', () => {
    const parts = (text: string) => parseConfig(['PARTS'], { PARTS: text }).PARTS;
    expect(parts('')).toEqual([]);
    expect(parts('backend-1=http://127.0.0.1:9101/, agent=https://edge.example:9102')).toEqual([
      { name: 'backend-1', url: 'http://127.0.0.1:9101' },
      { name: 'agent', url: 'https://edge.example:9102' },
    ]);
    for (const invalid of ['http://127.0.0.1:9101', 'a=127.0.0.1:9101', 'a=http://x,a=http://y', 'A=http://x', 'a='])
      expect(mistakesOf(['PARTS'], { PARTS: invalid }), invalid).toEqual([expect.stringContaining('PARTS: ')]);
  });

  test('SHARDS and SLUG_KEYS come parsed', () => {
    const config = parseConfig(['SHARDS', 'SLUG_KEYS'], { SHARDS: 'a=00=postgres://db/x', SLUG_KEYS: `${key}, ${key.toUpperCase()}` });
    expect(config.SHARDS.first.name).toBe('a');
    expect(config.SLUG_KEYS.map(({ fingerprint }) => fingerprint)).toHaveLength(2);
  });
});
