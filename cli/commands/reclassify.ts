import type { Command } from 'commander';
import { findCampaign } from '../../authoring/campaigns.ts';
import { RULES_VERSION } from '../../core/rules.ts';
import { reclassify, RECLASSIFY_SETTINGS } from '../../operating/reclassify.ts';
import { configOf, type GlobalOptions, withPool } from '../context.ts';
import { note, printJson, printTable } from '../output.ts';

export function addReclassify(program: Command): void {
  program
    .command('reclassify')
    .description('judge all hits of a campaign again by the current rules, and print what changed')
    .requiredOption('--campaign <name>', 'name or number of the campaign')
    .option('--dry-run', 'print what would change; change nothing')
    .addHelpText(
      'after',
      '\nExamples:\n  clickledger reclassify --campaign "Spring sale" --dry-run\n  clickledger reclassify --campaign "Spring sale"',
    )
    .action(async (options: { campaign: string; dryRun?: boolean }, command: Command) => {
      const config = await configOf(command, ['AUTHOR_URL', ...RECLASSIFY_SETTINGS]);
      const reclassified = await withPool(config.AUTHOR_URL, async (pool) => {
        const campaign = await findCampaign(pool, options.campaign);
        return reclassify(config, pool, campaign.id, options.dryRun === true);
      });
      printChanges(reclassified, options.dryRun === true, command.optsWithGlobals<GlobalOptions>().json === true);
    });
}

function printChanges(judged: Awaited<ReturnType<typeof reclassify>>, dryRun: boolean, json: boolean): void {
  const changed = judged.filter(({ was, becomes }) => was !== becomes);
  const hits = judged.reduce((sum, row) => sum + row.hits, 0);
  const older = judged.reduce((sum, row) => sum + row.older_rules, 0);
  if (json) return printJson({ dry_run: dryRun, rules: RULES_VERSION, hits, changed, judged_by_older_rules: older });
  if (changed.length > 0)
    printTable(
      ['kind', 'was', dryRun ? 'would be' : 'is', 'hits'],
      changed.map(({ kind, was, becomes, hits: n }) => [kind, was, becomes, n]),
    );
  const changedHits = changed.reduce((sum, row) => sum + row.hits, 0);
  note(`${changedHits} of ${hits} hits ${dryRun ? 'would change' : 'changed'} by the rules of version ${RULES_VERSION}`);
  if (older > 0)
    note(
      `${older} of these ${hits} hits were first judged by older rules. Their networks, the time of sending, the hidden links and the signs of other clicks were checked again. Their user agents were not, because user agents are not stored.`,
    );
}
