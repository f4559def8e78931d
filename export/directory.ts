import { createHash } from 'node:crypto';
import { access, constants, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { asyncBufferFromFile } from 'hyparquet';
import { ClickledgerError, codeOf } from '../core/errors.ts';
import { replaceFile, syncDirectory } from '../core/files.ts';
import { MANIFEST, type Storage } from './storage.ts';

// An export in a local directory. The caller has locked it, so no other process of this machine writes to it.

const WORK = '.tmp';

export async function openDirectory(path: string): Promise<Storage> {
  const root = resolve(path);
  const workDir = join(root, WORK);
  await mkdir(root, { recursive: true });
  await access(root, constants.W_OK);
  // Files that a process before this one did not finish.
  await rm(workDir, { recursive: true, force: true });
  await mkdir(workDir, { mode: 0o700 });
  const manifest = join(root, MANIFEST);
  const versionOf = (text: string): string => createHash('sha256').update(text).digest('hex');

  async function readManifest() {
    try {
      const text = await readFile(manifest, 'utf8');
      return { text, version: versionOf(text) };
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  return {
    name: root,
    workDir,
    readManifest,
    async replaceManifest(text, before) {
      // The lock keeps other processes of this machine away. This finds those of another machine that has the directory, too.
      if ((await readManifest())?.version !== before)
        throw new ClickledgerError('conflict', `another export writes to ${root}: only one may write at a time`);
      await replaceFile(manifest, text, 0o644);
      return versionOf(text);
    },
    async store(local, to) {
      const target = join(root, to);
      const directory = dirname(target);
      const created = await mkdir(directory, { recursive: true });
      await rename(local, target);
      await syncDirectory(directory);
      // A new directory is an entry of the directory above it.
      for (let above = dirname(directory); created !== undefined && above.startsWith(root); above = dirname(above)) {
        await syncDirectory(above);
        if (above === root) break;
      }
    },
    async list() {
      const entries = await readdir(root, { recursive: true, withFileTypes: true });
      const found = new Map<string, number>();
      for (const entry of entries) {
        const file = join(entry.parentPath, entry.name);
        if (entry.isFile() && !file.startsWith(`${workDir}/`)) found.set(relative(root, file), (await stat(file)).size);
      }
      return found;
    },
    open: async (file) => asyncBufferFromFile(join(root, file)),
    async remove(file) {
      await rm(join(root, file), { force: true });
    },
  };
}
