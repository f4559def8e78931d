import type { Command } from 'commander';
import { explainDatabaseError } from '../../core/postgres.ts';
import { ClickledgerError } from '../../core/errors.ts';
import { migrate } from '../../sql/migrate.ts';
import { configOf, type Globals } from '../context.ts';
import { printJson } from '../output.ts';

export const MIGRATION_SETTINGS = ['CATALOG_URL', 'BACKEND_URL', 'WORKER_URL', 'AUTHOR_URL', 'ANALYST_URL', 'SHARDS', 'SLUG_KEYS'] as const;

export function addMigrate(program: Command): void {
  program
    .command('migrate')
    .description("bring the catalog and all shards to this version, and list SLUG_KEYS' fingerprints; safe to run at any time")
    .addHelpText('after', '\nExample:\n  clickledger migrate')
    .action(async (_options: object, command: Command) => {
      const config = await configOf(command, MIGRATION_SETTINGS);
      const applied = await migrate({
        ownerUrl: config.CATALOG_URL,
        roleUrls: { backend: config.BACKEND_URL, worker: config.WORKER_URL, author: config.AUTHOR_URL, analyst: config.ANALYST_URL },
        shards: config.SHARDS,
        keys: config.SLUG_KEYS,
      }).catch((error: unknown) => {
        throw error instanceof ClickledgerError ? error : explainDatabaseError(error);
      });
      if (command.optsWithGlobals<Globals>().json) printJson({ applied });
      else
        process.stdout.write(
          applied.length === 0 ? 'up to date\n' : applied.map(({ database, name }) => `${database}: ${name}\n`).join(''),
        );
    });
}
