import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { ClickledgerError, codeOf } from '../core/errors.ts';
import { type Problem, problem } from '../core/health.ts';
import type { Logger } from '../core/log.ts';
import { covers } from '../core/ranges.ts';
import { sleep } from '../core/time.ts';
import type { Generation, Logs } from './follow.ts';
import type { LedgerClient } from './ledger-client.ts';

// Copies the bytes of every generation to another directory, e.g. on a second disk or another host (LOG_MIRROR). A copy has the same bytes at
// the same offsets as its log, so it is the same generation. If a host is lost with its disk, `clickledger ship` counts the rest of its logs
// from the copies.
//
//   unchecked ──the copy is a prefix of the log──► checked ──append──► checked ──an error, or another size than expected──► unchecked
//       └──the copy differs──► set aside, and copied again from the start
//
// The directory may be on a file system that hangs. So all work on it is done step by step in one loop, of which nothing else waits.

const EVERY_MS = 250;
/** The pause after an error. */
const RETRY_MS = 1_000;
const UPKEEP_EVERY_MS = 60_000;
/** The number of bytes at the beginning and at the end of a copy that are compared with its log. */
const COMPARED_BYTES = 64 * 1024;
/** A copy is late if it has lacked bytes of its log for this time. */
const LATE_SECONDS = 60;
const COPY_NAME = /^access\.log-([0-9a-f]{32})$/;

/** Returns the name of the copy of a generation. It is a name of a log, so that commands accept it. */
export const copyName = (gen: string): string => `access.log-${gen}`;

export interface Mirror {
  /** Copies until the signal aborts. Never rejects, and does not end while the directory hangs. */
  run(signal: AbortSignal): Promise<void>;
  /** Copies all bytes that the logs have now. Rejects if the directory cannot be used. */
  copyAll(): Promise<void>;
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
  logs: Pick<Logs, 'generations'>;
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
  /** Copies with bytes that are in no log of the log directory and are not committed. */
  let onlyHere: string[] = [];

  const lagOf = ({ id, size }: Generation): number => Math.max(0, size - (copies.get(id)?.size ?? 0));

  /** Returns the checked copy of a generation. Without a copy, its size is 0. */
  async function checked(generation: Generation): Promise<Copy | undefined> {
    const { id, size } = generation;
    const known = copies.get(id);
    // A copy that is longer than its log has bytes that the log lost in a power failure. If the log has grown since then, it may differ.
    if (known && !(known.size > known.logSize && size !== known.logSize)) return known;
    const result = await compare(generation);
    if (result === 'unavailable') return undefined;
    if (result === 'differs') {
      await rename(pathOf(id), join(directory, `differs-${id}-${now()}`));
      log.warn({ gen: id }, 'the copy of a log in LOG_MIRROR differs from the log; it is set aside, and the log is copied again');
    }
    const copy = { size: typeof result === 'number' ? result : 0, logSize: size };
    copies.set(id, copy);
    return copy;
  }

  /** Compares the beginning and the end of a copy with the log. Returns the size of the copy if they are equal. */
  async function compare({ id, size, source }: Generation): Promise<number | 'differs' | 'unavailable'> {
    const file = await open(pathOf(id), 'r').catch(ignoreMissing);
    if (!file) return 0;
    try {
      const { size: copySize } = await file.stat();
      const common = Math.min(copySize, size);
      for (let at = 0; at < common; ) {
        const bytes = await source.raw(at, Math.min(common, at + COMPARED_BYTES));
        if (!bytes) return 'unavailable';
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

  /** Copies the next bytes of a generation. Returns false if its bytes are unavailable. */
  async function copyNext(generation: Generation): Promise<boolean> {
    const copy = await checked(generation);
    if (!copy) return false;
    if (copy.size >= generation.size) return true;
    const bytes = await generation.source.raw(copy.size, generation.size);
    if (!bytes) return false;
    if (bytes.length === 0) return true;
    try {
      await append(pathOf(generation.id), copy.size, bytes);
    } catch (error) {
      copies.delete(generation.id);
      throw error;
    }
    copy.size += bytes.length;
    copy.logSize = Math.max(copy.logSize, copy.size);
    return true;
  }

  async function copyAll(): Promise<void> {
    const startedAt = now();
    const generations = logs.generations;
    for (const gen of copies.keys()) if (!generations.some(({ id }) => id === gen)) copies.delete(gen);
    const unavailable = new Set<string>();
    // The logs that nginx writes go first. Their hits are the ones that would be lost.
    const order = [...generations.filter(({ final }) => !final), ...generations.filter(({ final }) => final)];
    for (;;) {
      const next = order.find((generation) => !unavailable.has(generation.id) && (!copies.has(generation.id) || lagOf(generation) > 0));
      if (!next) break;
      if (!(await copyNext(next))) unavailable.add(next.id);
    }
    if (unavailable.size === 0) completeAt = startedAt;
  }

  async function tidy(): Promise<void> {
    const orphans: { gen: string; name: string; status: Stats }[] = [];
    const unchanged = new Set<string>();
    for (const name of await readdir(directory)) {
      const gen = COPY_NAME.exec(name)?.[1];
      if (gen === undefined) continue;
      const status = await stat(join(directory, name));
      if (status.size === copies.get(gen)?.size) unchanged.add(gen);
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
          await copyAll();
          if (performance.now() - tidiedAt >= UPKEEP_EVERY_MS) {
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

async function writeAll(file: FileHandle, position: number, bytes: Buffer): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

function ignoreMissing(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error;
}
