import type { Command } from 'commander';
import { migrate, MIGRATION_SETTINGS } from '../../operating/migrate.ts';
import { configOf, type GlobalOptions } from '../context.ts';
import { printJson } from '../output.ts';

export function addMigrate(program: Command): void {
  program
    .command('migrate')
    .description('create or update the tables of the catalog and of all shards; you may run it at any time')
    .addHelpText(
      'after',
      `
Run it after an update of clickledger, and after a change of SLUG_KEYS: it also stores the fingerprints of the keys in the catalog.

Example:
  clickledger migrate`,
    )
    .action(async (_options: object, command: Command) => {
      const config = await configOf(command, MIGRATION_SETTINGS);
      const applied = await migrate(config);
      if (command.optsWithGlobals<GlobalOptions>().json) printJson({ applied });
      else
        process.stdout.write(
          applied.length === 0 ? 'up to date\n' : applied.map(({ database, name }) => `${database}: ${name}\n`).join(''),
        );
    });
}
