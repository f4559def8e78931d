import type { Command } from 'commander';
import { explainErrors } from '../../core/postgres.ts';
import { acceptShard } from '../../operating/accept-shard.ts';
import { MIGRATION_SETTINGS } from '../../operating/migrate.ts';
import { explainMissing, type MissingLimit } from '../../sql/limit-roles.ts';
import { countRows, moveShard, planMove, saveShardsSetting } from '../../operating/move-shard.ts';
import { configOf, dataDirOf, type GlobalOptions } from '../context.ts';
import { note, printJson } from '../output.ts';

export function addShard(program: Command): void {
  const shard = program.command('shard').description('manage the databases that store the events');

  shard
    .command('move <name>')
    .description(
      'copy a shard to another database while all parts run, and change SHARDS; the agents fill what the copy lacks from the logs',
    )
    .requiredOption('--to <url>', 'the URL of the new database, without credentials; the database is created if it does not exist')
    .option('--dry-run', 'show what would be copied; change nothing')
    .addHelpText(
      'after',
      `
The copy lacks the events that workers commit to the old database after the copy began. Restart the workers after the move. The agents then
publish these events again from the logs.

Examples:
  clickledger shard move b --to postgres://db2/clickledger_shard_b --dry-run
  clickledger shard move b --to postgres://db2/clickledger_shard_b`,
    )
    .action(async (name: string, options: { to: string; dryRun?: boolean }, command: Command) => {
      const config = await configOf(command, MIGRATION_SETTINGS);
      const move = planMove(config, name, options.to);
      const { json } = command.optsWithGlobals<GlobalOptions>();
      const what = { shard: name, from: move.from, to: move.to };
      if (options.dryRun) {
        const rows = await explainErrors(() => countRows(config, move));
        if (json) return printJson({ dry_run: true, ...what, rows });
        return note(
          `would copy ${rows.event} events and ${rows.ledger} ledger rows of shard ${name} from ${move.from} to ${move.to}, and change SHARDS`,
        );
      }
      const missing: MissingLimit[] = [];
      const copied = await explainErrors(() =>
        moveShard(config, move, (table) => note(`copying ${table}`), { onMissing: (limit) => missing.push(limit) }),
      );
      for (const text of explainMissing(missing)) note(text);
      const dataDir = dataDirOf(command);
      const saved = await saveShardsSetting(dataDir, move);
      if (json) return printJson({ dry_run: false, ...what, rows: copied, SHARDS: move.shards });
      note(`copied ${copied.event} events`);
      note(saved ? `changed SHARDS in ${dataDir}/env` : `change the settings of all parts: SHARDS=${move.shards}`);
      note('Restart the workers now. Events that they commit to the old database until then are published again from the logs.');
      note(`When \`clickledger audit\` finds no problem, you may drop the old database (${move.from}).`);
    });

  shard
    .command('accept <name>')
    .description('make the present database of a shard the right one, although a later one has taken its place')
    .addHelpText(
      'after',
      `
After a failover, workers refuse the former primary of a shard, because agents have seen the new one. Run this command if you go back to the
former primary on purpose, for example because the new one is lost, or if you started an old copy of the disk. Stop the other database first.
The agents then send what this one lacks from the logs.

Example:
  clickledger shard accept a`,
    )
    .action(async (name: string, _options: unknown, command: Command) => {
      const config = await configOf(command, MIGRATION_SETTINGS);
      await explainErrors(() => acceptShard(config, name));
      if (command.optsWithGlobals<GlobalOptions>().json) return printJson({ shard: name, accepted: true });
      note(`shard ${name}: workers use the present database from now on, and agents send what it lacks`);
    });
}
