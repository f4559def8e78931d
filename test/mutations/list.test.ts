import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { MUTATIONS } from './list.ts';

const read = (file: string): Promise<string> => readFile(fileURLToPath(new URL(`../../${file}`, import.meta.url)), 'utf8');

test('every mutation still finds the line it breaks, and the test that must notice', async () => {
  for (const { file, from, test: testFile } of MUTATIONS) {
    expect((await read(file)).split(from), `${file}: ${from}`).toHaveLength(2);
    expect(await read(testFile)).toContain('test(');
  }
});
