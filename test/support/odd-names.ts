import fc from 'fast-check';

/** Characters that have a special meaning in a shell, nginx, NATS, Postgres, systemd or a URL, or that are not ASCII. */
const ODD = Array.from(` "'\`$;#{}()[]<>|&*?!~^=,:%+@\\\téß雪🙂\u00a0\u200f\x01`);

/** Names of directories. Each contains several of these characters, or words that a program may replace (`$HOME`, `%41`, `\n`). */
const oddName = fc
  .array(
    fc.oneof(fc.constantFrom(...ODD), fc.constantFrom('a', 'my data', '$HOME', '${HOME}', '$uri', '%41', '%i', '\\n', '--', '..', '#1')),
    {
      minLength: 2,
      maxLength: 8,
    },
  )
  .map((parts) => `x${parts.join('')}`)
  .filter((name) => Buffer.byteLength(name) < 100);

/** Returns a name with all odd characters, one name for each odd character, and `count` random names that are the same in every run. */
export function oddNames(count: number): string[] {
  return [`all ${ODD.join('')}`, ...ODD.map((character) => `a${character}b`), ...fc.sample(oddName, { numRuns: count, seed: 1 })];
}
