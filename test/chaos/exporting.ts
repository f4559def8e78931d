import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { asyncBufferFromFile } from 'hyparquet';
import { sleep } from '../../core/time.ts';
import { parseManifest } from '../../export/manifest.ts';
import { readRowGroups } from '../../export/read-parquet.ts';

// An export that follows the system during a chaos run, in a process of its own, and what is in its files.

const CLI = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
const RESTART_MS = 500;

export interface Exporting {
  readonly directory: string;
  /** Kills the process. It starts again by itself, with the settings of that time. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts `clickledger export --follow`, and starts it again whenever it ends, as a service manager does. */
export function startExport(directory: string, env: () => Readonly<Record<string, string>>): Exporting {
  let child: ChildProcess | undefined;
  let isStopping = false;
  const running = (async () => {
    while (!isStopping) {
      const args = [CLI, 'export', '--to', directory, '--follow', '--every', '1', '--wait', '0'];
      child = spawn(process.execPath, args, { env: { PATH: process.env['PATH'], ...env() }, stdio: 'ignore' });
      await once(child, 'exit');
      if (!isStopping) await sleep(RESTART_MS);
    }
  })();
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const { exitCode = null, signalCode = null } = child ?? {};
    if (child === undefined || exitCode !== null || signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  };
  return {
    directory,
    kill: () => end('SIGKILL'),
    async stop() {
      isStopping = true;
      await end('SIGKILL');
      await running;
    },
  };
}

/** The verdicts of the events in an export by their identity, with the last change of each, and how many events are there more than once. */
export async function readExport(directory: string): Promise<{ verdicts: Map<string, string | null>; doubled: number }> {
  const manifest = parseManifest(await readFile(join(directory, 'manifest.json'), 'utf8'), directory);
  const verdicts = new Map<string, string | null>();
  let doubled = 0;
  const changes: { id: string; at: bigint; verdict: string }[] = [];
  for (const { path, table } of manifest.files) {
    if (table === 'verdict_changes') {
      for await (const rows of readRowGroups(await asyncBufferFromFile(join(directory, path)), ['gen', 'off', 'changed_at', 'verdict']))
        for (const [gen, off, at, verdict] of rows) changes.push({ id: identity(gen, off), at: at as bigint, verdict: verdict as string });
    } else if (['events', 'unsubscribes', 'visits', 'goals'].includes(table)) {
      const columns = table === 'unsubscribes' ? ['gen', 'off'] : ['gen', 'off', 'verdict'];
      for await (const rows of readRowGroups(await asyncBufferFromFile(join(directory, path)), columns)) {
        for (const row of rows) {
          const byName = new Map(columns.map((name, i) => [name, row[i]]));
          const id = identity(byName.get('gen'), byName.get('off'));
          if (verdicts.has(id)) doubled++;
          verdicts.set(id, (byName.get('verdict') as string | undefined) ?? null);
        }
      }
    }
  }
  for (const { id, verdict } of changes.toSorted((a, b) => (a.at < b.at ? -1 : 1))) verdicts.set(id, verdict);
  return { verdicts, doubled };
}

const identity = (gen: unknown, off: unknown): string =>
  `${Buffer.from(gen as Uint8Array)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')}:${off as bigint}`;
