import type { Command } from 'commander';
import { ClickledgerError } from '../../core/errors.ts';
import type { Pool } from '../../core/postgres.ts';
import { baseUrlsOf, chooseBaseUrl } from '../../authoring/base-urls.ts';
import { listSites, parseHost } from '../../authoring/sites.ts';
import {
  type CampaignSettings,
  editCampaign,
  ensureCampaign,
  findCampaign,
  listCampaigns,
  markSent,
  setClosed,
} from '../../authoring/campaigns.ts';
import { configOf, type GlobalOptions, timeOf, withPool } from '../context.ts';
import { note, printJson, printTable, shortTime } from '../output.ts';

// The command `campaign`: creates, lists, changes, closes and reopens campaigns, and records when their mail was sent.

const FOLLOW = 'add cl=<slug> to addresses on your sites, so that visits and goals can name their click (all sites of `site list`)';
const FOLLOW_HOSTS = 'the same only for these hosts and their subdomains';
const BASE_URL = 'the URL with which new URLs of the campaign begin: BASE_URL or one of BASE_URLS';
const PASS_QUERY = 'add what stands behind the question mark of a tracked URL, such as utm_source=mail, to where the URL leads';

export function addCampaign(program: Command): void {
  const campaign = program.command('campaign').description('manage campaigns; a campaign is one letter that you send');

  campaign
    .command('create <name>')
    .description('create a campaign and print its number; an existing campaign is found by its name')
    .option('--fallback <url>', 'the URL to which its expired and disabled links lead')
    .option('--pass-query', PASS_QUERY)
    .option('--follow', FOLLOW)
    .option('--follow-hosts <host,…>', FOLLOW_HOSTS)
    .option('--base-url <url>', BASE_URL)
    .addHelpText(
      'after',
      '\nExamples:\n  clickledger campaign create "Spring sale" --fallback https://shop.example/\n  clickledger campaign create "Spring sale" --follow-hosts shop.example,blog.example',
    )
    .action(async (name: string, options: SettingOptions, command: Command) => {
      const config = await configOf(command, ['AUTHOR_URL']);
      const baseUrl = await chosenBaseUrl(command, options);
      const result = await withPool(config.AUTHOR_URL, async (pool) =>
        ensureCampaign(pool, name, { ...(await settingsOf(pool, options)), baseUrl }),
      );
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
          ['id', 'name', 'links', 'created', 'sent', 'closed', 'base url'],
          campaigns.map((c) => [
            c.id,
            c.name,
            c.links,
            shortTime(c.created_at),
            shortTime(c.sent_at),
            shortTime(c.closed_at),
            c.base_url ?? '',
          ]),
        );
    });

  campaign
    .command('edit <name>')
    .description('change the settings of a campaign; all but the base URL apply within seconds, also to letters that were sent')
    .option('--fallback <url>', 'the URL to which its expired and disabled links lead; none: they lead nowhere')
    .option('--pass-query', PASS_QUERY)
    .option('--no-pass-query', 'drop it')
    .option('--follow', FOLLOW)
    .option('--follow-hosts <host,…>', FOLLOW_HOSTS)
    .option('--no-follow', 'add nothing')
    .option('--base-url <url>', BASE_URL)
    .option('--no-base-url', 'new URLs begin with BASE_URL')
    .addHelpText(
      'after',
      '\nExamples:\n  clickledger campaign edit "Spring sale" --pass-query\n  clickledger campaign edit "Spring sale" --fallback https://shop.example/',
    )
    .action(async (name: string, options: SettingOptions, command: Command) => {
      if (Object.keys(options).length === 0)
        command.error("error: there is nothing to change. Give '--fallback <url>', '--pass-query', '--follow' or another option.", {
          exitCode: 2,
        });
      const baseUrl = await chosenBaseUrl(command, options);
      await updateCampaign(command, name, async (pool, id) => {
        const changes = await settingsOf(pool, { ...options, ...(options.fallback === 'none' ? { fallback: null } : {}) });
        await editCampaign(pool, id, { ...changes, baseUrl });
        const { fallbackUrl, passQuery, followHosts } = changes;
        return {
          json: {
            ...(fallbackUrl === undefined ? {} : { fallback: fallbackUrl }),
            ...(passQuery === undefined ? {} : { pass_query: passQuery }),
            ...(followHosts === undefined ? {} : { follow_hosts: followHosts }),
            ...(baseUrl === undefined ? {} : { base_url: baseUrl }),
          },
          message: [
            ...(fallbackUrl === undefined ? [] : [fallbackUrl === null ? 'has no fallback' : `its fallback is ${fallbackUrl}`]),
            ...(passQuery === undefined ? [] : [passQuery ? 'queries are passed on' : 'queries are not passed on']),
            ...(followHosts === undefined
              ? []
              : [followHosts === null ? 'clicks are not followed' : `clicks are followed to ${followHosts.join(', ')}`]),
            ...(baseUrl === undefined ? [] : [`new URLs begin with ${baseUrl ?? 'BASE_URL'}`]),
          ].join('; '),
        };
      });
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
      await updateCampaign(command, name, async (pool, id) => {
        await markSent(pool, id, at);
        return { json: { sent_at: at }, message: `sent at ${words}` };
      });
    });

  campaign
    .command('close <name>')
    .description('close a campaign: no new links and letters are prepared for it; its existing links still work and are counted')
    .addHelpText('after', '\nExample:\n  clickledger campaign close "Spring sale"')
    .action((name: string, _options: object, command: Command) =>
      updateCampaign(command, name, async (pool, id) => {
        await setClosed(pool, id, true);
        return { json: { closed: true }, message: 'closed' };
      }),
    );

  campaign
    .command('reopen <name>')
    .description('reopen a closed campaign')
    .addHelpText('after', '\nExample:\n  clickledger campaign reopen "Spring sale"')
    .action((name: string, _options: object, command: Command) =>
      updateCampaign(command, name, async (pool, id) => {
        await setClosed(pool, id, false);
        return { json: { closed: false }, message: 'reopened' };
      }),
    );
}

