import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { ClickledgerError, codeOf } from '../core/errors.ts';
import { type Problem, problem } from '../core/health.ts';
import type { Logger } from '../core/log.ts';
import { covers } from '../core/ranges.ts';
import { sleep } from '../core/time.ts';
import type { Follower, Generation } from './follow.ts';
import type { LedgerClient } from './ledger-client.ts';
import { MAX_LINE_BYTES } from './lines.ts';
import { NEWLINE } from './log-source.ts';

// Copies the bytes of every generation to another directory, e.g. on a second disk or another host (LOG_MIRROR). A copy has the same bytes at
// the same offsets as its log, so it is the same generation. If a host is lost with its disk, `clickledger ship` counts the rest of its logs
// from the copies. While a log grows, its copy ends after a whole line. Otherwise the two halves of a line could be shipped one after the other, and
// neither would be a hit.
//
//   unchecked ──the copy is a prefix of the log──► checked ──append──► checked ──an error, or another size than expected──► unchecked
//       └──the copy differs──► set aside, and copied again from the start
//
// The directory may be on a file system that hangs. So one loop does all work on it, one step at a time. Nothing else waits for
// this loop.

const EVERY_MS = 250;
/** The pause after an error. */
const RETRY_MS = 1_000;
const UPKEEP_EVERY_MS = 60_000;
/** The number of bytes at the beginning and at the end of a copy that are compared with its log. */
const COMPARED_BYTES = 64 * 1024;
/** A copy is late if it has lacked bytes of its log for this time. */
const LATE_SECONDS = 60;
const COPY_NAME = /^access\.log-([0-9a-f]{32})$/;
/** The name of a copy that was set aside. */
const ASIDE_NAME = /^differs-([0-9a-f]{32})-\d+$/;

/** Returns the name of the copy of a generation. It is a name of a log, so that commands accept it. */
export const copyName = (gen: string): string => `access.log-${gen}`;

export interface Mirror {
  /** Copies until the signal aborts. Never rejects, and does not end while the directory hangs. */
  run(signal: AbortSignal): Promise<void>;
  /**
   * Copies all whole lines of the logs, also those that are written meanwhile. Ends early if the signal aborts. Rejects if the directory cannot be
   * used.
   */
  copyAll(signal?: AbortSignal): Promise<void>;
  /** Compares the sizes of the copies, and deletes old ones whose logs are deleted and committed. Rejects if the directory cannot be used. */
  tidy(): Promise<void>;
  /** The number of bytes that the copies lack. */
  lagBytes(): number;
  /** The time since the copies last had all bytes. */
  behindSeconds(): number;
  problems(): Problem[];
}

/** A checked copy. `logSize` is the size of the log at the time of the check. */
interface Copy {
  size: number;
  logSize: number;
}

