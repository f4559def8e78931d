import { once } from 'node:events';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ClickledgerError } from '../core/errors.ts';

// Writes the output files of authors' commands. The files contain people's mail addresses, so only their owner may read them (mode 0600, in
// directories with mode 0700). A run that fails leaves no file that looks complete.

export interface OutputFile {
  /** Writes content, and waits if the disk is slower than the writer. */
  write(content: string | Buffer): Promise<void>;
  /** Closes the file and gives it its final name. */
  end(): Promise<void>;
  /** Closes the file without giving it its final name. Does nothing after `end`. */
  abandon(): Promise<void>;
}

/** Creates a file that has the suffix `.part` until it is complete. `end` renames it to `path`. */
export async function openOutputFile(path: string): Promise<OutputFile> {
  const partPath = `${path}.part`;
  const stream = (await open(partPath, 'w', 0o600)).createWriteStream();
  const failed = new Promise<never>((_, reject) => stream.once('error', reject));
  failed.catch(() => {});
  return {
    async write(content) {
      if (!stream.write(content)) await Promise.race([once(stream, 'drain'), failed]);
    },
    async end() {
      stream.end();
      await Promise.race([once(stream, 'close'), failed]);
      await rename(partPath, path);
    },
    async abandon() {
      if (stream.closed) return;
      stream.destroy();
      await once(stream, 'close').catch(() => {});
    },
  };
}

/**
 * Runs `work` with a new or empty directory. If `work` fails, a new directory is removed and an existing one is emptied. Throws `conflict`
 * if the directory is not empty.
 */
export async function withOutputDirectory<T>(directory: string, work: () => Promise<T>): Promise<T> {
  const created = await mkdir(directory, { recursive: true, mode: 0o700 });
  // Otherwise the author might send letters of an earlier run together with the new letters.
  if ((await readdir(directory)).length > 0)
    throw new ClickledgerError('conflict', `${directory} is not empty. Give another directory with --out, or remove this one.`);
  return removeOnFailure(
    async () => (created === undefined ? (await readdir(directory)).map((name) => join(directory, name)) : [directory]),
    work,
  );
}

/** Runs `work`, which writes the file `path`. If `work` fails, the incomplete file is removed. Throws `conflict` if the file exists. */
export async function withOutputFile<T>(path: string, work: () => Promise<T>): Promise<T> {
  if (await stat(path).catch(() => undefined))
    throw new ClickledgerError('conflict', `${path} exists. Give another file with --out, or remove this one.`);
  return removeOnFailure(async () => [`${path}.part`], work);
}

async function removeOnFailure<T>(pathsToRemove: () => Promise<string[]>, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    for (const path of await pathsToRemove()) await rm(path, { recursive: true, force: true });
    throw error;
  }
}
