import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runs } from '../test/support/runs.ts';
import { envText, parseEnv } from './env-file.ts';

/** Reads the value of a line in an EnvironmentFile as systemd does (parse_env_file in the sources of systemd). */
function asSystemd(line: string): string {
  let value = '';
  let state: 'before' | 'plain' | "'" | '"' = 'before';
  const characters = Array.from(line);
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] as string;
    if (state === "'" || state === '"') {
      if (character === state) state = 'before';
      else if (state === '"' && character === '\\') value += '"\\`$'.includes(characters[i + 1] ?? ' ') ? characters[++i] : '\\';
      else value += character;
    } else if (state === 'before' && (character === '"' || character === "'")) state = character;
    else if (character === '\\') {
      value += characters[++i] ?? '';
      state = 'plain';
    } else if (state !== 'before' || !/[ \t]/.test(character)) {
      value += character;
      state = 'plain';
    }
  }
  return state === 'plain' ? value.replace(/[ \t]+$/, '') : value;
}

const value = fc.string({ unit: fc.constantFrom(...Array.from(`az/:.@&?=%# \t"'$\`\\{};*[]éß雪\u00a0\u2028`)), maxLength: 12 });

describe('a settings file', () => {
  test('has each value as it was, for this program and for systemd', () => {
    fc.assert(
      fc.property(value, value, (one, other) => {
        const text = envText({ LOG_DIR: one, STATE_DIR: other });
        expect(parseEnv(text)).toEqual({ LOG_DIR: one, STATE_DIR: other });
        expect(text.split('\n').map((line) => asSystemd(line.slice(line.indexOf('=') + 1)))).toEqual([one, other, '']);
      }),
      runs(2_000),
    );
  });

  test.each([
    ['a value in quotes that a person wrote', `LOG_DIR="/my logs"`, '/my logs'],
    ['single quotes', `LOG_DIR='/my $logs'`, '/my $logs'],
    ['a value with quotes inside', `LOG_DIR=/my "old" logs`, '/my "old" logs'],
    ['a backslash without quotes, as earlier versions wrote it', String.raw`LOG_DIR=/my\logs`, String.raw`/my\logs`],
    ['a # that begins no comment', 'LOG_DIR=/my#logs # 2', '/my#logs # 2'],
    ['a line from Windows', 'LOG_DIR=/logs\r', '/logs'],
  ])('%s', (_, line, expected) => {
    expect(parseEnv(`# comment\nLOG_DIR\n${line}\n`)).toEqual({ LOG_DIR: expected });
  });

  test('refuses a line break', () => {
    expect(() => envText({ LOG_DIR: 'a\nb' })).toThrow('LOG_DIR has a line break');
  });
});
