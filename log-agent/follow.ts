import type { Stats } from 'node:fs';
import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CompressedFile, type CompressedFault, type CompressedLog, CompressedScan } from './compressed-file.ts';
import { type Compression, type FileKind, kindOf } from './file-kind.ts';
import { openPlainFile, PlainFile, readHead } from './plain-file.ts';
import type { Source } from './log-source.ts';

// Finds the generations in the log directory, whatever the names of their files are, and decides which generations are final.
//
// A file is opened when its name first appears, and stays open. A later mv, gzip or rm of the name does not affect reading. The content of
// a file decides which generation it is.
//
// A generation is final when two newer generations exist. For a moment after a rotation, nginx workers write to both files, but no worker
// is normally two rotations late. If a frozen worker is two rotations late and the file grows, the file is followed again. Time alone never
// makes a file final. The quiet time only prevents that a line is cut in two when two rotations follow each other quickly.
//
// A file is a log if its name begins with access.log and its content is plain, gzip or zstd. All other files in the directory are reported,
// and neither read nor deleted. If a file begins with damage, it must be read up to its first valid line before its generation is known.
// This is done in small steps, so that other files are read in between.

const LIVE_NAME = 'access.log';
const LOG_NAME = /^access\.log(?:[.-][^/]*)?$/;
/** Names of copies in progress and of files that editors create. */
const TEMPORARY_NAME = /^\.|~$|\.(?:tmp|temp|part|partial|filepart|crdownload|sw[a-p])$/i;
/** Names of the error logs of nginx, of files of `clickledger drain`, and of files that file systems create in a directory. */
const EXPECTED_NAME = /^(?:error\.log.*|draining|drained|lost\+found|\.nfs.*)$/;
const FULL_SCAN_EVERY_MS = 1000;
/** The number of bytes that one call of `identify` reads from all files without an identity together. */
const IDENTIFY_BYTES = 8 * 1024 * 1024;
const IDENTIFY_FILE_BYTES = 256 * 1024;
/** An incomplete compressed file that was not changed for this time counts as damaged, because nobody writes to it any more. */
const DAMAGED_AFTER_MS = 60_000;

/** One generation and the best source to read it from. */
export interface Generation {
  readonly id: string;
  /** Size in bytes at the time of the last scan. */
  readonly size: number;
  readonly final: boolean;
  readonly mtimeMs: number;
  readonly source: Source;
  /** All files in the directory that have the content of this generation. */
  readonly paths: readonly string[];
}

/** A file that is neither read nor deleted. `what` describes for a person what the file is, or why it cannot be read. */
export interface ForeignFile {
  name: string;
  what: string;
  /** Whether the file is a compressed log that is incomplete or damaged. */
  damaged: boolean;
}

/** The logs that an agent ships: the logs of a log directory (Follower), or some old logs (openFinishedLogs). */
export interface Logs {
  readonly generations: readonly Generation[];
  /** The files in the directory that are not logs, as of the last scan. */
  readonly foreignFiles: readonly ForeignFile[];
  scan(): Promise<void>;
  /** Continues to read the files whose generation is not known yet. Returns false if there are no such files. */
  identify(): Promise<boolean>;
  release(needed: (gen: string) => boolean): Promise<void>;
  close(): Promise<void>;
}

/** Unusual events of log files, which are counted and logged for the operator. */
export const FOLLOW_EVENTS = ['truncated', 'grew-after-final', 'deleted-unread', 'unreadable'] as const;
export type FollowEvent = (typeof FOLLOW_EVENTS)[number];

/** The result of reading a compressed file. If it has a `fault`, the file is not a log. */
type Compressed = { compression: Compression; mtimeMs: number } & ({ log: CompressedLog } | { fault: CompressedFault });

/** A compressed file that is being read to its end. */
interface Scan {
  path: string;
  compression: Compression;
  mtimeMs: number;
  reader: CompressedScan;
}

export interface FollowerOptions {
  directory: string;
  now?: () => number;
  /**
   * A file must be unchanged for this time before the follower does one of two things: mark a plain file with two newer generations as
   * final, or read a compressed file.
   */
  quietMs?: number;
  onEvent?: (event: FollowEvent, path: string | undefined) => void;
}

