import type { Command } from 'commander';
import { findCampaign, listLinks } from '../author.ts';
import { configOf, type Globals, withPool } from '../context.ts';
import { printJson, printTable } from '../output.ts';

export function addLink(program: Command): void {
  const link = program.command('link').description('the links of a campaign');

  link
    .command('list')
    .description('all links of a campaign')
    .requiredOption('--campaign <name>', 'name or number of the campaign')
    .addHelpText('after', '\nExample:\n  clickledger link list --campaign "Spring sale"')
    .action(async (options: { campaign: string }, command: Command) => {
      const config = await configOf(command, ['AUTHOR_URL']);
      const links = await withPool(config.AUTHOR_URL, async (pool) => listLinks(pool, (await findCampaign(pool, options.campaign)).id));
      if (command.optsWithGlobals<Globals>().json) printJson(links);
      else
        printTable(
          ['id', 'kind', 'target', 'version', 'aliases'],
          links.map((l) => [l.id, l.kind, l.target, l.version, l.aliases.join(' ')]),
        );
    });
}