export function createMirror(deps: {
  directory: string;
  logs: Pick<Follower, 'generations' | 'identified'>;
  ledgers: LedgerClient;
  shards: readonly string[];
  log: Logger;
  keepLogsMs: number;
  now?: () => number;
}): Mirror {
  const { directory, logs, ledgers, shards, log, keepLogsMs, now = Date.now } = deps;
  const copies = new Map<string, Copy>();
  const pathOf = (gen: string): string => join(directory, copyName(gen));
  let completeAt = now();
  let failure: string | undefined;
  /** Whether the bytes of all logs were available in this round. */
  let isComplete = true;
  /** Copies that have uncommitted bytes which no log in the log directory has. */
  let onlyHere: string[] = [];
  /** Generations that cannot be copied further in this round, with their sizes at that time. A generation that grows is tried again. */
  const stuck = new Map<string, number>();

  const lagOf = ({ id, size }: Generation): number => Math.max(0, size - (copies.get(id)?.size ?? 0));

  const canCopy = (generation: Generation): boolean =>
    stuck.get(generation.id) !== generation.size && (!copies.has(generation.id) || lagOf(generation) > 0);

  /** Reads bytes of a generation. Resolves with undefined if they are unavailable, also if the file has become another generation. */
  async function bytesOf({ id, source }: Generation, from: number, to: number): Promise<Buffer | undefined> {
    const bytes = await source.raw(from, to);
    return source.identity?.gen === id ? bytes : undefined;
  }

  /** Returns the checked copy of a generation. Without a copy, its size is 0. */
  async function checked(generation: Generation, signal: AbortSignal | undefined): Promise<Copy | undefined> {
    const { id, size } = generation;
    const known = copies.get(id);
    // A copy that is longer than its log has bytes that the log lost in a power failure. If the log has grown since then, it may differ.
    if (known && !(known.size > known.logSize && size !== known.logSize)) return known;
    const result = await compare(generation, signal);
    if (result === 'unavailable') return undefined;
    if (result === 'differs') {
      await rename(pathOf(id), join(directory, `differs-${id}-${now()}`));
      log.warn({ gen: id }, 'the copy of a log in LOG_MIRROR differs from the log; it is set aside, and the log is copied again');
    }
    const copy = { size: typeof result === 'number' ? result : 0, logSize: size };
    copies.set(id, copy);
    return copy;
  }

  /**
   * Compares the beginning and the end of a copy with the log. Returns the size of the copy if they are equal. Comparing a large
   * compressed log takes long, so new hits are copied between its pieces.
   */
  async function compare(generation: Generation, signal: AbortSignal | undefined): Promise<number | 'differs' | 'unavailable'> {
    const { id, size, final } = generation;
    const file = await open(pathOf(id), 'r').catch(ignoreMissing);
    if (!file) return 0;
    try {
      const { size: copySize } = await file.stat();
      const common = Math.min(copySize, size);
      for (let at = 0; at < common; ) {
        if (final) await copyFresh(signal);
        const bytes = await bytesOf(generation, at, Math.min(common, at + COMPARED_BYTES));
        if (!bytes || signal?.aborted) return 'unavailable';
        const { buffer } = await file.read(Buffer.alloc(bytes.length), 0, bytes.length, at);
        if (!buffer.equals(bytes)) return 'differs';
        at += bytes.length;
        if (at >= COMPARED_BYTES) at = Math.max(at, common - COMPARED_BYTES);
      }
      return copySize;
    } finally {
      await file.close();
    }
  }

  /** Copies the next bytes of a generation. */
  async function copyNext(generation: Generation, signal: AbortSignal | undefined): Promise<void> {
    const { id, size, final } = generation;
    const copy = await checked(generation, signal);
    if (copy && copy.size >= size) return;
    const read = copy && (await bytesOf(generation, copy.size, size));
    if (!copy || !read) {
      isComplete = false;
      stuck.set(id, size);
      return;
    }
    // A compressed log may need more calls.
    if (read.length === 0) return;
    const bytes = final && copy.size + read.length === size ? read : wholeLines(read);
    if (bytes.length === 0) {
      stuck.set(id, size);
      return;
    }
    try {
      await append(pathOf(id), copy.size, bytes);
    } catch (error) {
      copies.delete(id);
      throw error;
    }
    copy.size += bytes.length;
    copy.logSize = Math.max(copy.logSize, copy.size);
  }

  /** Copies the logs that nginx writes. Their hits are the ones that would be lost, so this is done before each step of another log. */
  async function copyFresh(signal: AbortSignal | undefined): Promise<void> {
    while (!signal?.aborted) {
      const next = logs.generations.find((generation) => !generation.final && canCopy(generation));
      if (!next) return;
      await copyNext(next, signal);
    }
  }

  async function copyAll(signal?: AbortSignal): Promise<void> {
    const startedAt = now();
    isComplete = true;
    stuck.clear();
    for (const gen of copies.keys()) if (!logs.generations.some(({ id }) => id === gen)) copies.delete(gen);
    for (;;) {
      await copyFresh(signal);
      if (signal?.aborted) return;
      const next = logs.generations.find(canCopy);
      if (!next) break;
      await copyNext(next, signal);
    }
    if (isComplete) completeAt = startedAt;
  }

  async function tidy(): Promise<void> {
    const orphans: { gen: string; name: string; status: Stats }[] = [];
    const unchanged = new Set<string>();
    for (const name of await readdir(directory)) {
      const gen = (COPY_NAME.exec(name) ?? ASIDE_NAME.exec(name))?.[1];
      if (gen === undefined) continue;
      const status = await stat(join(directory, name));
      if (name === copyName(gen) && status.size === copies.get(gen)?.size) unchanged.add(gen);
      if (status.size > (logs.generations.find(({ id }) => id === gen)?.size ?? 0)) orphans.push({ gen, name, status });
    }
    // The host of the copies may have lost the last writes, or a copy.
    for (const gen of copies.keys()) if (!unchanged.has(gen)) copies.delete(gen);
    const committed = await committedOf(orphans.map(({ gen }) => gen));
    if (!committed) return;
    onlyHere = [];
    for (const { gen, name, status } of orphans) {
      if (!committed(gen, status.size)) onlyHere.push(name);
      else if (now() - status.mtimeMs >= keepLogsMs && !logs.generations.some(({ id }) => id === gen)) await unlink(join(directory, name));
    }
  }

  /** Asks the ledgers. Resolves with a function that says whether every shard has a generation up to a size; undefined if one does not answer. */
  async function committedOf(gens: readonly string[]): Promise<((gen: string, size: number) => boolean) | undefined> {
    if (gens.length === 0) return () => false;
    const states = await Promise.all(shards.map((shard) => ledgers.ask(shard, gens)));
    if (states.includes(undefined)) return undefined;
    return (gen, size) => states.every((state) => covers(state?.generations[gen]?.committed ?? [], 0, size));
  }

  return {
    async run(signal) {
      let tidiedAt = Number.NEGATIVE_INFINITY;
      while (!signal.aborted) {
        let pauseMs = EVERY_MS;
        try {
          await copyAll(signal);
          // Before all logs are known, a copy may look like one whose log is deleted.
          if (!signal.aborted && logs.identified && performance.now() - tidiedAt >= UPKEEP_EVERY_MS) {
            await tidy();
            tidiedAt = performance.now();
          }
          if (failure !== undefined) log.info('LOG_MIRROR can be written again');
          failure = undefined;
        } catch (error) {
          if (failure === undefined) log.warn({ err: error }, 'cannot copy the logs to LOG_MIRROR; hits are counted all the same');
          failure = codeOf(error) ?? 'error';
          pauseMs = RETRY_MS;
        }
        await sleep(pauseMs, signal);
      }
    },
    copyAll,
    tidy,
    lagBytes: () => logs.generations.reduce((sum, generation) => sum + lagOf(generation), 0),
    behindSeconds: () => Math.max(0, now() - completeAt) / 1000,
    problems() {
      const problems: Problem[] = [];
      const late = (now() - completeAt) / 1000 > LATE_SECONDS;
      if (failure !== undefined || late) problems.push(problem('mirror-behind', null, failure ?? 'it does not answer, or is too slow'));
      problems.push(...onlyHere.map((name) => problem('mirror-unshipped', name)));
      return problems;
    },
  };
}

/**
 * Appends bytes to a copy, which need not exist if `size` is 0, and writes them to its disk. Throws if the copy does not have the expected size.
 */
async function append(path: string, size: number, bytes: Buffer): Promise<void> {
  const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o640);
  try {
    if ((await file.stat()).size !== size) throw new ClickledgerError('conflict', `${path} was changed by another program`);
    await writeAll(file, size, bytes);
    await file.datasync();
  } finally {
    await file.close();
  }
}

/**
 * Returns the bytes up to the end of their last line, or all bytes if they are a part of a line that is too long to be a hit. `bytes` begins at the
 * start of a line or within such a long line.
 */
function wholeLines(bytes: Buffer): Buffer {
  const end = bytes.lastIndexOf(NEWLINE) + 1;
  return end === 0 && bytes.length > MAX_LINE_BYTES ? bytes : bytes.subarray(0, end);
}

async function writeAll(file: FileHandle, position: number, bytes: Buffer): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

function ignoreMissing(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error;
}
