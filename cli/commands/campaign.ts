import type { Command } from 'commander';
import { ensureCampaign, listCampaigns, parseTarget } from '../author.ts';
import { configOf, type Globals, withPool } from '../context.ts';
import { printJson, printTable } from '../output.ts';

export function addCampaign(program: Command): void {
  const campaign = program.command('campaign').description('campaigns: one for each letter you send');

  campaign
    .command('create <name>')
    .description('make a campaign, or find it again')
    .option('--fallback <url>', 'where its expired and disabled links lead')
    .addHelpText('after', '\nExample:\n  clickledger campaign create "Spring sale" --fallback https://shop.example/')
    .action(async (name: string, options: { fallback?: string }, command: Command) => {
      const config = await configOf(command, ['AUTHOR_URL']);
      const fallback = options.fallback === undefined ? undefined : parseTarget(options.fallback);
      const result = await withPool(config.AUTHOR_URL, (pool) => ensureCampaign(pool, name, fallback));
      if (command.optsWithGlobals<Globals>().json) printJson({ id: result.id, name, created: result.created });
      else process.stdout.write(`${result.id}\n`);
    });

  campaign
    .command('list')
    .description('all campaigns')
    .addHelpText('after', '\nExample:\n  clickledger campaign list')
    .action(async (_options: object, command: Command) => {
      const config = await configOf(command, ['AUTHOR_URL']);
      const campaigns = await withPool(config.AUTHOR_URL, listCampaigns);
      if (command.optsWithGlobals<Globals>().json) printJson(campaigns);
      else
        printTable(
          ['id', 'name', 'links', 'created'],
          campaigns.map((c) => [c.id, c.name, c.links, c.created_at.toISOString().slice(0, 16).replace('T', ' ')]),
        );
    });
}