/** The options that are settings of a campaign. A fallback that is null is removed. */
interface SettingOptions {
  fallback?: string | null;
  passQuery?: boolean;
  follow?: boolean;
  followHosts?: string;
  /** False: the base URL of the campaign is removed. */
  baseUrl?: string | false;
}

/** Returns the base URL that the options ask for, as the settings have it. Null: the campaign gets none. Throws `bad-input` for an unknown one. */
async function chosenBaseUrl(command: Command, { baseUrl }: SettingOptions): Promise<string | null | undefined> {
  if (typeof baseUrl !== 'string') return baseUrl === false ? null : undefined;
  return chooseBaseUrl(baseUrl, baseUrlsOf(await configOf(command, ['BASE_URL', 'BASE_URLS'])));
}

/** Returns the settings that the options ask for. Throws `bad-input` if --follow is given and there is no site. */
async function settingsOf(pool: Pool, { fallback, passQuery, follow, followHosts }: SettingOptions): Promise<CampaignSettings> {
  const hosts = async (): Promise<string[] | null | undefined> => {
    if (followHosts !== undefined) return followHosts.split(',').map(parseHost);
    if (follow !== true) return follow === false ? null : undefined;
    const sites = await listSites(pool);
    if (sites.length === 0)
      throw new ClickledgerError(
        'bad-input',
        'there is no site to follow clicks to. Add one with `clickledger site add <host>`, or give --follow-hosts.',
      );
    return sites.map(({ host }) => host);
  };
  return { fallbackUrl: fallback, passQuery, followHosts: await hosts() };
}

/** Finds a campaign, changes it with `update`, and prints its result: `json` with --json, otherwise `message` on stderr. */
async function updateCampaign(
  command: Command,
  name: string,
  update: (pool: Pool, id: number) => Promise<{ json: object; message: string }>,
): Promise<void> {
  const config = await configOf(command, ['AUTHOR_URL']);
  const { json, message, ...campaign } = await withPool(config.AUTHOR_URL, async (pool) => {
    const found = await findCampaign(pool, name);
    return { ...found, ...(await update(pool, found.id)) };
  });
  if (command.optsWithGlobals<GlobalOptions>().json) printJson({ id: campaign.id, name: campaign.name, ...json });
  else note(`'${campaign.name}': ${message}`);
}
