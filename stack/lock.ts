import { link, mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClickledgerError, codeOf } from '../core/errors.ts';
import { isRunning, startTimeOf } from './process.ts';

/**
 * Locks a data directory for this process, so that no second process runs on it. Throws `already-running` if another process has the lock.
 */
export async function lockDataDir(dataDir: string): Promise<{ release: () => Promise<void> }> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  return lockPath(
    join(dataDir, 'lock'),
    (pid) => `clickledger already runs on ${dataDir} (process ${pid}). Stop it first, or give another --data.`,
  );
}

/**
 * Creates the lock `path` for this process. Throws `already-running` if another process of this machine has the lock; `describe` returns the
 * message. If the process that had the lock no longer exists, this process takes the lock.
 */
export async function lockPath(path: string, describe: (pid: string) => string): Promise<{ release: () => Promise<void> }> {
  const ownPath = `${path}.${process.pid}`;
  const line = `${process.pid} ${await startTimeOf(process.pid)}\n`;
  await writeFile(ownPath, line, { mode: 0o600 });
  try {
    for (;;) {
      try {
        // Unlike writing, `link` is atomic: it fails if the lock exists, and no reader sees an incomplete lock.
        await link(ownPath, path);
        return {
          async release() {
            await unlink(path).catch(() => {});
          },
        };
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error;
      }
      const owner = await readFile(path, 'utf8').catch(() => '');
      if (await isRunning(owner)) throw new ClickledgerError('already-running', describe(owner.split(' ')[0] ?? ''));
      // Several processes may find the lock of a process that has exited. Only one of them can move the lock away.
      await rename(path, `${ownPath}.dead`).catch(() => {});
      await unlink(`${ownPath}.dead`).catch(() => {});
    }
  } finally {
    await unlink(ownPath).catch(() => {});
  }
}