export class Follower implements Logs {
  readonly #directory: string;
  readonly #now: () => number;
  readonly #quietMs: number;
  readonly #onEvent: (event: FollowEvent, path: string | undefined) => void;
  readonly #unreadable = new Set<string>();
  readonly #plain = new Map<string, PlainFile>();
  // The keys of these three maps consist of device, inode, size and modification time.
  readonly #compressed = new Map<string, CompressedFile>();
  readonly #compressedFacts = new Map<string, Compressed>();
  readonly #scans = new Map<string, Scan>();
  #foreignFiles: ForeignFile[] = [];
  #generations: Generation[] = [];
  /** Whether there are compressed files that may still be written, and so are not read yet. */
  #hasFreshFiles = false;
  #directoryMtimeMs = -1;
  #lastFullScanMs = Number.NEGATIVE_INFINITY;

  constructor(options: FollowerOptions) {
    this.#directory = options.directory;
    this.#now = options.now ?? Date.now;
    this.#quietMs = options.quietMs ?? 5_000;
    this.#onEvent = options.onEvent ?? (() => {});
  }

  /** The generations that have an identity, oldest first, as of the last scan. */
  get generations(): readonly Generation[] {
    return this.#generations;
  }

  /** Whether the directory was read, and the generations of all its logs are known. */
  get identified(): boolean {
    if (this.#lastFullScanMs === Number.NEGATIVE_INFINITY || this.#hasFreshFiles || this.#scans.size > 0) return false;
    return [...this.#plain.values()].every(({ searched }) => searched);
  }

  get foreignFiles(): readonly ForeignFile[] {
    return this.#foreignFiles;
  }

  /**
   * Reads the directory and the state of its files again. The names are read again only if they may have changed, or if `full` is true. Rejects if
   * the directory cannot be read.
   */
  async scan(options: { full?: boolean } = {}): Promise<void> {
    const full = options.full || (await this.#namesMayHaveChanged()) || this.#now() - this.#lastFullScanMs >= FULL_SCAN_EVERY_MS;
    if (full) {
      await this.#readNames();
      this.#lastFullScanMs = this.#now();
    }
    for (const file of this.#plain.values()) if (full || !file.final) await this.#refresh(file);
    await this.identify();
    this.#updateFinal();
    this.#collectGenerations();
  }

  async identify(): Promise<boolean> {
    const plain = [...this.#plain.values()].filter(({ searched }) => !searched);
    const scans = [...this.#scans];
    if (plain.length + scans.length === 0) return false;
    // All files are read in equal steps, so that a file of gigabytes does not delay the others.
    const step = Math.max(IDENTIFY_FILE_BYTES, IDENTIFY_BYTES / (plain.length + scans.length));
    for (const file of plain) await file.identify(step);
    for (const [key, { path, compression, mtimeMs, reader }] of scans) {
      const result = await reader.step(step);
      if (!result) continue;
      this.#scans.delete(key);
      this.#compressedFacts.set(key, { compression, mtimeMs, ...result });
      if ('log' in result) this.#compressed.set(key, new CompressedFile(path, compression, { ...result.log, mtimeMs }));
    }
    this.#updateFinal();
    this.#collectGenerations();
    return true;
  }

  /**
   * Closes deleted files that are no longer needed, so that their disk space is freed. Such a file must be final, because nginx may still
   * write to a deleted file. `needed` returns whether a generation is not yet committed on every shard.
   */
  async release(needed: (gen: string) => boolean): Promise<void> {
    for (const [key, file] of this.#plain) {
      if (!file.deleted || !file.searched || (file.identity && (!file.final || needed(file.identity.gen)))) continue;
      if (!file.identity && file.size > 0 && !file.binary) this.#onEvent('deleted-unread', file.path);
      this.#plain.delete(key);
      await file.close();
    }
  }

  async close(): Promise<void> {
    for (const file of [...this.#plain.values(), ...this.#compressed.values()]) await file.close();
    for (const { reader } of this.#scans.values()) await reader.close();
    this.#plain.clear();
    this.#compressed.clear();
    this.#scans.clear();
    this.#generations = [];
  }

  /**
   * Returns false only if the modification time of the directory has not changed and is so old that a later change would have a different
   * time.
   */
  async #namesMayHaveChanged(): Promise<boolean> {
    const { mtimeMs } = await stat(this.#directory);
    if (mtimeMs === this.#directoryMtimeMs) return false;
    this.#directoryMtimeMs = this.#now() - mtimeMs > 100 ? mtimeMs : -1;
    return true;
  }

  async #readNames(): Promise<void> {
    const seen = new Set<Source | Scan>();
    const foreign: ForeignFile[] = [];
    this.#hasFreshFiles = false;
    for (const name of await readdir(this.#directory)) {
      const found = await this.#fileAt(name);
      if (found === undefined) continue;
      if ('what' in found) foreign.push(found);
      else {
        found.path = join(this.#directory, name);
        seen.add(found);
      }
    }
    for (const file of this.#plain.values()) if (!seen.has(file)) file.path = undefined;
    for (const [key, file] of this.#compressed) {
      if (seen.has(file)) continue;
      this.#compressed.delete(key);
      await file.close();
    }
    for (const [key, scan] of this.#scans) {
      if (seen.has(scan)) continue;
      this.#scans.delete(key);
      await scan.reader.close();
    }
    this.#foreignFiles = foreign.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Returns the file with this name, or undefined if there is nothing to follow or to report. */
  async #fileAt(name: string): Promise<Source | Scan | ForeignFile | undefined> {
    const foreign = (what: string, damaged = false): ForeignFile => ({ name, what, damaged });
    const path = join(this.#directory, name);
    const status = await lstat(path).catch(() => undefined);
    if (!status || EXPECTED_NAME.test(name)) return undefined;
    if (status.isSymbolicLink()) return (await this.#leadsOutside(path)) ? foreign('a link to another place') : undefined;
    if (!status.isFile()) return foreign(typeOf(status));
    if (TEMPORARY_NAME.test(name)) return foreign('a temporary file');
    if (!LOG_NAME.test(name)) return foreign('its name does not begin with access.log and a dot or dash');

    const held = this.#plain.get(plainKey(status));
    // While the file is open, no other file can have its inode.
    if (held?.identity) return held;
    const key = `${plainKey(status)}:${status.size}:${status.mtimeMs}`;
    const known = this.#compressedFacts.get(key)?.compression ?? this.#scans.get(key)?.compression;
    const kind = name === LIVE_NAME ? 'plain' : (known ?? (await this.#kindAt(path)));
    if (kind === undefined) return undefined;
    if (kind === 'plain') {
      if (held?.binary) return foreign('a file of binary data');
      return held ?? (await this.#open(path));
    }
    if (held) {
      this.#plain.delete(plainKey(status));
      await held.close();
    }
    return typeof kind === 'string' ? this.#compressedAt({ path, key, kind, status }, foreign) : foreign(kind.other);
  }

  /**
   * Returns whether a symbolic link leads out of the directory. A link within the directory is another name for a file that is followed
   * anyway.
   */
  async #leadsOutside(path: string): Promise<boolean> {
    try {
      return dirname(await realpath(path)) !== (await realpath(this.#directory));
    } catch {
      return true;
    }
  }

  async #kindAt(path: string): Promise<FileKind | undefined> {
    const head = await this.#orReport(path, () => readHead(path));
    return head && kindOf(head);
  }

  async #open(path: string): Promise<PlainFile | undefined> {
    const opened = await this.#orReport(path, () => openPlainFile(path));
    if (!opened) return undefined;
    const known = this.#plain.get(opened.key);
    if (known) {
      await opened.file.close();
      return known;
    }
    const file = new PlainFile(opened.file, path);
    this.#plain.set(opened.key, file);
    return file;
  }

  /** Reports an unreadable file once and skips it, so that the other files are still followed. */
  async #orReport<T>(path: string, read: () => Promise<T>): Promise<T | undefined> {
    try {
      const result = await read();
      this.#unreadable.delete(path);
      return result;
    } catch {
      if (!this.#unreadable.has(path)) this.#onEvent('unreadable', path);
      this.#unreadable.add(path);
      return undefined;
    }
  }

  #compressedAt(
    { path, key, kind, status }: { path: string; key: string; kind: Compression; status: Stats },
    foreign: (what: string, damaged?: boolean) => ForeignFile,
  ): CompressedFile | Scan | ForeignFile | undefined {
    const { mtimeMs } = status;
    const open = this.#compressed.get(key) ?? this.#scans.get(key);
    if (open) return open;
    const known = this.#compressedFacts.get(key);
    if (!known) {
      // A file that is still being written may end exactly after a frame and would then look complete.
      const age = this.#now() - mtimeMs;
      if (age >= 0 && age < this.#quietMs) {
        this.#hasFreshFiles = true;
        return undefined;
      }
      const scan = { path, compression: kind, mtimeMs, reader: new CompressedScan(path, kind) };
      this.#scans.set(key, scan);
      return scan;
    }
    if ('log' in known) {
      const file = new CompressedFile(path, kind, { ...known.log, mtimeMs });
      this.#compressed.set(key, file);
      return file;
    }
    if (typeof known.fault === 'object') return foreign(known.fault.other);
    const damaged = known.fault === 'damaged' && this.#now() - mtimeMs >= DAMAGED_AFTER_MS;
    return damaged ? foreign(`${kind}, incomplete or damaged`, true) : undefined;
  }

  async #refresh(file: PlainFile): Promise<void> {
    const { size, final } = file;
    const same = await file.refresh();
    if (!same) this.#onEvent('truncated', file.path);
    else if (final && file.size > size) {
      file.markNotFinal();
      this.#onEvent('grew-after-final', file.path);
    }
  }

  /**
   * Marks plain files as final. The live file counts as the newest. The other files are ordered by the time of their first line. Copies do
   * not count as generations.
   */
  #updateFinal(): void {
    // A file that was not searched completely may turn out not to be a log, so it does not make any other file final.
    const plain = [...this.#plain.values()].filter((file) => this.#isLive(file) || (file.searched && !file.binary));
    const sources = [...plain, ...this.#compressed.values()];
    const live = sources.find((source) => this.#isLive(source));
    const rotated = sources.filter((source) => source !== live && source.size > 0);
    rotated.sort((a, b) => startedAtOf(b) - startedAtOf(a));
    const newer = new Set<string>();
    if (live) newer.add(live.identity?.gen ?? 'live');
    for (const source of rotated) {
      const gen = source.identity?.gen ?? `nameless ${newer.size}`;
      const rotations = newer.has(gen) ? newer.size - 1 : newer.size;
      newer.add(gen);
      const quiet = this.#now() - source.mtimeMs >= this.#quietMs;
      if (source instanceof PlainFile && !source.final && rotations >= 2 && quiet) source.markFinal();
    }
  }

  #isLive(source: Source): boolean {
    return source.path === join(this.#directory, LIVE_NAME);
  }

  #collectGenerations(): void {
    const byId = new Map<string, Source[]>();
    for (const source of [...this.#plain.values(), ...this.#compressed.values()]) {
      if (!source.identity || source.size === 0) continue;
      const { gen } = source.identity;
      byId.set(gen, [...(byId.get(gen) ?? []), source]);
    }
    this.#generations = Array.from(byId, ([id, sources]) => {
      // The longest source is used, even if it is a copy or compressed. Of sources with equal length, the first is used. Plain files come
      // first, because they are cheaper to read.
      const source = sources.reduce((best, other) => (other.size > best.size ? other : best));
      const final = sources.some((other) => other.final && other.size === source.size) && !sources.some((other) => this.#isLive(other));
      const paths = sources.flatMap((other) => (other.path === undefined ? [] : [other.path]));
      return { id, size: source.size, final, mtimeMs: source.mtimeMs, source, paths, startedAt: startedAtOf(source) };
    }).sort((a, b) => a.startedAt - b.startedAt);
  }
}

const plainKey = ({ dev, ino }: Stats): string => `${dev}:${ino}`;

function typeOf(status: Stats): string {
  if (status.isDirectory()) return 'a directory';
  if (status.isFIFO()) return 'a pipe';
  return status.isSocket() ? 'a socket' : 'a device';
}

function startedAtOf(source: Source): number {
  return source.identity?.startedAt || source.mtimeMs / 1000;
}
