import { writeFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { ClickledgerError } from '../../core/errors.ts';
import { explainFileError } from '../../core/files.ts';
import { createSlugCodec, isAlias } from '../../core/slug.ts';
import { findCampaign } from '../../authoring/campaigns.ts';
import { ensureAlias, findUrlLink, type LinkRow, listLinks, retarget, setDisabled, setExpiry } from '../../authoring/links.ts';
import { assertKeyListed, createUrls } from '../../authoring/urls.ts';
import { parseWhen } from '../../authoring/parse-time.ts';
import { configOf, type Globals, withPool } from '../context.ts';
import { note, printJson, printTable, shortTime } from '../output.ts';
import { qrPng, qrSvg } from '../../authoring/qr.ts';

export function addLink(program: Command): void {
  const link = program.command('link').description('the links of a campaign, also after it was sent');

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
          ['id', 'kind', 'label', 'target', 'version', 'state', 'aliases'],
          links.map((l) => [l.id, l.kind, l.label, l.target, l.version, stateOf(l), l.aliases.join(' ')]),
        );
    });

  link
    .command('edit <link>')
    .description('lead a link elsewhere, in letters that were sent already, too; clicks remember where they led at their time')
    .option('--target <url>', 'the new address')
    .option('--expires <when>', "from when on it leads to the campaign's fallback; never: no more")
    .addHelpText(
      'after',
      '\nA link is named by its number (`clickledger link list`) or one of its aliases.\n\nExamples:\n  clickledger link edit 17 --target https://shop.example/the-right-page\n  clickledger link edit spring-sale --expires 2026-12-31',
    )
    .action(async (name: string, options: { target?: string; expires?: string }, command: Command) => {
      const { target } = options;
      const expires = options.expires === undefined ? undefined : options.expires === 'never' ? null : parseWhen(options.expires);
      if (target === undefined && expires === undefined)
        command.error("error: say what to change: '--target <url>' or '--expires <when>'", { exitCode: 2 });
      await change(command, name, async (pool, id) => {
        const edited = target === undefined ? undefined : await retarget(pool, id, target);
        if (expires !== undefined) await setExpiry(pool, id, expires);
        return {
          json: { ...(edited ? { version: edited.version } : {}), ...(expires === undefined ? {} : { expires_at: expires }) },
          said: [
            ...(edited ? [edited.changed ? `leads to ${target} within seconds (version ${edited.version})` : 'leads there already'] : []),
            ...(expires === undefined ? [] : [expires ? `expires at ${expires.toISOString()}` : 'never expires']),
          ].join('; '),
        };
      });
    });

  link
    .command('disable <link>')
    .description("lead a link to its campaign's fallback from now on, or to a page that says it is gone")
    .option('--undo', 'lead it where it led before')
    .addHelpText('after', '\nExamples:\n  clickledger link disable 17\n  clickledger link disable 17 --undo')
    .action((name: string, options: { undo?: boolean }, command: Command) =>
      change(command, name, async (pool, id) => {
        await setDisabled(pool, id, !options.undo);
        return { json: { disabled: !options.undo }, said: options.undo ? 'leads where it led before' : 'disabled' };
      }),
    );

  link
    .command('alias <link> <name>')
    .description('a readable name for the shared URL of a link')
    .addHelpText('after', '\nExample:\n  clickledger link alias 17 black-friday')
    .action(async (name: string, alias: string, _options: object, command: Command) => {
      const config = await configOf(command, ['BASE_URL', 'AUTHOR_URL']);
      const id = await withPool(config.AUTHOR_URL, async (pool) => {
        const found = await findUrlLink(pool, name);
        await ensureAlias(pool, alias, found);
        return found;
      });
      const url = `${config.BASE_URL}/u/${alias}`;
      if (command.optsWithGlobals<Globals>().json) printJson({ id, url });
      else process.stdout.write(`${url}\n`);
    });

  link
    .command('qr <link>')
    .description('a QR code of the shared URL of a link, for print')
    .addOption(new Option('--format <format>', 'what to draw').choices(['svg', 'png']).default('svg'))
    .option('--out <file>', 'where to write it; stdout, if it is left out')
    .option('--scale <pixels>', 'PNG: the width of one module', '10')
    .addHelpText(
      'after',
      '\nExamples:\n  clickledger link qr spring-sale > spring-sale.svg\n  clickledger link qr 17 --format png --out poster.png',
    )
    .action(async (name: string, options: { format: 'svg' | 'png'; out?: string; scale: string }, command: Command) => {
      const scale = Number(options.scale);
      if (!Number.isInteger(scale) || scale < 1 || scale > 100) throw new ClickledgerError('bad-input', '--scale is from 1 to 100 pixels');
      if (options.format === 'png' && options.out === undefined && process.stdout.isTTY)
        command.error("error: a PNG is nothing for a terminal: give '--out <file>'", { exitCode: 2 });
      const config = await configOf(command, ['BASE_URL', 'AUTHOR_URL', 'SLUG_KEYS']);
      const urls = createUrls(config.BASE_URL, createSlugCodec(config.SLUG_KEYS));
      const id = await withPool(config.AUTHOR_URL, async (pool) => {
        // An alias is no slug: no key signs it.
        if (!isAlias(name)) await assertKeyListed(pool, config.SLUG_KEYS[0]);
        return findUrlLink(pool, name);
      });
      const url = isAlias(name) ? urls.alias(name) : urls.click(id, 0);
      const image = options.format === 'svg' ? Buffer.from(qrSvg(url)) : qrPng(url, scale);
      if (options.out === undefined) process.stdout.write(image);
      else {
        await writeFile(options.out, image).catch(throwExplained);
        note(`${options.out} leads to ${url}`);
      }
    });
}

function throwExplained(error: unknown): never {
  throw explainFileError(error) ?? error;
}

function stateOf({ disabled_at, expires_at }: LinkRow): string {
  if (disabled_at) return 'disabled';
  if (!expires_at) return '';
  return `${expires_at.getTime() <= Date.now() ? 'expired' : 'expires'} ${shortTime(expires_at)}`;
}

async function change(
  command: Command,
  name: string,
  act: (pool: Parameters<typeof retarget>[0], id: number) => Promise<{ json: object; said: string }>,
): Promise<void> {
  const config = await configOf(command, ['AUTHOR_URL']);
  const { id, json, said } = await withPool(config.AUTHOR_URL, async (pool) => {
    const found = await findUrlLink(pool, name);
    return { id: found, ...(await act(pool, found)) };
  });
  if (command.optsWithGlobals<Globals>().json) printJson({ id, ...json });
  else note(`link ${id}: ${said}`);
}
