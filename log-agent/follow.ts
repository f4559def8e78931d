import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { GzipFile } from './gzip-file.ts';
import { openPlain, PlainFile } from './plain-file.ts';
import type { Source } from './log-source.ts';
import type { Identity } from './identity.ts';

// Knows which generations the log directory has, under whatever names, and which of them are final.
//
// A file is opened when its name first appears and then held: what happens to the name afterwards (mv, gzip, rm) does not touch
// what is read. Its content decides which generation it is. It is final when two newer ones exist: for a moment after a rotation
// nginx' workers write to both files, but no worker is two rotations late. Should one be all the same (it was frozen), the file is
// simply followed again. Never by the clock alone; the quiet time only keeps two rotations in a row from cutting a line in two.

const LIVE = 'access.log';
const LOG_NAME = /^access\.log(?:[.-][^/]*)?$/;
const FULL_LOOK_MS = 1000;

/** One generation and the best place to read it from. */
export interface Generation {
  readonly id: string;
  /** Bytes known to exist. */
  readonly size: number;
  readonly final: boolean;
  readonly mtimeMs: number;
  readonly source: Source;
  /** Every file of the directory that has this content. */
  readonly paths: readonly string[];
}

/** What an agent ships: the generations of a log directory (Follower), or some old logs (openWholeLogs). */
export interface Logs {
  readonly generations: readonly Generation[];
  scan(): Promise<void>;
  release(needed: (gen: string) => boolean): Promise<void>;
  close(): Promise<void>;
}

/** What is worth telling an operator. */
export const FOLLOW_EVENTS = ['truncated', 'grew-after-final', 'deleted-unread', 'unreadable'] as const;
export type FollowEvent = (typeof FOLLOW_EVENTS)[number];

type GzipFacts = { identity: Identity; size: number; mtimeMs: number };

export interface FollowerOptions {
  directory: string;
  now?: () => number;
  /** How long a file that is two rotations old must have been untouched. */
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
  /** By device, inode, size and time; null: not a whole gzip. */
  readonly #gzipFacts = new Map<string, GzipFacts | null>();
  #generations: Generation[] = [];
  #directoryMtimeMs = -1;
  #lastFullLookMs = Number.NEGATIVE_INFINITY;

  constructor(options: FollowerOptions) {
    this.#directory = options.directory;
    this.#now = options.now ?? Date.now;
    this.#quietMs = options.quietMs ?? 5_000;
    this.#onEvent = options.onEvent ?? (() => {});
  }

  /** All generations with an identity, oldest first, as of the last scan. */
  get generations(): readonly Generation[] {
    return this.#generations;
  }

  /** Looks at the directory and the files again. */
  async scan(): Promise<void> {
    const full = (await this.#namesMayHaveChanged()) || this.#now() - this.#lastFullLookMs >= FULL_LOOK_MS;
    if (full) {
      await this.#readNames();
      this.#lastFullLookMs = this.#now();
    }
    for (const file of this.#plain.values()) if (full || !file.final) await this.#look(file);
    this.#judgeFinality();
    this.#collect();
  }

  /**
   * Lets go of deleted files that hold nothing anybody still needs, so that their space is freed: not before they are final, for
   * nginx may write to a file whose name is gone. `needed` says whether a generation is not yet committed everywhere.
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

  /** False only if the directory has not changed since it was read, and that long enough ago for its clock to tell. */
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
    // While we hold the file, no other can have its inode.
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

  /** One file that may not be read does not stop the others. */
  async #open(path: string): Promise<Awaited<ReturnType<typeof openPlain>>> {
    try {
      const opened = await openPlain(path);
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

  async #look(file: PlainFile): Promise<void> {
    const { size, final } = file;
    const same = await file.look();
    if (!same) this.#onEvent('truncated', file.path);
    else if (final && file.size > size) {
      file.reopen();
      this.#onEvent('grew-after-final', file.path);
    }
  }

  /** The live file is the newest whatever it says; the others are ordered by the time of their first line. Copies are no generations. */
  #judgeFinality(): void {
    const sources = [...this.#plain.values(), ...this.#gzip.values()];
    const live = sources.find((source) => this.#isLive(source));
    const rotated = sources.filter((source) => source !== live && source.size > 0);
    rotated.sort((a, b) => startOf(b) - startOf(a));
    const newer = new Set<string>();
    if (live) newer.add(live.identity?.gen ?? 'live');
    for (const source of rotated) {
      const gen = source.identity?.gen ?? `nameless ${newer.size}`;
      const rotations = newer.has(gen) ? newer.size - 1 : newer.size;
      newer.add(gen);
      const quiet = this.#now() - source.mtimeMs >= this.#quietMs;
      if (source instanceof PlainFile && !source.final && rotations >= 2 && quiet) source.finish();
    }
  }

  #isLive(source: Source): boolean {
    return source.path === join(this.#directory, LIVE);
  }

  #collect(): void {
    const byId = new Map<string, Source[]>();
    for (const source of [...this.#plain.values(), ...this.#gzip.values()]) {
      if (!source.identity || source.size === 0) continue;
      const { gen } = source.identity;
      byId.set(gen, [...(byId.get(gen) ?? []), source]);
    }
    this.#generations = Array.from(byId, ([id, sources]) => {
      // Copies and gzips are as good as the file itself, if they have all of it. Plain ones come first and read best.
      const source = sources.reduce((best, other) => (other.size > best.size ? other : best));
      const final = sources.some((other) => other.final && other.size === source.size) && !sources.some((other) => this.#isLive(other));
      const paths = sources.flatMap((other) => (other.path === undefined ? [] : [other.path]));
      return { id, size: source.size, final, mtimeMs: source.mtimeMs, source, paths, startedAt: startOf(source) };
    }).sort((a, b) => a.startedAt - b.startedAt);
  }
}

function startOf(source: Source): number {
  return source.identity?.startedAt || source.mtimeMs / 1000;
}
