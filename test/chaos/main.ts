import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { table } from '../../cli/output.ts';
import { locate } from '../../stack/debian.ts';
import { FAULTS } from './faults.ts';
import { type Outcome, runChaos } from './run.ts';

/** The maximum size of a state file. Checkpoints and snapshots of such a run have about 50 KB. */
const MAX_STATE_BYTES = 1024 * 1024;

const program = new Command('test:chaos')
  .description('Runs the whole system under load, injects faults, and checks that every hit was counted exactly once.')
  .option('--seed <number>', 'the plan of faults (default: random, printed)')
  .option('--minutes <number>', 'how long faults are injected', '1')
  .option('--only <fault>', `one of: ${FAULTS.map(({ name }) => name).join(', ')}`)
  .option('--keep', 'keep the data directory for inspection')
  .addHelpText(
    'after',
    '\nExamples:\n  npm run test:chaos\n  npm run test:chaos -- --seed 7 --minutes 3\n  npm run test:chaos -- --only shard-put-back',
  )
  .parse();
const options = program.opts<{ seed?: string; minutes: string; only?: string; keep?: boolean }>();

const seed = options.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(options.seed);
const minutes = Number(options.minutes);
if (!Number.isInteger(seed) || seed < 0) program.error('error: --seed must be an integer of at least 0', { exitCode: 2 });
if (!(minutes > 0 && minutes <= 60)) program.error('error: --minutes must be greater than 0 and at most 60', { exitCode: 2 });
if (options.only !== undefined && !FAULTS.some(({ name }) => name === options.only))
  program.error(`error: there is no fault '${options.only}'. See --help for the list.`, { exitCode: 2 });

const progress = (text: string): void => void process.stdout.write(`${text}\n`);
await locate('nats-server', progress);
await locate('nginx', progress);
const dataDir = await mkdtemp(join(tmpdir(), 'clickledger-chaos-'));
progress(`seed ${seed}, ${minutes} min${options.only === undefined ? '' : `, only ${options.only}`}, data in ${dataDir}`);
const outcome = await runChaos({ seed, minutes, only: options.only, dataDir, progress });
const leftovers = await findLeftovers(dataDir);
const passed = report(outcome, leftovers);
if (options.keep) progress(`kept ${dataDir}`);
else await rm(dataDir, { recursive: true, force: true });
process.exitCode = passed ? 0 : 1;

/** Finds processes that are still running after the run, and state files that are too large. */
async function findLeftovers(directory: string): Promise<string[]> {
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

function report(
  { verdict, receivers, injected, redirects, failedRedirects, excusedRedirects, longestOutageMs, peakMemory }: Outcome,
  leftovers: readonly string[],
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
  progress('');
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
