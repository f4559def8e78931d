import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runs } from '../test/support/runs.ts';
import { ClickledgerError } from './errors.ts';
import { evenShards, parseShards, shardUrl } from './shards.ts';
import { TAG_ALPHABET } from './slug.ts';

const ALL_TAGS = Array.from(TAG_ALPHABET).flatMap((a) => Array.from(TAG_ALPHABET, (b) => a + b));
const db = 'postgres://db/x';

function messageOf(text: string): string {
  try {
    parseShards(text);
  } catch (error) {
    expect(error).toBeInstanceOf(ClickledgerError);
    expect((error as ClickledgerError).code).toBe('bad-settings');
    expect((error as ClickledgerError).message).not.toContain('\n');
    return (error as ClickledgerError).message;
  }
  throw new Error(`'${text}' was accepted`);
}

describe('SHARDS', () => {
  test.each([
    ['', 'begin with a shard name'],
    [`A=00=${db}`, 'begin with a shard name'],
    [`1a=00=${db}`, 'begin with a shard name'],
    [`${'a'.repeat(17)}=00=${db}`, 'begin with a shard name'],
    [`a=0=${db}`, 'not two characters'],
    [`a=0-=${db}`, 'not two characters'],
    ['a=00', 'postgres:// URL'],
    ['a=00=http://db/x', 'postgres:// URL'],
    ['a=00=postgres://me:secret@db/x', 'credentials'],
    [`a=01=${db}`, 'must begin at 00'],
    [`a=00=${db},b=V0=${db},c=V0=${db}`, 'above the one before'],
    [`a=00=${db},b=a0=${db},c=Z0=${db}`, 'above the one before'],
    [`a=00=${db},a=V0=${db}`, 'twice'],
    [`a=00=${db},`, 'begin with a shard name'],
  ])('%s is refused: %s', (text, why) => {
    expect(messageOf(text)).toContain(why);
  });

  test('no message shows a password', () => {
    for (const text of [
      'a=00=postgres://me:secret@db/x',
      'a=postgres://me:secret@db/x',
      '=00=postgres://me:secret@db/x',
      'postgres://me:secret@db/x',
      `A=00=${db},postgres://me:secret@db/x`,
    ])
      expect(messageOf(text)).not.toContain('secret');
  });

  test('a tag is on the shard with the highest bound not above it, bytewise', () => {
    const bounds = fc.uniqueArray(fc.constantFrom(...ALL_TAGS.slice(1)), { maxLength: 8 });
    fc.assert(
      fc.property(bounds, (chosen) => {
        const froms = ['00', ...chosen].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
        const map = parseShards(froms.map((from, i) => `s${i}=${from}=${db}${i}`).join(','));
        for (const tag of ALL_TAGS) {
          const expected = froms.filter((from) => Buffer.compare(Buffer.from(from), Buffer.from(tag)) <= 0).length - 1;
          if (map.of(tag).name !== `s${expected}`) expect(`${tag} on ${map.of(tag).name}`).toBe(`${tag} on s${expected}`);
        }
        expect(map.first.name).toBe('s0');
      }),
      runs(30),
    );
  });

  test('the fingerprint depends on names and bounds, and on nothing else', () => {
    const { fingerprint } = parseShards(`a=00=${db},b=V0=${db}`);
    expect(parseShards(' a=00=postgres://elsewhere/y , b=V0=postgresql://elsewhere:1/z').fingerprint).toBe(fingerprint);
    expect(parseShards(`a=00=${db},b=V1=${db}`).fingerprint).not.toBe(fingerprint);
    expect(parseShards(`a=00=${db},c=V0=${db}`).fingerprint).not.toBe(fingerprint);
    expect(parseShards(`a=00=${db}`).fingerprint).not.toBe(fingerprint);
  });

  test('a URL may contain an equals sign', () => {
    expect(parseShards(`a=00=${db}?sslmode=require`).first.url).toBe(`${db}?sslmode=require`);
  });

  test('a shard is found by name, and an unknown name is answered with those there are', () => {
    const map = parseShards(`a=00=${db},b=V0=${db}`);
    expect(map.named('b').from).toBe('V0');
    expect(() => map.named('c')).toThrow("shard 'c' does not exist; SHARDS has a, b");
  });
});

describe('evenShards', () => {
  test('cuts the tags into parts that differ by one at most', () => {
    for (let count = 1; count <= 26; count++) {
      const map = parseShards(evenShards(count, (name) => `${db}_${name}`));
      expect(map.list).toHaveLength(count);
      const sizes = new Map(map.list.map(({ name }) => [name, 0]));
      for (const tag of ALL_TAGS) sizes.set(map.of(tag).name, (sizes.get(map.of(tag).name) ?? 0) + 1);
      expect(Math.max(...sizes.values()) - Math.min(...sizes.values())).toBeLessThanOrEqual(1);
    }
  });

  test.each([0, 27, 1.5, Number.NaN, -1])('refuses %s shards', (count) => {
    expect(() => evenShards(count, () => db)).toThrow('from 1 to 26');
  });
});

describe('shardUrl', () => {
  test("is the shard's address with the role's credentials, percent-escapes kept", () => {
    const { first } = parseShards('a=00=postgres://db1:6000/shard_a?sslmode=require');
    expect(shardUrl(first, 'postgres://clickledger_worker:p%40s%25s%3A%2F@catalog/x')).toBe(
      'postgres://clickledger_worker:p%40s%25s%3A%2F@db1:6000/shard_a?sslmode=require',
    );
  });
});
