import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { ClickledgerError } from '../core/errors.ts';
import type { Generation, Logs } from './follow.ts';
import { CompressedFile, scanCompressed } from './compressed-file.ts';
import { type Compression, kindOf } from './file-kind.ts';
import { openPlainFile, PlainFile, readHead } from './plain-file.ts';
import type { Source } from './log-source.ts';

/**
 * Opens old logs, plain or compressed with gzip or zstd, as final generations. `clickledger ship` gives them to an agent in place of a log
 * directory. Throws if a file does not exist, is not a complete log of one of these kinds, or was changed within the last `quietMs`.
 */
export async function openFinishedLogs(paths: readonly string[], quietMs = 10_000): Promise<Logs> {
  const sources: Source[] = [];
  for (const path of paths) {
    const status = await stat(path).catch(() => undefined);
    if (!status?.isFile()) throw new ClickledgerError('not-found', `there is no log ${path}`);
    if (Date.now() - status.mtimeMs < quietMs) {
      throw new ClickledgerError(
        'conflict',
        `${path} was written to a moment ago: ship only finished logs; the agent follows a log that nginx still writes`,
      );
    }
    const head = await readHead(path);
    const kind = kindOf(head ?? Buffer.alloc(0));
    if (typeof kind === 'object') throw notALog(path, kind.other);
    const source = kind === 'plain' ? await openFinishedPlain(path) : await openFinishedCompressed(path, kind, status.mtimeMs);
    if (source) sources.push(source);
  }
  // A log may be given twice, e.g. under two names, or plain and compressed. It is one generation.
  const generations = new Map<string, Generation>();
  for (const source of sources) {
    if (!source.identity) continue;
    const { gen: id } = source.identity;
    const known = generations.get(id);
    if (!known || known.size < source.size)
      generations.set(id, { id, size: source.size, final: true, mtimeMs: source.mtimeMs, source, paths: [] });
  }
  return {
    generations: [...generations.values()],
    foreignFiles: [],
    identify: () => Promise.resolve(false),
    scan: () => Promise.resolve(),
    release: () => Promise.resolve(),
    async close() {
      for (const source of sources) await source.close();
    },
  };
}

async function openFinishedPlain(path: string): Promise<Source> {
  const opened = await openPlainFile(path);
  if (!opened) throw new ClickledgerError('not-found', `there is no log ${path}`);
  const file = new PlainFile(opened.file, path);
  await file.refresh();
  await file.identify(Number.POSITIVE_INFINITY);
  if (file.binary) {
    await file.close();
    throw notALog(path, 'a file of binary data');
  }
  file.markFinal();
  return file;
}

/** Resolves with undefined for a compressed empty log. */
async function openFinishedCompressed(path: string, compression: Compression, mtimeMs: number): Promise<Source | undefined> {
  const result = await scanCompressed(path, compression);
  if ('log' in result) return new CompressedFile(path, compression, { ...result.log, mtimeMs });
  if (result.fault === 'empty') return undefined;
  if (typeof result.fault === 'object') throw notALog(path, result.fault.other);
  throw new ClickledgerError(
    'bad-input',
    `${basename(path)} is not a complete ${compression} file: wait until ${compression} has finished, or restore the file`,
  );
}

function notALog(path: string, what: string): ClickledgerError {
  return new ClickledgerError(
    'bad-input',
    `${basename(path)} is not a log (${what}): give logs as nginx wrote them, plain or compressed with gzip or zstd`,
  );
}
