import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { libraryPath, locate, type Program } from '../../stack/debian.ts';
import { temporaryDirectory } from '../support/servers.ts';
import { VECTORS_PATH, vectorsText } from './vectors.ts';

// Tests that the vectors are those of the product, and that the examples in other languages agree with all of them.

const run = promisify(execFile);

/** Returns the path of the first of these programs that the machine or its distribution has. */
async function locateFirst(programs: readonly Program[]): Promise<string> {
  const failures: unknown[] = [];
  for (const program of programs) {
    try {
      return await locate(program, (text) => process.stderr.write(`${text}\n`));
    } catch (error) {
      failures.push(error);
    }
  }
  throw new AggregateError(failures, `none of ${programs.join(', ')} can be found`);
}

test('the vectors are what the product makes of them', async () => {
  const text = await readFile(VECTORS_PATH, 'utf8');
  expect(text).toBe(vectorsText());
  const { slugs, other_spellings, refused } = JSON.parse(text) as Record<string, unknown[]>;
  expect(slugs?.length).toBeGreaterThanOrEqual(1000);
  expect(other_spellings?.length).toBeGreaterThan(10);
  expect(refused?.length).toBeGreaterThan(100);
});

test.each<[string, readonly Program[], string]>([
  ['Python', ['python3'], 'clickledger.py'],
  ['PHP', ['php8.2', 'php8.3', 'php8.4'], 'clickledger.php'],
])('the example in %s agrees with all vectors', { timeout: 120_000 }, async (_, programs, file) => {
  const program = await locateFirst(programs);
  const example = fileURLToPath(new URL(`../../examples/urls/${file}`, import.meta.url));
  const env = { PATH: process.env['PATH'] ?? '', LD_LIBRARY_PATH: libraryPath(program) };
  const vectors = JSON.parse(await readFile(VECTORS_PATH, 'utf8')) as Record<string, unknown[]>;
  const { stdout } = await run(program, [example, VECTORS_PATH], { env });
  const count = (name: string): number => vectors[name]?.length ?? 0;
  expect(stdout).toBe(
    `${3 * count('slugs') + count('other_spellings') + count('refused') + count('aliases') + count('urls')} vectors are right\n`,
  );
  // Keys that would give invalid slugs are refused, and a slash at the end of the base URL does not matter.
  const changed = async (change: object) => {
    const path = join(await temporaryDirectory(), 'changed.json');
    await writeFile(path, JSON.stringify({ ...vectors, ...change }));
    return run(program, [example, path], { env });
  };
  const keys = vectors['keys'] as string[];
  for (const key of ['ab', keys.join(','), `${keys[0]}\n`]) {
    const error = await changed({ keys: [key, key, key] }).catch((thrown: { stdout: string; stderr: string }) => thrown);
    expect(error.stdout + error.stderr).toContain('64 hex digits');
  }
  expect((await changed({ base_url: `${String(vectors['base_url'])}/` })).stdout).toContain('vectors are right');
  // The example notices a wrong vector.
  const wrong = join(await temporaryDirectory(), 'wrong.json');
  const [first] = vectors['slugs'] as [unknown[]];
  await writeFile(wrong, JSON.stringify({ ...vectors, slugs: [[...first.slice(0, 3), 'wrong', first[4]]] }));
  await expect(run(program, [example, wrong], { env })).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('instead of') });
});
