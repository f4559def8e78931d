import type { Command } from 'commander';
import { readEnvFile, writeEnvFile } from '../../core/env-file.ts';
import { ClickledgerError } from '../../core/errors.ts';
import { explainDatabaseError } from '../../core/postgres.ts';
import { parseShards, shardUrl } from '../../core/shards.ts';
import { migrate, prepareShard } from '../../sql/migrate.ts';
import { copyShard, countShard } from '../../operating/copy-shard.ts';
import { configOf, dataDirOf, type Globals } from '../context.ts';
import { note, printJson } from '../output.ts';
import { MIGRATION_SETTINGS } from './migrate.ts';

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
      const old = config.SHARDS.named(name);
      const moved = config.SHARDS.list.map((each) => `${each.name}=${each.from}=${each.name === name ? options.to : each.url}`).join(',');
      const shards = parseShards(moved);
      if (options.to === old.url) throw new ClickledgerError('bad-input', `shard ${name} lives there already`);
      const source = shardUrl(old, config.CATALOG_URL);
      const { json } = command.optsWithGlobals<Globals>();
      try {
        const rows = await countShard(source);
        if (options.dryRun) {
          if (json) printJson({ dry_run: true, shard: name, from: old.url, to: options.to, rows });
          else
            note(
              `would copy ${rows.event} events and ${rows.ledger} ledger rows of shard ${name} from ${old.url} to ${options.to}, and change SHARDS`,
            );
          return;
        }
        const roleUrls = { backend: config.BACKEND_URL, worker: config.WORKER_URL, author: config.AUTHOR_URL, analyst: config.ANALYST_URL };
        await prepareShard(shards.named(name), shards, config.CATALOG_URL, roleUrls);
        const copied = await copyShard(source, shardUrl(shards.named(name), config.CATALOG_URL), (table) => note(`copying ${table}`));
        // From here on reports read the new one.
        await migrate({ ownerUrl: config.CATALOG_URL, roleUrls, shards, keys: config.SLUG_KEYS });
        const dataDir = dataDirOf(command);
        const settings = await readEnvFile(dataDir);
        const inFile = settings['SHARDS'] !== undefined;
        if (inFile) await writeEnvFile(dataDir, { ...settings, SHARDS: moved });
        if (json) printJson({ dry_run: false, shard: name, from: old.url, to: options.to, rows: copied, SHARDS: moved });
        else {
          note(`copied ${copied.event} events; ${inFile ? `SHARDS in ${dataDir}/env is changed` : `now set SHARDS=${moved}`}`);
          note('restart the workers now; what they commit to the old database until then is filled from the logs.');
          note(`Once \`clickledger audit\` finds nothing, the old database (${old.url}) may be dropped.`);
        }
      } catch (error) {
        throw error instanceof ClickledgerError ? error : explainDatabaseError(error);
      }
    });
}
