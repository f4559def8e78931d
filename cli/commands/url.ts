import type { Command } from 'commander';
import type { Pool } from '../../core/postgres.ts';
import { createSlugCodec } from '../../core/slug.ts';
import { findOpenCampaign } from '../../authoring/campaigns.ts';
import { ensureAlias, ensureLink } from '../../authoring/links.ts';
import { parseTarget } from '../../authoring/target.ts';
import { ensureRecipient } from '../../authoring/recipients.ts';
import { assertKeyListed, createUrls, type Urls } from '../../authoring/urls.ts';
import { parseWhen } from '../../authoring/parse-time.ts';
import { configOf, type Globals, withPool } from '../context.ts';
import { printJson } from '../output.ts';

const SETTINGS = ['BASE_URL', 'AUTHOR_URL', 'SLUG_KEYS'] as const;

export function addUrl(program: Command): void {
  program
    .command('url <target>')
    .description('the tracked URL of a target in a campaign')
    .requiredOption('--campaign <name>', 'name or number of the campaign')
    .option('--to <email>', 'for one person, who becomes known by this; without it the URL is shared')
    .option('--alias <name>', "a readable name for the shared URL, with '-' or '_' in it")
    .option('--expires <when>', "from when on it leads to the campaign's fallback, e.g. 2026-12-31 or 30d", (text) => parseWhen(text))
    .addHelpText(
      'after',
      '\nExamples:\n  clickledger url https://shop.example/sale --campaign "Spring sale" --to reader@example.com\n  clickledger url https://shop.example/sale --campaign "Spring sale" --alias spring-sale',
    )
    .action(async (target: string, options: { campaign: string; to?: string; alias?: string; expires?: Date }, command: Command) => {
      if (options.to !== undefined && options.alias !== undefined)
        command.error("error: options '--to' and '--alias' exclude each other: an alias is shared", { exitCode: 2 });
      const checked = parseTarget(target);
      await printTracked(command, options, async ({ pool, campaign, recipient, make }) => {
        const link = await ensureLink(pool, campaign, { kind: 'url', target: checked }, options.expires);
        if (options.alias !== undefined) await ensureAlias(pool, options.alias, link);
        return { link, url: options.alias === undefined ? make.click(link, recipient) : make.alias(options.alias) };
      });
    });
}

export function addPixel(program: Command): void {
  program
    .command('pixel')
    .description("the URL of a campaign's pixel, for the end of the letter")
    .requiredOption('--campaign <name>', 'name or number of the campaign')
    .option('--to <email>', 'for one person; without it the pixel is shared')
    .addHelpText('after', '\nExample:\n  clickledger pixel --campaign "Spring sale" --to reader@example.com')
    .action(async (options: { campaign: string; to?: string }, command: Command) => {
      await printTracked(command, options, async ({ pool, campaign, recipient, make }) => {
        const link = await ensureLink(pool, campaign, { kind: 'pixel' });
        return { link, url: make.pixel(link, recipient) };
      });
    });
}

interface Place {
  pool: Pool;
  campaign: number;
  /** 0: shared. */
  recipient: number;
  make: Urls;
}

/** Finds the campaign and the person, lets `track` make the link, and prints its URL. */
async function printTracked(
  command: Command,
  options: { campaign: string; to?: string },
  track: (place: Place) => Promise<{ link: number; url: string }>,
): Promise<void> {
  const config = await configOf(command, SETTINGS);
  const make = createUrls(config.BASE_URL, createSlugCodec(config.SLUG_KEYS));
  const result = await withPool(config.AUTHOR_URL, async (pool) => {
    await assertKeyListed(pool, config.SLUG_KEYS[0]);
    const campaign = await findOpenCampaign(pool, options.campaign);
    const recipient = options.to === undefined ? 0 : await ensureRecipient(pool, options.to);
    const { link, url } = await track({ pool, campaign: campaign.id, recipient, make });
    return { url, campaign: campaign.id, link, recipient: recipient || null };
  });
  if (command.optsWithGlobals<Globals>().json) printJson(result);
  else process.stdout.write(`${result.url}\n`);
}
