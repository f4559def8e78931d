import type { Command } from 'commander';
import { editCampaign, ensureCampaign, findCampaign, listCampaigns, markSent, setClosed } from '../../authoring/campaigns.ts';
import { configOf, type GlobalOptions, timeOf, withPool } from '../context.ts';
import { note, printJson, printTable, shortTime } from '../output.ts';

// The command `campaign`: creates, lists, changes, closes and reopens campaigns, and records when their mail was sent.

const PASS_QUERY = 'add what stands behind the question mark of a tracked URL, such as utm_source=mail, to where the URL leads';

export function addCampaign(program: Command): void {
  const campaign = program.command('campaign').description('manage campaigns; a campaign is one letter that you send');

  campaign
    .command('create <name>')
    .description('create a campaign and print its number; an existing campaign is found by its name')
    .option('--fallback <url>', 'the URL to which its expired and disabled links lead')
    .option('--pass-query', PASS_QUERY)
    .addHelpText('after', '\nExample:\n  clickledger campaign create "Spring sale" --fallback https://shop.example/')
    .action(async (name: string, options: { fallback?: string; passQuery?: true }, command: Command) => {
      const config = await configOf(command, ['AUTHOR_URL']);
      const result = await withPool(config.AUTHOR_URL, (pool) => ensureCampaign(pool, name, options.fallback, options.passQuery));
      if (command.optsWithGlobals<GlobalOptions>().json) printJson({ id: result.id, name, created: result.created });
      else process.stdout.write(`${result.id}\n`);
    });

  campaign
    .command('list')
    .description('list all campaigns')
    .addHelpText('after', '\nExample:\n  clickledger campaign list')
    .action(async (_options: object, command: Command) => {
      const config = await configOf(command, ['AUTHOR_URL']);
      const campaigns = await withPool(config.AUTHOR_URL, listCampaigns);
      if (command.optsWithGlobals<GlobalOptions>().json) printJson(campaigns);
      else
        printTable(
          ['id', 'name', 'links', 'created', 'sent', 'closed'],
          campaigns.map((c) => [c.id, c.name, c.links, shortTime(c.created_at), shortTime(c.sent_at), shortTime(c.closed_at)]),
        );
    });

  campaign
    .command('edit <name>')
    .description('change the settings of a campaign; they apply within seconds, also to letters that were sent')
    .option('--fallback <url>', 'the URL to which its expired and disabled links lead; none: they lead nowhere')
    .option('--pass-query', PASS_QUERY)
    .option('--no-pass-query', 'drop it')
    .addHelpText(
      'after',
      '\nExamples:\n  clickledger campaign edit "Spring sale" --pass-query\n  clickledger campaign edit "Spring sale" --fallback https://shop.example/',
    )
    .action(async (name: string, options: { fallback?: string; passQuery?: boolean }, command: Command) => {
      const { fallback, passQuery } = options;
      if (fallback === undefined && passQuery === undefined)
        command.error("error: there is nothing to change. Give '--fallback <url>', '--pass-query' or '--no-pass-query'.", { exitCode: 2 });
      const fallbackUrl = fallback === 'none' ? null : fallback;
      await updateCampaign(
        command,
        name,
        (pool, id) => editCampaign(pool, id, { fallbackUrl, passQuery }),
        {
          ...(fallbackUrl === undefined ? {} : { fallback: fallbackUrl }),
          ...(passQuery === undefined ? {} : { pass_query: passQuery }),
        },
        [
          ...(fallbackUrl === undefined ? [] : [fallbackUrl === null ? 'has no fallback' : `its fallback is ${fallbackUrl}`]),
          ...(passQuery === undefined ? [] : [passQuery ? 'queries are passed on' : 'queries are not passed on']),
        ].join('; '),
      );
    });

  campaign
    .command('sent <name>')
    .description('record when the mail of a campaign was sent; reports count from this time')
    .option('--at <when>', 'the time at which the mail was sent', 'now')
    .addHelpText(
      'after',
      '\nExamples:\n  clickledger campaign sent "Spring sale"\n  clickledger campaign sent "Spring sale" --at 2026-12-01T09:30',
    )
    .action(async (name: string, options: { at: string }, command: Command) => {
      const { at, words } = await timeOf(command, options.at);
      await updateCampaign(command, name, (pool, id) => markSent(pool, id, at), { sent_at: at }, `sent at ${words}`);
    });

  campaign
    .command('close <name>')
    .description('close a campaign: no new links and letters are prepared for it; its existing links still work and are counted')
    .addHelpText('after', '\nExample:\n  clickledger campaign close "Spring sale"')
    .action((name: string, _options: object, command: Command) =>
      updateCampaign(command, name, (pool, id) => setClosed(pool, id, true), { closed: true }, 'closed'),
    );

  campaign
    .command('reopen <name>')
    .description('reopen a closed campaign')
    .addHelpText('after', '\nExample:\n  clickledger campaign reopen "Spring sale"')
    .action((name: string, _options: object, command: Command) =>
      updateCampaign(command, name, (pool, id) => setClosed(pool, id, false), { closed: false }, 'reopened'),
    );
}

/** Finds a campaign, changes it with `update`, and prints the result: `json` with --json, otherwise `message` on stderr. */
async function updateCampaign(
  command: Command,
  name: string,
  update: (pool: Parameters<typeof findCampaign>[0], id: number) => Promise<void>,
  json: object,
  message: string,
): Promise<void> {
  const config = await configOf(command, ['AUTHOR_URL']);
  const campaign = await withPool(config.AUTHOR_URL, async (pool) => {
    const found = await findCampaign(pool, name);
    await update(pool, found.id);
    return found;
  });
  if (command.optsWithGlobals<GlobalOptions>().json) printJson({ id: campaign.id, name: campaign.name, ...json });
  else note(`'${campaign.name}': ${message}`);
}
