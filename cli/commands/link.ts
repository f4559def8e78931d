import { writeFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { ClickledgerError } from '../../core/errors.ts';
import { createSlugCodec, isAlias } from '../../core/slug.ts';
import { baseUrlOf, baseUrlsOf } from '../../authoring/base-urls.ts';
import { campaignOfLink, findCampaign } from '../../authoring/campaigns.ts';
import { ensureAlias, findUrlLink, type LinkRow, listLinks, retarget, setDisabled, setExpiry } from '../../authoring/links.ts';
import { assertKeyListed, createUrls } from '../../authoring/urls.ts';
import { configOf, type GlobalOptions, throwExplained, timeOf, withPool } from '../context.ts';
import { note, printJson, printTable, shortTime } from '../output.ts';
import { qrPng, qrSvg } from '../../authoring/qr.ts';

// The command `link`: lists and changes the links of a campaign, gives them aliases, and draws QR codes of their URLs.

export function addLink(program: Command): void {
  const link = program.command('link').description('list and change the links of a campaign, also after its mail was sent');

  link
    .command('list')
    .description('list all links of a campaign, in the order of the letter')
    .requiredOption('--campaign <name>', 'name or number of the campaign')
    .addHelpText('after', '\nExample:\n  clickledger link list --campaign "Spring sale"')
    .action(async (options: { campaign: string }, command: Command) => {
      const config = await configOf(command, ['AUTHOR_URL']);
      const links = await withPool(config.AUTHOR_URL, async (pool) => listLinks(pool, (await findCampaign(pool, options.campaign)).id));
      if (command.optsWithGlobals<GlobalOptions>().json) printJson(links);
      else
        printTable(
          ['id', 'position', 'kind', 'label', 'target', 'version', 'state', 'aliases'],
          links.map((l) => [l.id, l.position ?? '', l.kind, l.label, l.target, l.version, stateOf(l), l.aliases.join(' ')]),
        );
    });

  link
    .command('edit <link>')
    .description('change the target or the expiry of a link, also in letters that were sent; earlier clicks keep the target of their time')
    .option('--target <url>', 'the new target')
    .option('--expires <when>', "the time from which the link leads to the campaign's fallback; never: the link does not expire")
    .addHelpText(
      'after',
      '\nA link is given by its number (`clickledger link list`) or one of its aliases.\n\nExamples:\n  clickledger link edit 17 --target https://shop.example/the-right-page\n  clickledger link edit spring-sale --expires 2026-12-31',
    )
    .action(async (name: string, options: { target?: string; expires?: string }, command: Command) => {
      const { target } = options;
      const expires =
        options.expires === undefined ? undefined : options.expires === 'never' ? null : await timeOf(command, options.expires);
      if (target === undefined && expires === undefined)
        command.error("error: there is nothing to change. Give '--target <url>' or '--expires <when>'.", { exitCode: 2 });
      await updateLink(command, name, async (pool, id) => {
        const edited = target === undefined ? undefined : await retarget(pool, id, target);
        if (expires !== undefined) await setExpiry(pool, id, expires?.at ?? null);
        return {
          json: { ...(edited ? { version: edited.version } : {}), ...(expires === undefined ? {} : { expires_at: expires?.at ?? null }) },
          message: [
            ...(edited
              ? [edited.changed ? `leads to ${target} within seconds (version ${edited.version})` : `already leads to ${target}`]
              : []),
            ...(expires === undefined ? [] : [expires ? `expires at ${expires.words}` : 'never expires']),
          ].join('; '),
        };
      });
    });

  link
    .command('disable <link>')
    .description("disable a link: it leads to its campaign's fallback, or to a page with status 410 if there is no fallback")
    .option('--undo', 'enable the link again')
    .addHelpText('after', '\nExamples:\n  clickledger link disable 17\n  clickledger link disable 17 --undo')
    .action((name: string, options: { undo?: boolean }, command: Command) =>
      updateLink(command, name, async (pool, id) => {
        await setDisabled(pool, id, !options.undo);
        return { json: { disabled: !options.undo }, message: options.undo ? 'enabled' : 'disabled' };
      }),
    );

  link
    .command('alias <link> <name>')
    .description('give the shared URL of a link a readable name')
    .addHelpText('after', '\nExample:\n  clickledger link alias 17 black-friday')
    .action(async (name: string, alias: string, _options: object, command: Command) => {
      const config = await configOf(command, ['BASE_URL', 'BASE_URLS', 'AUTHOR_URL']);
      const { id, url } = await withPool(config.AUTHOR_URL, async (pool) => {
        const found = await findUrlLink(pool, name);
        const baseUrl = baseUrlOf(await campaignOfLink(pool, found), baseUrlsOf(config));
        await ensureAlias(pool, alias, found);
        return { id: found, url: `${baseUrl}/u/${alias}` };
      });
      if (command.optsWithGlobals<GlobalOptions>().json) printJson({ id, url });
      else process.stdout.write(`${url}\n`);
    });

  link
    .command('qr <link>')
    .description('draw a QR code of the shared URL of a link, for print')
    .addOption(new Option('--format <format>', 'the image format').choices(['svg', 'png']).default('svg'))
    .option('--out <file>', 'the file to write (default: stdout)')
    .option('--scale <pixels>', 'the width of one module of a PNG, from 1 to 100', '10')
    .addHelpText(
      'after',
      '\nExamples:\n  clickledger link qr spring-sale > spring-sale.svg\n  clickledger link qr 17 --format png --out poster.png',
    )
    .action(async (name: string, options: { format: 'svg' | 'png'; out?: string; scale: string }, command: Command) => {
      const scale = Number(options.scale);
      if (!Number.isInteger(scale) || scale < 1 || scale > 100)
        throw new ClickledgerError('bad-input', `--scale must be a whole number from 1 to 100, not ${options.scale}`);
      if (options.format === 'png' && options.out === undefined && process.stdout.isTTY)
        command.error("error: a terminal cannot show a PNG. Give '--out <file>'.", { exitCode: 2 });
      const config = await configOf(command, ['BASE_URL', 'BASE_URLS', 'AUTHOR_URL', 'SLUG_KEYS']);
      const url = await withPool(config.AUTHOR_URL, async (pool) => {
        // A slug is signed with a key, so this key must be in the catalog. An alias is not signed.
        if (!isAlias(name)) await assertKeyListed(pool, config.SLUG_KEYS[0]);
        const id = await findUrlLink(pool, name);
        const baseUrl = baseUrlOf(await campaignOfLink(pool, id), baseUrlsOf(config));
        const urls = createUrls(baseUrl, createSlugCodec(config.SLUG_KEYS));
        return isAlias(name) ? urls.alias(name) : urls.click(id, 0);
      });
      const image = options.format === 'svg' ? Buffer.from(qrSvg(url)) : qrPng(url, scale);
      if (options.out === undefined) process.stdout.write(image);
      else {
        await writeFile(options.out, image).catch(throwExplained);
        note(`${options.out} leads to ${url}`);
      }
    });
}

function stateOf({ disabled_at, expires_at }: LinkRow): string {
  if (disabled_at) return 'disabled';
  if (!expires_at) return '';
  return `${expires_at.getTime() <= Date.now() ? 'expired' : 'expires'} ${shortTime(expires_at)}`;
}

/** Finds a link, changes it with `update`, and prints the result: `json` with --json, otherwise `message` on stderr. */
async function updateLink(
  command: Command,
  name: string,
  update: (pool: Parameters<typeof retarget>[0], id: number) => Promise<{ json: object; message: string }>,
): Promise<void> {
  const config = await configOf(command, ['AUTHOR_URL']);
  const { id, json, message } = await withPool(config.AUTHOR_URL, async (pool) => {
    const found = await findUrlLink(pool, name);
    return { id: found, ...(await update(pool, found)) };
  });
  if (command.optsWithGlobals<GlobalOptions>().json) printJson({ id, ...json });
  else note(`link ${id}: ${message}`);
}
