import type { Command } from 'commander';
import { migrate, MIGRATION_SETTINGS } from '../../operating/migrate.ts';
import { configOf, type Globals } from '../context.ts';
import { printJson } from '../output.ts';

export function addMigrate(program: Command): void {
  program
    .command('migrate')
    .description("bring the catalog and all shards to this version, and list SLUG_KEYS' fingerprints; safe to run at any time")
    .addHelpText('after', '\nExample:\n  clickledger migrate')
    .action(async (_options: object, command: Command) => {
      const config = await configOf(command, MIGRATION_SETTINGS);
      const applied = await migrate(config);
      if (command.optsWithGlobals<Globals>().json) printJson({ applied });
      else
        process.stdout.write(
          applied.length === 0 ? 'up to date\n' : applied.map(({ database, name }) => `${database}: ${name}\n`).join(''),
        );
    });
}
