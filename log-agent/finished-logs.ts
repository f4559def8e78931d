import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { ClickledgerError } from '../core/errors.ts';
import type { Generation, Logs } from './follow.ts';
import { GzipFile } from './gzip-file.ts';
import { openPlain, PlainFile } from './plain-file.ts';
import type { Source } from './log-source.ts';

/**
 * Old logs by their paths, plain or gzipped, all of them final: what `clickledger ship` gives an agent in place of the log directory.
 * Refuses a file that does not exist, is no whole gzip, or was written to within the last `quietMs`.
 */
export async function openWholeLogs(paths: readonly string[], quietMs = 10_000): Promise<Logs> {
  const sources: Source[] = [];
  for (const path of paths) {
    const status = await stat(path).catch(() => undefined);
    if (!status?.isFile()) throw new ClickledgerError('not-found', `there is no log ${path}`);
    if (Date.now() - status.mtimeMs < quietMs) {
      throw new ClickledgerError(
        'conflict',
        `${path} was written to a moment ago: only a log that is finished can be shipped; the agent follows the others`,
      );
    }
    sources.push(path.endsWith('.gz') ? await openGzip(path, status.mtimeMs) : await openFinished(path));
  }
  // The same log twice, under two names or plain and gzipped, is one generation.
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

async function openFinished(path: string): Promise<Source> {
  const opened = await openPlain(path);
  if (!opened) throw new ClickledgerError('not-found', `there is no log ${path}`);
  const file = new PlainFile(opened.file, path);
  await file.look();
  file.finish();
  return file;
}

async function openGzip(path: string, mtimeMs: number): Promise<Source> {
  const facts = await GzipFile.scan(path);
  if (!facts) throw new ClickledgerError('bad-input', `${basename(path)} is no whole gzip file`);
  return new GzipFile(path, { ...facts, mtimeMs });
}
