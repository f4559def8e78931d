import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { ClickledgerError } from '../../core/errors.ts';
import { createLogger } from '../../core/log.ts';
import { handleStopSignals } from '../../core/shutdown.ts';
import { configOf, type Globals } from '../context.ts';
import { note, printJson, printTable } from '../output.ts';
import { findMissing, prepareShipment, shipAll, SHIPPING_SETTINGS } from '../../operating/ship-logs.ts';

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
      const { signal } = handleStopSignals(createLogger('ship', 'silent'));
      for (const file of files)
        if (!(await stat(file).catch(() => undefined))) throw new ClickledgerError('not-found', `there is no log ${file}`);
      const shipment = await prepareShipment(config, files, signal);
      try {
        const shards = config.SHARDS.list.map(({ name }) => name);
        const missing = await findMissing(shipment, shards);
        if (command.optsWithGlobals<Globals>().json) printJson({ dry_run: options.dryRun === true, missing });
        else if (missing.length === 0) note('every shard has all of it');
        else
          printTable(
            ['generation', 'shard', 'bytes', 'missing bytes', 'holes'],
            missing.map((m) => [m.gen, m.shard, m.size, m.missing_bytes, m.holes]),
          );
        if (options.dryRun) return;
        const onTerminal = process.stderr.isTTY;
        const all = await shipAll(
          shipment,
          signal,
          (left) => onTerminal && process.stderr.write(`\r${left ?? '?'} bytes to go   `),
        ).finally(() => onTerminal && process.stderr.write('\r\n'));
        if (all) note('committed on every shard');
      } finally {
        await shipment.logs.close();
        await shipment.close();
      }
    });
}
