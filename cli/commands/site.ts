import type { Command } from 'commander';
import { createSlugCodec } from '../../core/slug.ts';
import { ensureSite, listSites } from '../../authoring/sites.ts';
import { assertKeyListed, createUrls, type Urls } from '../../authoring/urls.ts';
import { configOf, type GlobalOptions, withPool } from '../context.ts';
import { note, printJson, printTable, shortTime } from '../output.ts';

// The command `site`: adds and lists the authors' own sites, whose visits and goals are counted.

export function addSite(program: Command): void {
  const site = program.command('site').description('manage your own sites, whose visits and goals are counted');

  site
    .command('add <host>')
    .description('add a site and print the line that its pages need; an existing site is found by its host')
    .addHelpText('after', '\nExample:\n  clickledger site add shop.example')
    .action(async (host: string, _options: object, command: Command) => {
      const config = await configOf(command, ['AUTHOR_URL', 'BASE_URL', 'SLUG_KEYS']);
      const added = await withPool(config.AUTHOR_URL, async (pool) => {
        await assertKeyListed(pool, config.SLUG_KEYS[0]);
        return ensureSite(pool, host);
      });
      const urls = createUrls(config.BASE_URL, createSlugCodec(config.SLUG_KEYS));
      const tag = tagOfSite(urls, added.id);
      if (command.optsWithGlobals<GlobalOptions>().json)
        return printJson({ ...added, url: urls.site(added.id), script: urls.script(), tag });
      process.stdout.write(`${tag}\n`);
      note(`Put this line into the <head> of every page of ${added.host}. A server sends goals to ${urls.site(added.id)}?n=<name>.`);
    });

  site
    .command('list')
    .description('list all sites, with the URL of each for visits and goals')
    .addHelpText('after', '\nExample:\n  clickledger site list')
    .action(async (_options: object, command: Command) => {
      const config = await configOf(command, ['AUTHOR_URL', 'BASE_URL', 'SLUG_KEYS']);
      const urls = createUrls(config.BASE_URL, createSlugCodec(config.SLUG_KEYS));
      const sites = (await withPool(config.AUTHOR_URL, listSites)).map((one) => ({ ...one, url: urls.site(one.id) }));
      if (command.optsWithGlobals<GlobalOptions>().json) printJson(sites);
      else
        printTable(
          ['id', 'host', 'url', 'added'],
          sites.map(({ id, host, url, created_at }) => [id, host, url, shortTime(created_at)]),
        );
    });
}

/** Returns the HTML element that loads the script. The script sends to the URL in `data-to`. */
const tagOfSite = (urls: Urls, site: number): string => `<script defer src="${urls.script()}" data-to="${urls.site(site)}"></script>`;
