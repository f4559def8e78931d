import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { locate } from '../../stack/debian.ts';
import { FAULTS } from './faults.ts';
import { findLeftovers, report } from './report.ts';
import { runChaos } from './run.ts';

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
const passed = report(outcome, leftovers, progress);
if (options.keep) progress(`kept ${dataDir}`);
else await rm(dataDir, { recursive: true, force: true });
process.exitCode = passed ? 0 : 1;
