import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { GzipFile } from './gzip-file.ts';
import { openPlainFile, PlainFile } from './plain-file.ts';
import type { Source } from './log-source.ts';
import type { Identity } from './identity.ts';

// Finds the generations in the log directory, under whatever names, and decides which of them are final.
//
// A file is opened when its name first appears, and stays open. A later mv, gzip or rm of the name does not affect what is read. The
// content of a file decides which generation it is.
//
// A generation is final when two newer ones exist. For a moment after a rotation, nginx' workers write to both files, but no worker is two
// rotations late. If one is (it was frozen), the file is followed again. Time alone never makes a file final. The quiet time only prevents
// that two rotations in a row cut a line in two.

const LIVE_NAME = 'access.log';
const LOG_NAME = /^access\.log(?:[.-][^/]*)?$/;
const FULL_SCAN_EVERY_MS = 1000;

/** One generation and the best source to read it from. */
export interface Generation {
  readonly id: string;
  /** Bytes, as of the last scan. */
  readonly size: number;
  readonly final: boolean;
  readonly mtimeMs: number;
  readonly source: Source;
  /** All files of the directory that have this content. */
  readonly paths: readonly string[];
}

/** The logs that an agent ships: those of a log directory (Follower), or some old logs (openFinishedLogs). */
export interface Logs {
  readonly generations: readonly Generation[];
  scan(): Promise<void>;
  release(needed: (gen: string) => boolean): Promise<void>;
  close(): Promise<void>;
}

/** Unusual events of log files, which are counted and logged for the operator. */
export const FOLLOW_EVENTS = ['truncated', 'grew-after-final', 'deleted-unread', 'unreadable'] as const;
export type FollowEvent = (typeof FOLLOW_EVENTS)[number];

type GzipFacts = { identity: Identity; size: number; mtimeMs: number };

export interface FollowerOptions {
  directory: string;
  now?: () => number;
  /** How long a file that is two rotations old must be unchanged before it is final. */
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
  readonly #gzip = new Map<string, GzipFile>();
  /** By device, inode, size and modification time. Null: not a complete gzip. */
  readonly #gzipFacts = new Map<string, GzipFacts | null>();
  #generations: Generation[] = [];
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

  /** Reads the directory and the state of its files again. Rejects if the directory cannot be read. */
  async scan(): Promise<void> {
    const full = (await this.#namesMayHaveChanged()) || this.#now() - this.#lastFullScanMs >= FULL_SCAN_EVERY_MS;
    if (full) {
      await this.#readNames();
      this.#lastFullScanMs = this.#now();
    }
    for (const file of this.#plain.values()) if (full || !file.final) await this.#refresh(file);
    this.#updateFinal();
    this.#collectGenerations();
  }

  /**
   * Closes deleted files that are no longer needed, so that their disk space is freed. They must be final, because nginx may still write to
   * a deleted file. `needed` returns whether a generation is not yet committed on every shard.
   */
  async release(needed: (gen: string) => boolean): Promise<void> {
    for (const [key, file] of this.#plain) {
      if (!file.deleted || (file.identity && (!file.final || needed(file.identity.gen)))) continue;
      if (!file.identity && file.size > 0) this.#onEvent('deleted-unread', file.path);
      this.#plain.delete(key);
      await file.close();
    }
  }

  async close(): Promise<void> {
    for (const file of [...this.#plain.values(), ...this.#gzip.values()]) await file.close();
    this.#plain.clear();
    this.#gzip.clear();
    this.#generations = [];
  }

  /** False only if the directory's mtime has not changed, and is old enough that a later change would have changed it. */
  async #namesMayHaveChanged(): Promise<boolean> {
    const { mtimeMs } = await stat(this.#directory);
    if (mtimeMs === this.#directoryMtimeMs) return false;
    this.#directoryMtimeMs = this.#now() - mtimeMs > 100 ? mtimeMs : -1;
    return true;
  }

  async #readNames(): Promise<void> {
    const names = (await readdir(this.#directory)).filter((name) => LOG_NAME.test(name));
    const seen = new Set<Source>();
    for (const name of names) {
      const path = join(this.#directory, name);
      const source = name.endsWith('.gz') ? await this.#gzipAt(path) : await this.#plainAt(path);
      if (source) {
        source.path = path;
        seen.add(source);
      }
    }
    for (const file of this.#plain.values()) if (!seen.has(file)) file.path = undefined;
    for (const [key, file] of this.#gzip) {
      if (seen.has(file)) continue;
      this.#gzip.delete(key);
      await file.close();
    }
  }

  async #plainAt(path: string): Promise<PlainFile | undefined> {
    const status = await stat(path).catch(() => undefined);
    if (!status?.isFile()) return undefined;
    // While the file is open, no other file can have its inode.
    const held = this.#plain.get(`${status.dev}:${status.ino}`);
    if (held) return held;
    const opened = await this.#open(path);
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
  async #open(path: string): Promise<Awaited<ReturnType<typeof openPlainFile>>> {
    try {
      const opened = await openPlainFile(path);
      this.#unreadable.delete(path);
      return opened;
    } catch {
      if (!this.#unreadable.has(path)) this.#onEvent('unreadable', path);
      this.#unreadable.add(path);
      return undefined;
    }
  }

  async #gzipAt(path: string): Promise<GzipFile | undefined> {
    const status = await stat(path).catch(() => undefined);
    if (!status?.isFile()) return undefined;
    const key = `${status.dev}:${status.ino}:${status.size}:${status.mtimeMs}`;
    const open = this.#gzip.get(key);
    if (open) return open;
    if (!this.#gzipFacts.has(key)) {
      const facts = await GzipFile.scan(path);
      this.#gzipFacts.set(key, facts ? { ...facts, mtimeMs: status.mtimeMs } : null);
    }
    const facts = this.#gzipFacts.get(key);
    if (!facts) return undefined;
    const file = new GzipFile(path, facts);
    this.#gzip.set(key, file);
    return file;
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

  /** The live file counts as the newest. The others are ordered by the time of their first line. Copies do not count as generations. */
  #updateFinal(): void {
    const sources = [...this.#plain.values(), ...this.#gzip.values()];
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
    for (const source of [...this.#plain.values(), ...this.#gzip.values()]) {
      if (!source.identity || source.size === 0) continue;
      const { gen } = source.identity;
      byId.set(gen, [...(byId.get(gen) ?? []), source]);
    }
    this.#generations = Array.from(byId, ([id, sources]) => {
      // The longest source wins, be it a copy or a gzip. Of equal ones the first wins: plain files come first and are cheaper to read.
      const source = sources.reduce((best, other) => (other.size > best.size ? other : best));
      const final = sources.some((other) => other.final && other.size === source.size) && !sources.some((other) => this.#isLive(other));
      const paths = sources.flatMap((other) => (other.path === undefined ? [] : [other.path]));
      return { id, size: source.size, final, mtimeMs: source.mtimeMs, source, paths, startedAt: startedAtOf(source) };
    }).sort((a, b) => a.startedAt - b.startedAt);
  }
}

function startedAtOf(source: Source): number {
  return source.identity?.startedAt || source.mtimeMs / 1000;
}
