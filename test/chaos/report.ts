import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { table } from '../../cli/output.ts';
import type { Outcome } from './run.ts';

// Prints the result of a run as tables, and checks the processes and files that the run has left.

/** The maximum size of a state file. Checkpoints and snapshots of such a run have about 50 KB. */
const MAX_STATE_BYTES = 1024 * 1024;

/** Finds processes that are still running after the run, and state files that are too large. */
export async function findLeftovers(directory: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    const [line = '', environment = ''] = await Promise.all(
      ['cmdline', 'environ'].map((file) => readFile(`/proc/${pid}/${file}`, 'latin1').catch(() => '')),
    );
    if (line.includes(directory) || environment.includes(directory))
      found.push(`process ${pid} is still running: ${line.replaceAll('\0', ' ').slice(0, 100)}`);
  }
  for (const name of await readdir(join(directory, 'state'))) {
    for (const file of await readdir(join(directory, 'state', name))) {
      const { size } = await stat(join(directory, 'state', name, file));
      if (size > MAX_STATE_BYTES) found.push(`${name}/${file} is too large: ${size} bytes`);
    }
  }
  return found;
}

/** Writes the tables of a run. Returns whether the run has passed. */
export function report(
  { verdict, receivers, injected, redirects, failedRedirects, excusedRedirects, longestOutageMs, peakMemory }: Outcome,
  leftovers: readonly string[],
  progress: (text: string) => void,
): boolean {
  progress('');
  progress(
    table(
      ['fault', 'times'],
      [...injected].sort(([a], [b]) => (a < b ? -1 : 1)),
    ),
  );
  progress('');
  progress(
    table(
      [
        'hits',
        'lost',
        'doubled',
        'misplaced',
        'altered',
        'dead letters',
        'skipped',
        'redirects',
        'failed',
        'failed while nginx was touched',
        'longest outage',
      ],
      [
        [
          verdict.hits,
          verdict.lost,
          verdict.doubled,
          verdict.misplaced,
          verdict.altered,
          verdict.deadLetters,
          verdict.skipped,
          redirects,
          failedRedirects.length,
          excusedRedirects,
          `${(longestOutageMs / 1000).toFixed(1)} s`,
        ],
      ],
    ),
  );
  if (receivers.length > 0) progress('');
  if (receivers.length > 0)
    progress(
      table(
        ['receiver', 'events', 'lost', 'doubled', 'foreign', 'other verdict', 'sent again, dropped by id'],
        receivers.map((r) => [r.name, r.events, r.lost, r.doubled, r.foreign, r.otherVerdict, r.repeated]),
      ),
    );
  progress('');
  progress(
    table(
      ['part', 'peak MB'],
      [...peakMemory].map(([name, bytes]) => [name, Math.round(bytes / 1e6)]),
    ),
  );
  for (const problem of verdict.problems.slice(0, 20)) progress(`WRONG  ${problem}`);
  for (const { at, edge, what } of failedRedirects.slice(0, 20))
    progress(`WRONG  a redirect failed at ${new Date(at).toISOString()} on edge ${edge + 1}: ${what}`);
  for (const what of leftovers) progress(`WRONG  ${what}`);
  const tooLarge = [...peakMemory].filter(([, bytes]) => bytes > 250e6);
  for (const [name, bytes] of tooLarge) progress(`WRONG  ${name} used ${Math.round(bytes / 1e6)} MB of memory`);
  const passed =
    verdict.problems.length +
      verdict.lost +
      verdict.doubled +
      verdict.misplaced +
      verdict.altered +
      receivers.reduce((sum, r) => sum + r.lost + r.doubled + r.foreign + r.otherVerdict, 0) +
      failedRedirects.length +
      tooLarge.length +
      leftovers.length ===
    0;
  progress(`\n${passed ? 'every hit was counted exactly once' : 'the run FAILED'}`);
  return passed;
}
