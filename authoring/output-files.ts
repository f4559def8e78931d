import { once } from 'node:events';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ClickledgerError } from '../core/errors.ts';

// What is written for authors has people's addresses in it: nobody else may read it, and a run that fails leaves nothing that looks finished.

export interface OutputFile {
  /** Waits while the disk is behind. */
  write(content: string | Buffer): Promise<void>;
  end(): Promise<void>;
  /** Closes it as it is, without its name. */
  abandon(): Promise<void>;
}

/** A file that has its name only when it is whole: until then `.part` is at its end. */
export async function openFile(path: string): Promise<OutputFile> {
  const part = `${path}.part`;
  const stream = (await open(part, 'w', 0o600)).createWriteStream();
  const failed = new Promise<never>((_, reject) => stream.once('error', reject));
  failed.catch(() => {});
  return {
    async write(content) {
      if (!stream.write(content)) await Promise.race([once(stream, 'drain'), failed]);
    },
    async end() {
      stream.end();
      await Promise.race([once(stream, 'close'), failed]);
      await rename(part, path);
    },
    async abandon() {
      if (stream.closed) return;
      stream.destroy();
      await once(stream, 'close').catch(() => {});
    },
  };
}

/** Runs `work` in a new or empty directory, which is gone or empty again if it fails. */
export async function intoDirectory<T>(directory: string, work: () => Promise<T>): Promise<T> {
  const made = await mkdir(directory, { recursive: true, mode: 0o700 });
  // Letters of another run among these would be sent, too.
  if ((await readdir(directory)).length > 0)
    throw new ClickledgerError('conflict', `${directory} is not empty: give another place with --out, or remove it`);
  return orRemove(async () => (made === undefined ? (await readdir(directory)).map((name) => join(directory, name)) : [directory]), work);
}

/** The same for one file that must not be there yet. */
export async function intoFile<T>(path: string, work: () => Promise<T>): Promise<T> {
  if (await stat(path).catch(() => undefined))
    throw new ClickledgerError('conflict', `${path} exists: give another place with --out, or remove it`);
  return orRemove(async () => [`${path}.part`], work);
}

async function orRemove<T>(leftOver: () => Promise<string[]>, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    for (const path of await leftOver()) await rm(path, { recursive: true, force: true });
    throw error;
  }
}
