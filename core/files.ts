import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ClickledgerError, codeOf } from './errors.ts';

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or directory',
  ENOTDIR: 'a directory of the path is a file',
  EISDIR: 'it is a directory',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
};

/** Turns the error of a file operation into a one-line message for the user of a command; undefined for any other error. */
export function explainFileError(error: unknown): ClickledgerError | undefined {
  const code = codeOf(error);
  const { path } = error as { path?: unknown };
  if (code === undefined || (typeof path !== 'string' && !['EISDIR', 'ENOSPC', 'EROFS', 'EDQUOT'].includes(code))) return undefined;
  return new ClickledgerError('bad-input', `cannot use ${typeof path === 'string' ? path : 'a file'}: ${REASONS[code] ?? code}`, {
    cause: error,
  });
}

/**
 * Replaces the content of a file atomically: after a crash or a power loss the file has either the whole old content or the whole new one.
 * `mode` is the permissions of the file.
 */
export async function replaceFile(path: string, content: string, mode = 0o600): Promise<void> {
  const temporary = `${path}.tmp`;
  const file = await open(temporary, 'w', mode);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

/** Writes the entries of a directory to the disk, so that a created or renamed file is there after a power loss. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
