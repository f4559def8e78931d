import { appendFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { logLine } from '../test/support/log-lines.ts';
import { temporaryDirectory } from '../test/support/servers.ts';
import { CompressedFile, scanCompressed } from './compressed-file.ts';
import { openPlainFile, PlainFile } from './plain-file.ts';

const T = 1_790_000_000;
const lines = [0, 1, 2, 3].map((i) => logLine({ t: T + i + 0.5, ua: i === 1 ? '","t":99,"' : 'x'.repeat(9_000 * (i % 2)) }));

async function plainFile(text: string): Promise<{ file: PlainFile; path: string }> {
  const path = join(await temporaryDirectory(), 'access.log');
  await writeFile(path, text);
  const opened = await openPlainFile(path);
  if (!opened) throw new Error('the file does not exist');
  const file = new PlainFile(opened.file, path);
  onTestFinished(() => file.close());
  await file.refresh();
  return { file, path };
}

test('a plain log tells when each of its lines was logged, and nothing of one that is not whole', async () => {
  const { file, path } = await plainFile(lines.join('') + lines[0]?.slice(0, 100));
  let off = 0;
  for (const [i, line] of lines.entries()) {
    expect(await file.loggedAtMs(off)).toBe((T + i + 0.5) * 1000);
    off += line.length;
  }
  expect(await file.loggedAtMs(off)).toBeUndefined();
  await appendFile(path, lines[0]?.slice(100) ?? '');
  await file.refresh();
  expect(await file.loggedAtMs(off)).toBe((T + 0.5) * 1000);
});

test('where nothing legible stands it was logged before the file was last written', async () => {
  const { file, path } = await plainFile(`${lines[0]}torn\n`);
  await utimes(path, T + 60, T + 60);
  await file.refresh();
  expect(await file.loggedAtMs(lines[0]?.length ?? 0)).toBe((T + 60) * 1000);
});

test('a gzip tells when its first line was, so that reading it in order is not disturbed', async () => {
  const path = join(await temporaryDirectory(), 'access.log.2.gz');
  await writeFile(path, gzipSync(lines.join('')));
  const result = await scanCompressed(path, 'gzip');
  if (!('log' in result)) throw new Error('the file is not a gzip');
  const file = new CompressedFile(path, 'gzip', { ...result.log, mtimeMs: 0 });
  onTestFinished(() => file.close());
  expect(await file.loggedAtMs()).toBe((T + 0.5) * 1000);
});
