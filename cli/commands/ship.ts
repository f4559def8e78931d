import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { ClickledgerError } from '../../core/errors.ts';
import { createLogger } from '../../core/log.ts';
import { handleStopSignals } from '../../core/shutdown.ts';
import { configOf, type GlobalOptions } from '../context.ts';
import { note, printJson, printTable } from '../output.ts';
import { findLogs } from '../../operating/find-logs.ts';
import { findMissing, prepareShipment, shipAll, SHIPPING_SETTINGS } from '../../operating/ship-logs.ts';

export function addShip(program: Command): void {
  program
    .command('ship <file...>')
    .description(
      'publish the hits of old logs, plain or compressed with gzip or zstd; lines that are already counted are not counted again',
    )
    .option('--dry-run', 'print how many bytes of each log are missing; publish nothing')
    .addHelpText(
      'after',
      '\nA directory stands for all logs in it.\n\nExamples:\n  clickledger ship --dry-run /backup/access.log-*\n  clickledger ship /backup/access.log-20261101-1793491200.gz\n  clickledger ship /mnt/mirror/edge-1',
    )
    .action(async (files: string[], options: { dryRun?: boolean }, command: Command) => {
      const config = await configOf(command, SHIPPING_SETTINGS);
      const { signal } = handleStopSignals(createLogger('ship', 'silent'));
      const shipment = await prepareShipment(config, await logsOf(files), signal);
      try {
        const shards = config.SHARDS.list.map(({ name }) => name);
        const missing = await findMissing(shipment, shards);
        if (command.optsWithGlobals<GlobalOptions>().json) printJson({ dry_run: options.dryRun === true, missing });
        else if (missing.length === 0) note('nothing is missing: all shards have all lines of these logs');
        else
          printTable(
            ['generation', 'shard', 'bytes', 'missing bytes', 'holes'],
            missing.map((m) => [m.gen, m.shard, m.size, m.missing_bytes, m.holes]),
          );
        if (options.dryRun) return;
        const onTerminal = process.stderr.isTTY;
        const all = await shipAll(shipment, signal, (left) => onTerminal && process.stderr.write(`\r${left ?? '?'} bytes left   `)).finally(
          () => onTerminal && process.stderr.write('\r\n'),
        );
        if (all) note('done: all shards have all lines of these logs');
      } finally {
        await shipment.logs.close();
        await shipment.close();
      }
    });
}

/** Returns the logs that were named. A directory stands for its logs. */
async function logsOf(files: readonly string[]): Promise<string[]> {
  const paths: string[] = [];
  for (const file of files) {
    const status = await stat(file).catch(() => undefined);
    if (!status) throw new ClickledgerError('not-found', `there is no log ${file}`);
    if (!status.isDirectory()) {
      paths.push(file);
      continue;
    }
    const { paths: logs, foreign } = await findLogs(file);
    for (const { name, what } of foreign) note(`${name} is not shipped: ${what}`);
    paths.push(...logs);
  }
  return paths;
}
