import type { AsyncBuffer } from 'hyparquet';

// Where an export is: a directory, or a prefix in a bucket. Paths are relative to it, with `/`.

/** The manifest, and the version of it that a replacement must name. */
export interface StoredManifest {
  readonly text: string;
  readonly version: string;
}

export interface Storage {
  /** For people; without credentials. */
  readonly name: string;
  /** A local directory for files that are being written. It belongs to this process. */
  readonly workDir: string;
  readManifest(): Promise<StoredManifest | undefined>;
  /**
   * Replaces the manifest atomically, and returns its new version. `before` is the version that was read; undefined: there must be none. Throws
   * `conflict` if another process has replaced it since then.
   */
  replaceManifest(text: string, before: string | undefined): Promise<string>;
  /** Stores a finished local file, which is then gone. After that it survives a loss of power. */
  store(local: string, path: string, sha256: string): Promise<void>;
  /** All files with their sizes in bytes, also those that do not belong to the export. */
  list(): Promise<Map<string, number>>;
  open(path: string): Promise<AsyncBuffer>;
  remove(path: string): Promise<void>;
}

export const MANIFEST = 'manifest.json';
