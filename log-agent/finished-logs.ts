import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { ClickledgerError } from '../core/errors.ts';
import type { Generation, Logs } from './follow.ts';
import { GzipFile } from './gzip-file.ts';
import { openPlainFile, PlainFile } from './plain-file.ts';
import type { Source } from './log-source.ts';

/**
 * Opens old logs, plain or gzipped, as final generations. `clickledger ship` gives them to an agent in place of a log directory.
 * Throws if a file does not exist, is not a complete gzip, or was changed within the last `quietMs`.
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
    sources.push(path.endsWith('.gz') ? await openFinishedGzip(path, status.mtimeMs) : await openFinishedPlain(path));
  }
  // A log that was given twice, under two names or plain and gzipped, is one generation.
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
  file.markFinal();
  return file;
}

async function openFinishedGzip(path: string, mtimeMs: number): Promise<Source> {
  const facts = await GzipFile.scan(path);
  if (!facts)
    throw new ClickledgerError(
      'bad-input',
      `${basename(path)} is not a complete gzip file: wait until gzip has finished, or restore the file`,
    );
  return new GzipFile(path, { ...facts, mtimeMs });
}
