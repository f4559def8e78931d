import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { ClickledgerError } from '../../core/errors.ts';
import { sentence } from '../../core/health.ts';
import { createLogger } from '../../core/log.ts';
import { sizeOf, subtract } from '../../core/ranges.ts';
import { untilSignal } from '../../core/shutdown.ts';
import { sleep } from '../../core/time.ts';
import { configOf, type Globals } from '../context.ts';
import { note, printJson, printTable } from '../output.ts';
import { prepareShipment, SHIPPING_SETTINGS, type Shipment } from '../../operating/ship-logs.ts';

/** Without any progress for this long, something is not running. */
const STALLED_MS = 60_000;
/** How long the ledgers may take to answer at first. */
const ANSWER_MS = 15_000;

interface Missing {
  gen: string;
  shard: string;
  size: number;
  missing_bytes: number;
  holes: number;
}

export function addShip(program: Command): void {
  program
    .command('ship <file...>')
    .description('ship old logs, plain or gzipped: only what the ledgers lack is sent, so it may be run at any time')
    .option('--dry-run', 'say what is missing of each, and send nothing')
    .addHelpText(
      'after',
      '\nExamples:\n  clickledger ship --dry-run /backup/access.log-*\n  clickledger ship /backup/access.log-20261101-1793491200.gz',
    )
    .action(async (files: string[], options: { dryRun?: boolean }, command: Command) => {
      const config = await configOf(command, SHIPPING_SETTINGS);
      const { stopped, signal } = untilSignal(createLogger('ship', 'silent'));
      for (const file of files)
        if (!(await stat(file).catch(() => undefined))) throw new ClickledgerError('not-found', `there is no log ${file}`);
      const shipment = await prepareShipment(config, files, signal);
      try {
        const shards = config.SHARDS.list.map(({ name }) => name);
        const missing = await missingOf(shipment, shards);
        if (command.optsWithGlobals<Globals>().json) printJson({ dry_run: options.dryRun === true, missing });
        else if (missing.length === 0) note('every shard has all of it');
        else
          printTable(
            ['generation', 'shard', 'bytes', 'missing bytes', 'holes'],
            missing.map((m) => [m.gen, m.shard, m.size, m.missing_bytes, m.holes]),
          );
        if (!options.dryRun) await shipAll(shipment, signal, stopped);
      } finally {
        await shipment.logs.close();
        await shipment.close();
      }
    });
}

/** What each ledger lacks, or does not know to be all. */
async function missingOf({ logs, ledgers }: Shipment, shards: readonly string[]): Promise<Missing[]> {
  const missing: Missing[] = [];
  for (const shard of shards) {
    const state = await patiently(() =>
      ledgers.ask(
        shard,
        logs.generations.map(({ id }) => id),
      ),
    );
    if (!state) throw new ClickledgerError('unavailable', `no worker of shard ${shard} answers: is one running (\`clickledger status\`)?`);
    for (const { id, size } of logs.generations) {
      const entry = state.generations[id];
      const holes = subtract([[0, size]], entry?.committed ?? []);
      if (holes.length > 0 || entry?.size !== size)
        missing.push({ gen: id, shard, size, missing_bytes: sizeOf(holes), holes: holes.length });
    }
  }
  return missing;
}

/** A worker that is just being restarted, or has just lost its database, answers a moment later. */
async function patiently<T>(ask: () => Promise<T | undefined>): Promise<T | undefined> {
  const deadline = performance.now() + ANSWER_MS;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined || performance.now() > deadline) return answer;
    await sleep(500);
  }
}

async function shipAll({ agent }: Shipment, signal: AbortSignal, stopped: Promise<void>): Promise<void> {
  const done = new AbortController();
  void stopped.then(() => done.abort());
  const running = agent.run(done.signal);
  let best = Number.POSITIVE_INFINITY;
  let bestAt = performance.now();
  while (!signal.aborted) {
    const left = agent.left();
    if (left === 0) break;
    if (left !== undefined && left < best) {
      best = left;
      bestAt = performance.now();
    }
    if (process.stderr.isTTY) process.stderr.write(`\r${left ?? '?'} bytes to go   `);
    if (performance.now() - bestAt > STALLED_MS) {
      done.abort();
      await running;
      throw new ClickledgerError(
        'unavailable',
        `nothing was committed for a minute (${agent.degraded().map(sentence).join('; ') || 'the workers are busy or hold'}): see \`clickledger status\`, then ship again`,
      );
    }
    await sleep(200, signal);
  }
  if (process.stderr.isTTY) process.stderr.write('\r\n');
  done.abort();
  await running;
  if (!signal.aborted) note('committed on every shard');
}
