import type { Command } from 'commander';
import { ensureCampaign, findCampaign, listCampaigns, markSent, setClosed } from '../../authoring/campaigns.ts';
import { parseWhen } from '../../authoring/parse-time.ts';
import { configOf, type Globals, withPool } from '../context.ts';
import { note, printJson, printTable, shortTime } from '../output.ts';

export function addCampaign(program: Command): void {
  const campaign = program.command('campaign').description('campaigns: one for each letter you send');

  campaign
    .command('create <name>')
    .description('make a campaign, or find it again')
    .option('--fallback <url>', 'where its expired and disabled links lead')
    .addHelpText('after', '\nExample:\n  clickledger campaign create "Spring sale" --fallback https://shop.example/')
    .action(async (name: string, options: { fallback?: string }, command: Command) => {
      const config = await configOf(command, ['AUTHOR_URL']);
      const result = await withPool(config.AUTHOR_URL, (pool) => ensureCampaign(pool, name, options.fallback));
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
          ['id', 'name', 'links', 'created', 'sent', 'closed'],
          campaigns.map((c) => [c.id, c.name, c.links, shortTime(c.created_at), shortTime(c.sent_at), shortTime(c.closed_at)]),
        );
    });

  campaign
    .command('sent <name>')
    .description('note when its mail went out, which reports count from')
    .option('--at <when>', 'the time; now, if it is left out', 'now')
    .addHelpText(
      'after',
      '\nExamples:\n  clickledger campaign sent "Spring sale"\n  clickledger campaign sent "Spring sale" --at 2026-12-01T09:30',
    )
    .action(async (name: string, options: { at: string }, command: Command) => {
      const at = parseWhen(options.at);
      await change(command, name, (pool, id) => markSent(pool, id, at), { sent_at: at }, `sent at ${at.toISOString()}`);
    });

  campaign
    .command('close <name>')
    .description('nothing new is prepared for it any more; its links go on leading where they lead, and their clicks count')
    .addHelpText('after', '\nExample:\n  clickledger campaign close "Spring sale"')
    .action((name: string, _options: object, command: Command) =>
      change(command, name, (pool, id) => setClosed(pool, id, true), { closed: true }, 'closed'),
    );

  campaign
    .command('reopen <name>')
    .description('take up a closed campaign again')
    .addHelpText('after', '\nExample:\n  clickledger campaign reopen "Spring sale"')
    .action((name: string, _options: object, command: Command) =>
      change(command, name, (pool, id) => setClosed(pool, id, false), { closed: false }, 'open again'),
    );
}

async function change(
  command: Command,
  name: string,
  act: (pool: Parameters<typeof findCampaign>[0], id: number) => Promise<void>,
  json: object,
  said: string,
): Promise<void> {
  const config = await configOf(command, ['AUTHOR_URL']);
  const campaign = await withPool(config.AUTHOR_URL, async (pool) => {
    const found = await findCampaign(pool, name);
    await act(pool, found.id);
    return found;
  });
  if (command.optsWithGlobals<Globals>().json) printJson({ id: campaign.id, name: campaign.name, ...json });
  else note(`'${campaign.name}': ${said}`);
}
