import type { Command } from 'commander';
import { explainErrors } from '../../core/postgres.ts';
import { MIGRATION_SETTINGS } from '../../operating/migrate.ts';
import { countRows, moveShard, planMove, saveMove } from '../../operating/move-shard.ts';
import { configOf, dataDirOf, type Globals } from '../context.ts';
import { note, printJson } from '../output.ts';

export function addShard(program: Command): void {
  const shard = program.command('shard').description('the databases that events live in');

  shard
    .command('move <name>')
    .description('copy a shard to another database while everything runs, and point the settings at it; the logs fill what the copy lacks')
    .requiredOption('--to <url>', "the new database's URL, without credentials; it is made if it does not exist")
    .option('--dry-run', 'say what would be done')
    .addHelpText('after', '\nExample:\n  clickledger shard move b --to postgres://db2/clickledger_shard_b')
    .action(async (name: string, options: { to: string; dryRun?: boolean }, command: Command) => {
      const config = await configOf(command, MIGRATION_SETTINGS);
      const move = planMove(config, name, options.to);
      const { json } = command.optsWithGlobals<Globals>();
      const what = { shard: name, from: move.from, to: move.to };
      if (options.dryRun) {
        const rows = await explainErrors(() => countRows(config, move));
        if (json) return printJson({ dry_run: true, ...what, rows });
        return note(
          `would copy ${rows.event} events and ${rows.ledger} ledger rows of shard ${name} from ${move.from} to ${move.to}, and change SHARDS`,
        );
      }
      const copied = await explainErrors(() => moveShard(config, move, (table) => note(`copying ${table}`)));
      const dataDir = dataDirOf(command);
      const saved = await saveMove(dataDir, move);
      if (json) return printJson({ dry_run: false, ...what, rows: copied, SHARDS: move.shards });
      note(`copied ${copied.event} events; ${saved ? `SHARDS in ${dataDir}/env is changed` : `now set SHARDS=${move.shards}`}`);
      note('restart the workers now; what they commit to the old database until then is filled from the logs.');
      note(`Once \`clickledger audit\` finds nothing, the old database (${move.from}) may be dropped.`);
    });
}
