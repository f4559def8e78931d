import type { Command } from 'commander';
import { ClickledgerError } from '../../core/errors.ts';
import { explainErrors } from '../../core/postgres.ts';
import { skipNumbers } from '../../operating/skip-numbers.ts';
import { configOf, type GlobalOptions } from '../context.ts';
import { note, printJson, printTable } from '../output.ts';

export function addRestored(program: Command): void {
  program
    .command('restored')
    .description('skip the numbers that were used since the backup; run it right after you restored the catalog from a backup')
    .option('--skip <numbers>', 'a number larger than the number of campaigns, links or recipients created since the backup', '1000000')
    .addHelpText(
      'after',
      `
Run it before anything is created in the restored catalog. Otherwise a new link could get the number of a link that is already in letters that
were sent, and the readers of these letters would be redirected to the wrong URL.

Example:
  clickledger migrate && clickledger restored`,
    )
    .action(async (options: { skip: string }, command: Command) => {
      const skip = /^\d{1,10}$/.test(options.skip) ? Number(options.skip) : 0;
      if (skip < 1)
        throw new ClickledgerError('bad-input', `--skip must be a whole number of at least 1 and at most 10 digits, not '${options.skip}'`);
      const config = await configOf(command, ['CATALOG_URL', 'SHARDS']);
      const skipped = await explainErrors(() => skipNumbers(config.CATALOG_URL, config.SHARDS, skip));
      if (command.optsWithGlobals<GlobalOptions>().json) printJson({ skipped });
      else {
        printTable(
          ['numbers of', 'next number before', 'next number now'],
          skipped.map(({ table, next_before, next }) => [table, next_before, next]),
        );
        note(
          'Backends that were not restarted still serve links that the restored catalog lacks. They serve them until their next restart.',
        );
      }
    });
}
