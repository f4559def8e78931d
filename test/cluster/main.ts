import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { inspect } from 'node:util';
import { Command } from 'commander';
import { messageOf } from '../../core/errors.ts';
import { locate } from '../../stack/debian.ts';
import { findLeftovers, report } from '../chaos/report.ts';
import type { Outcome } from '../chaos/run.ts';
import { FAULTS } from './faults.ts';
import { DATA_PREFIX, NoNetwork, unmountBelow } from './network.ts';
import { runCluster } from './run.ts';

const program = new Command('test:cluster')
  .description(
    'Runs the system on three hosts (network namespaces of this machine) under load, injects faults of hosts, networks and clusters, and checks that every hit was counted exactly once. Needs Linux and root.',
  )
  .option('--seed <number>', 'the plan of faults (default: random, printed)')
  .option('--seeds <range>', 'several runs, one after the other, e.g. 1-10')
  .option('--minutes <number>', 'how long faults are injected in each run', '1')
  .option('--only <fault>', `one of: ${FAULTS.map(({ name }) => name).join(', ')}`)
  .option('--keep', 'keep the data directories for inspection')
  .addHelpText(
    'after',
    '\nExamples:\n  npm run test:cluster\n  npm run test:cluster -- --seeds 1-10 --minutes 3\n  npm run test:cluster -- --only split-brain',
  )
  .parse();
const options = program.opts<{ seed?: string; seeds?: string; minutes: string; only?: string; keep?: boolean }>();

const seeds = seedsOf(options);
const minutes = Number(options.minutes);
if (seeds.length === 0 || seeds.some((seed) => !Number.isInteger(seed) || seed < 0))
  program.error('error: --seed must be an integer of at least 0, and --seeds a range such as 1-10', { exitCode: 2 });
if (!(minutes > 0 && minutes <= 60)) program.error('error: --minutes must be greater than 0 and at most 60', { exitCode: 2 });
if (options.only !== undefined && !FAULTS.some(({ name }) => name === options.only))
  program.error(`error: there is no fault '${options.only}'. See --help for the list.`, { exitCode: 2 });

const progress = (text: string): void => void process.stdout.write(`${text}\n`);
// The network is removed when this process exits. A second signal does not interrupt this.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  process.on(signal, () => process.exit(code));
for (const server of ['nats-server', 'nginx', 'postgres'] as const) await locate(server, progress);

const summaries: string[] = [];
for (const seed of seeds) {
  try {
    const { passed, summary } = await runOnce(seed);
    summaries.push(summary);
    if (!passed) process.exitCode = 1;
  } catch (error) {
    if (error instanceof NoNetwork) {
      progress(`${error.message}: there can be no cluster on this machine\n0 passed, 0 failed, 1 skipped`);
      break;
    }
    // The seeds after this one run nevertheless.
    progress(inspect(error));
    summaries.push(`cluster: FAILED seed=${seed}: ${messageOf(error)}`);
    process.exitCode = 1;
  }
}
// One line for each run, so that several runs can be compared.
for (const summary of summaries) progress(summary);

async function runOnce(seed: number): Promise<{ passed: boolean; summary: string }> {
  const dataDir = await mkdtemp(DATA_PREFIX);
  progress(`seed ${seed}, ${minutes} min${options.only === undefined ? '' : `, only ${options.only}`}, data in ${dataDir}`);
  // A signal ends this process without `finally`.
  const removeNow = (): void => {
    unmountBelow(dataDir);
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 3 });
  };
  if (!options.keep) process.on('exit', removeNow);
  try {
    const outcome = await runCluster({ seed, minutes, only: options.only, dataDir, progress });
    const leftovers = await findLeftovers(dataDir);
    const passed = report(outcome, leftovers, progress);
    return { passed, summary: summaryOf(outcome, passed) };
  } finally {
    if (options.keep) progress(`kept ${dataDir}`);
    else removeNow();
    process.off('exit', removeNow);
  }
}

function summaryOf(
  { seed, injected, verdict, redirects, failedRedirects, excusedRedirects, longestOutageMs, peakMemory }: Outcome,
  passed: boolean,
): string {
  const faults = [...injected.values()].reduce((sum, times) => sum + times, 0);
  const peakMb = Math.round(Math.max(0, ...peakMemory.values()) / 1e6);
  return `cluster: ${passed ? 'passed' : 'FAILED'} seed=${seed} faults=${faults} hits=${verdict.hits} lost=${verdict.lost} doubled=${verdict.doubled} misplaced=${verdict.misplaced} altered=${verdict.altered} dead-letters=${verdict.deadLetters} skipped=${verdict.skipped} redirects=${redirects} failed=${failedRedirects.length} excused=${excusedRedirects} longest-outage=${(longestOutageMs / 1000).toFixed(1)}s peak-mb=${peakMb}`;
}

function seedsOf({ seed, seeds: range }: { seed?: string; seeds?: string }): number[] {
  if (range === undefined) return [seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(seed)];
  const [, from, to] = /^(\d+)-(\d+)$/.exec(range) ?? [];
  if (from === undefined || to === undefined) return [];
  return Array.from({ length: Math.max(0, Number(to) - Number(from) + 1) }, (_, i) => Number(from) + i);
}
