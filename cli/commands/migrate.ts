import type { Command } from 'commander';
import { migrate, MIGRATION_SETTINGS, prepareUpgrade } from '../../operating/migrate.ts';
import { explainMissing, type MissingLimit } from '../../sql/limit-roles.ts';
import { configOf, type GlobalOptions } from '../context.ts';
import { note, printJson } from '../output.ts';

export function addMigrate(program: Command): void {
  program
    .command('migrate')
    .description('create or update the tables of the catalog and of all shards; you may run it at any time')
    .option('--dedicated', 'the servers have no databases of others: let the roles connect to no database but those of clickledger')
    .option(
      '--for-pg-upgrade',
      'run this just before pg_upgrade: give the functions of Postgres the rights that they had after its installation',
    )
    .addHelpText(
      'after',
      `
It also limits what Postgres allows every role: functions that write, connections, temporary files. If the owner is not a superuser, it
prints the SQL that an administrator has to run.
Run it after an update of clickledger, and after a change of SLUG_KEYS: it also stores the fingerprints of the keys in the catalog.

Example:
  clickledger migrate
  clickledger migrate --for-pg-upgrade     then run pg_upgrade, then clickledger migrate`,
    )
    .action(async ({ dedicated, forPgUpgrade }: { dedicated?: true; forPgUpgrade?: true }, command: Command) => {
      if (forPgUpgrade) return prepareForUpgrade(command);
      const config = await configOf(command, MIGRATION_SETTINGS);
      const missing: MissingLimit[] = [];
      const applied = await migrate(config, { dedicated: dedicated === true, onMissing: (limit) => missing.push(limit) });
      for (const text of explainMissing(missing)) note(text);
      if (command.optsWithGlobals<GlobalOptions>().json) printJson({ applied });
      else
        process.stdout.write(
          applied.length === 0 ? 'up to date\n' : applied.map(({ database, name }) => `${database}: ${name}\n`).join(''),
        );
    });
}

async function prepareForUpgrade(command: Command): Promise<void> {
  const config = await configOf(command, ['CATALOG_URL', 'SHARDS']);
  const missing: MissingLimit[] = [];
  await prepareUpgrade(config, { onMissing: (limit) => missing.push(limit) });
  for (const text of explainMissing(missing)) note(text);
  if (missing.length > 0) return;
  note(
    'the functions of Postgres have the rights that they had after its installation: stop the server, run pg_upgrade, then run `clickledger migrate`',
  );
}
