import type { Command } from 'commander';
import { BURST, MACHINE_SIGNALS, RULES_VERSION, SCANNER_NETWORKS } from '../../core/rules.ts';
import { shardUrl } from '../../core/shards.ts';
import { findCampaign } from '../../authoring/campaigns.ts';
import { configOf, type Globals, withPool } from '../context.ts';
import { note, printJson, printTable } from '../output.ts';

interface Judged {
  kind: string;
  was: string;
  becomes: string;
  hits: number;
  older_rules: number;
}

export function addReclassify(program: Command): void {
  program
    .command('reclassify')
    .description('judge the history of a campaign again by the rules of now, and say what changed')
    .requiredOption('--campaign <name>', 'name or number of the campaign')
    .option('--dry-run', 'only say what would change')
    .addHelpText(
      'after',
      '\nExamples:\n  clickledger reclassify --campaign "Spring sale" --dry-run\n  clickledger reclassify --campaign "Spring sale"',
    )
    .action(async (options: { campaign: string; dryRun?: boolean }, command: Command) => {
      const config = await configOf(command, ['AUTHOR_URL', 'WORKER_URL', 'SHARDS']);
      const campaign = await withPool(config.AUTHOR_URL, (pool) => findCampaign(pool, options.campaign));
      const sum = new Map<string, Judged>();
      for (const shard of config.SHARDS.list) {
        for (const row of await judgeAgain(shardUrl(shard, config.WORKER_URL), campaign.id, options.dryRun === true)) {
          const key = `${row.kind} ${row.was} ${row.becomes}`;
          const before = sum.get(key);
          sum.set(key, before ? { ...row, hits: before.hits + row.hits, older_rules: before.older_rules + row.older_rules } : row);
        }
      }
      tell([...sum.values()], options.dryRun === true, command.optsWithGlobals<Globals>().json === true);
    });
}

async function judgeAgain(url: string, campaign: number, dryRun: boolean): Promise<Judged[]> {
  const { rows } = await withPool(url, (pool) =>
    pool.query<Judged>('SELECT * FROM shard.reclassify($1, $2, $3, $4, make_interval(secs => $5), $6, $7)', [
      campaign,
      RULES_VERSION,
      MACHINE_SIGNALS,
      [...SCANNER_NETWORKS],
      BURST.spanMs / 1000,
      BURST.differentLinks,
      dryRun,
    ]),
  );
  return rows;
}

function tell(judged: readonly Judged[], dryRun: boolean, json: boolean): void {
  const changed = judged.filter(({ was, becomes }) => was !== becomes);
  const hits = judged.reduce((sum, row) => sum + row.hits, 0);
  const older = judged.reduce((sum, row) => sum + row.older_rules, 0);
  if (json) return printJson({ dry_run: dryRun, rules: RULES_VERSION, hits, changed, judged_by_older_rules: older });
  if (changed.length > 0)
    printTable(
      ['kind', 'was', dryRun ? 'would be' : 'is', 'hits'],
      changed.map(({ kind, was, becomes, hits: n }) => [kind, was, becomes, n]),
    );
  const moved = changed.reduce((sum, row) => sum + row.hits, 0);
  note(`${moved} of ${hits} hits ${dryRun ? 'would change' : 'changed'} by the rules of version ${RULES_VERSION}`);
  if (older > 0)
    note(
      `${older} of them were first judged by older rules: their networks and bursts were looked at again; what their user agents would say now is unknown, since no user agent is kept`,
    );
}
