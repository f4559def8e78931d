import type { Command } from 'commander';
import type { Pool } from '../../core/postgres.ts';
import { createSlugCodec } from '../../core/slug.ts';
import { baseUrlOf, baseUrlsOf } from '../../authoring/base-urls.ts';
import { findOpenCampaign } from '../../authoring/campaigns.ts';
import { ensureAlias, ensureLink } from '../../authoring/links.ts';
import { parseTarget } from '../../authoring/target.ts';
import { ensureRecipient } from '../../authoring/recipients.ts';
import { assertKeyListed, createUrls, type Urls } from '../../authoring/urls.ts';
import { configOf, type GlobalOptions, timeOf, withPool } from '../context.ts';
import { printJson } from '../output.ts';

// The commands `url` and `pixel`: print the tracked URL of a target, and the URL of a campaign's pixel.

const SETTINGS = ['BASE_URL', 'BASE_URLS', 'AUTHOR_URL', 'SLUG_KEYS'] as const;

export function addUrl(program: Command): void {
  program
    .command('url <target>')
    .description('print the tracked URL of a target in a campaign')
    .requiredOption('--campaign <name>', 'name or number of the campaign')
    .option('--to <email>', 'print the URL of one person, who is added to the recipients; without this option the URL is shared by all')
    .option('--alias <name>', "a readable name for the shared URL; it must contain '-' or '_'")
    .option('--expires <when>', "the time from which the link leads to the campaign's fallback, e.g. 2026-12-31 or 30d")
    .addHelpText(
      'after',
      '\nExamples:\n  clickledger url https://shop.example/sale --campaign "Spring sale" --to reader@example.com\n  clickledger url https://shop.example/sale --campaign "Spring sale" --alias spring-sale',
    )
    .action(async (target: string, options: { campaign: string; to?: string; alias?: string; expires?: string }, command: Command) => {
      if (options.to !== undefined && options.alias !== undefined)
        command.error("error: options '--to' and '--alias' exclude each other, because a URL with an alias is shared by all", {
          exitCode: 2,
        });
      const checked = parseTarget(target);
      const expires = options.expires === undefined ? undefined : (await timeOf(command, options.expires)).at;
      await printTracked(command, options, async ({ pool, campaign, recipient, urls }) => {
        const link = await ensureLink(pool, campaign, { kind: 'url', target: checked }, expires);
        if (options.alias !== undefined) await ensureAlias(pool, options.alias, link);
        return { link, url: options.alias === undefined ? urls.click(link, recipient) : urls.alias(options.alias) };
      });
    });
}

export function addPixel(program: Command): void {
  program
    .command('pixel')
    .description("print the URL of a campaign's pixel, for the end of the letter")
    .requiredOption('--campaign <name>', 'name or number of the campaign')
    .option('--to <email>', 'print the URL of one person; without this option the URL is shared by all')
    .addHelpText('after', '\nExample:\n  clickledger pixel --campaign "Spring sale" --to reader@example.com')
    .action(async (options: { campaign: string; to?: string }, command: Command) => {
      await printTracked(command, options, async ({ pool, campaign, recipient, urls }) => {
        const link = await ensureLink(pool, campaign, { kind: 'pixel' });
        return { link, url: urls.pixel(link, recipient) };
      });
    });
}

interface TrackContext {
  pool: Pool;
  campaign: number;
  /** The id of the recipient. The id 0 means that the URL is shared by all recipients. */
  recipient: number;
  urls: Urls;
}

/** Finds the campaign and the recipient, creates the link with `track`, and prints the URL. */
async function printTracked(
  command: Command,
  options: { campaign: string; to?: string },
  track: (context: TrackContext) => Promise<{ link: number; url: string }>,
): Promise<void> {
  const config = await configOf(command, SETTINGS);
  const result = await withPool(config.AUTHOR_URL, async (pool) => {
    await assertKeyListed(pool, config.SLUG_KEYS[0]);
    const campaign = await findOpenCampaign(pool, options.campaign);
    const urls = createUrls(baseUrlOf(campaign, baseUrlsOf(config)), createSlugCodec(config.SLUG_KEYS));
    const recipient = options.to === undefined ? 0 : await ensureRecipient(pool, options.to);
    const { link, url } = await track({ pool, campaign: campaign.id, recipient, urls });
    return { url, campaign: campaign.id, link, recipient: recipient || null };
  });
  if (command.optsWithGlobals<GlobalOptions>().json) printJson(result);
  else process.stdout.write(`${result.url}\n`);
}
