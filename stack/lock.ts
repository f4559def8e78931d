import { link, mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClickledgerError, codeOf } from '../core/errors.ts';
import { isAlive, startTimeOf } from './process.ts';

/**
 * Makes this process the only one that runs a data directory; throws `already-running` otherwise. Gone with the process:
 * a lock whose owner is no more is taken over.
 */
export async function lockData(dataDir: string): Promise<{ release: () => Promise<void> }> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const path = join(dataDir, 'lock');
  const mine = `${path}.${process.pid}`;
  const line = `${process.pid} ${await startTimeOf(process.pid)}\n`;
  await writeFile(mine, line);
  try {
    for (;;) {
      try {
        // Unlike writing, linking shows the whole content at once, and only if the name is free.
        await link(mine, path);
        return {
          async release() {
            await unlink(path).catch(() => {});
          },
        };
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error;
      }
      const owner = await readFile(path, 'utf8').catch(() => '');
      if (await isAlive(owner)) {
        throw new ClickledgerError(
          'already-running',
          `clickledger already runs on ${dataDir} (process ${owner.split(' ')[0]}); end it first or give another --data`,
        );
      }
      // Several may find the same dead owner: only one of them can move its lock away.
      await rename(path, `${mine}.dead`).catch(() => {});
      await unlink(`${mine}.dead`).catch(() => {});
    }
  } finally {
    await unlink(mine).catch(() => {});
  }
}
