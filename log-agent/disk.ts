import { statfs } from 'node:fs/promises';

/** The space of one file system. */
export interface Disk {
  /** Bytes that this process may still write. File systems reserve a few per cent for root. */
  freeBytes: number;
  sizeBytes: number;
}

/** Free and total bytes of the file system of `path`. Rejects if the path cannot be read. */
export async function diskOf(path: string): Promise<Disk> {
  const { bavail, blocks, bsize } = await statfs(path);
  return { freeBytes: bavail * bsize, sizeBytes: blocks * bsize };
}
