import type { Command } from 'commander';
import { ClickledgerError } from '../../core/errors.ts';
import { explainErrors } from '../../core/postgres.ts';
import { skipNumbers } from '../../operating/skip-numbers.ts';
import { configOf, type Globals } from '../context.ts';
import { note, printJson, printTable } from '../output.ts';

export function addRestored(program: Command): void {
  program
    .command('restored')
    .description('after the catalog was put back from a backup, before anything is made in it: numbers given since are not given again')
    .option('--skip <numbers>', 'more than campaigns, links or recipients were made since the backup', '1000000')
    .addHelpText(
      'after',
      '\nWithout it, a link made now could have the number of one that is in letters which were sent, and their readers would be sent to the\nwrong address.\n\nExample:\n  clickledger migrate && clickledger restored',
    )
    .action(async (options: { skip: string }, command: Command) => {
      const skip = /^\d{1,10}$/.test(options.skip) ? Number(options.skip) : 0;
      if (skip < 1) throw new ClickledgerError('bad-input', `--skip '${options.skip}': how many numbers, at least 1`);
      const config = await configOf(command, ['CATALOG_URL', 'SHARDS']);
      const skipped = await explainErrors(() => skipNumbers(config.CATALOG_URL, config.SHARDS, skip));
      if (command.optsWithGlobals<Globals>().json) printJson({ skipped });
      else {
        printTable(
          ['numbers of', 'next would have been', 'next is'],
          skipped.map(({ table, next_before, next }) => [table, next_before, next]),
        );
        note('Backends that ran on still know links that the backup lacks, and serve them until they are restarted.');
      }
    });
}
