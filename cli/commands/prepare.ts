import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { type Command, Option } from 'commander';
import { ClickledgerError, codeOf } from '../../core/errors.ts';
import { createSlugCodec } from '../../core/slug.ts';
import { findOpenCampaign } from '../../authoring/campaigns.ts';
import { openPeople } from '../../authoring/list-file.ts';
import { arePrepared, type LetterPlans, planParts, type TrackedLetter, trackLetter } from '../../authoring/track-letter.ts';
import { assertKeyListed, createUrls } from '../../authoring/urls.ts';
import { parseWhen } from '../../authoring/parse-time.ts';
import { configOf, type Globals, withPool } from '../context.ts';
import { createRejects } from '../../authoring/rejected-lines.ts';
import { type WriteOptions, writePersonalLetters, writeSharedLetter, type Written } from '../../authoring/write-letters.ts';
import { createProgress } from '../progress.ts';
import { SENDERS } from '../../authoring/letter/senders.ts';
import type { PixelPlace } from '../../authoring/letter/plan.ts';
import { note, printJson, printTable } from '../output.ts';
import { noteRejects, PEOPLE_OPTIONS, type PeopleOptions } from './people-options.ts';

/** Gmail is said to cut letters off here, and a pixel at the end with them. */
const GMAIL_CLIPS_BYTES = 102_000;

interface Options extends PeopleOptions, WriteOptions {
  text?: string;
  campaign?: string;
  render?: boolean;
  dryRun?: boolean;
  exclude: string[];
  trackUnsubscribe?: boolean;
  utm: Record<string, string>;
  pixel: PixelPlace;
  expires?: Date;
}

export function addPrepare(program: Command): void {
  const prepare = program
    .command('prepare <letter>')
    .description('track every link of a letter, for every person of a list')
    .option('--text <file>', 'the plain-text part of the same letter')
    .option('--campaign <name>', 'name or number of the campaign')
    .option('--to <people.csv>', 'the list of people, a CSV file with a header; without it the links are shared by all')
    .addOption(new Option('--merge <sender>', 'one letter with merge tags, and a list with a column for each link').choices(SENDERS))
    .option('--render', 'a finished letter for every person, with {{column}} filled in from the list')
    .option('--eml', 'with --render: whole messages, one file each')
    .option('--mbox', 'with --render: whole messages, all in one file')
    .option('--from <address>', 'the sender of the messages')
    .option('--subject <text>', 'their subject; may have {{column}} in it')
    .option('--header <line>', 'a further header of the messages, e.g. "Reply-To: …"; may be given several times', collect, [])
    .option('--out <path>', 'where the result goes: a new directory, or the file of --mbox (default: prepared, prepared.mbox)')
    .option('--only <email>', 'just this person, to look at it; nothing is recorded')
    .option('--dry-run', 'show what would be tracked, what not, and why; change nothing')
    .option('--exclude <domain,…>', 'keep links to these domains and everything below them', collectDomains, [])
    .option('--track-unsubscribe', 'track unsubscribe, preference and view-in-browser links, too')
    .option('--utm <name=value,…>', 'add utm parameters, e.g. source=letter,medium=email', parseUtm, {})
    .addOption(new Option('--pixel <place>', 'where the pixel goes').choices(['top', 'bottom', 'none']).default('bottom'))
    .option('--expires <when>', "from when on the letter's links lead to the fallback of the campaign", (text) => parseWhen(text));
  for (const option of PEOPLE_OPTIONS) prepare.addOption(option);
  prepare
    .addHelpText(
      'after',
      `
Kept as they are: links marked data-no-track, links with merge tags, and all that are no web addresses. The attribute
data-track-label="…" tells two links to the same address apart.

Examples:
  clickledger prepare letter.html --dry-run
  clickledger prepare letter.html --text letter.txt --campaign "Spring sale" --to people.csv --merge mailchimp
  clickledger prepare letter.html --campaign "Spring sale" --to people.csv --render --only me@shop.example
  clickledger prepare letter.html --campaign "Spring sale" --to people.csv --render --eml --from "Shop <news@shop.example>" --subject "For {{name}}"`,
    )
    .action(run);
}

const collectDomains = (list: string, all: string[]): string[] => [...all, ...list.split(/[,\s]+/).filter((domain) => domain !== '')];
const collect = (value: string, all: string[]): string[] => [...all, value];

function parseUtm(text: string, before: Record<string, string>): Record<string, string> {
  const pairs = text.split(',').map((pair) => pair.split('='));
  const bad = pairs.find(([name = '', ...value]) => !/^(?:utm_)?[a-z_]+$/.test(name.trim()) || value.join('=').trim() === '');
  if (bad) throw new ClickledgerError('bad-input', `'${bad.join('=')}' is no utm parameter: write --utm source=letter,medium=email`);
  return {
    ...before,
    ...Object.fromEntries(pairs.map(([name = '', ...value]) => [name.trim().replace(/^utm_/, ''), value.join('=').trim()])),
  };
}

async function run(file: string, options: Options, command: Command): Promise<void> {
  const wrong = wrongUsage(file, options);
  if (wrong) command.error(`error: ${wrong}`, { exitCode: 2 });
  const { BASE_URL } = await configOf(command, ['BASE_URL']);
  const html = /\.txt$/i.test(file) ? undefined : await read(file);
  const text = html === undefined ? await read(file) : options.text && (await read(options.text));
  const plans = planParts(
    { html, text: text || undefined },
    { ...options, trackUnsubscribe: options.trackUnsubscribe === true, baseUrl: BASE_URL },
  );
  const json = command.optsWithGlobals<Globals>().json === true;
  if (options.dryRun) return showPlans(plans, json);
  if (arePrepared(plans)) {
    if (json) printJson({ already_prepared: true });
    return note('nothing to do: this letter is prepared already, and was left as it is');
  }
  if (plans.html && plans.html.text.length > GMAIL_CLIPS_BYTES && options.pixel === 'bottom')
    note(
      `the letter is longer than ${GMAIL_CLIPS_BYTES / 1000} kB: Gmail may cut off its end and the pixel with it; --pixel top puts it first`,
    );

  const config = await configOf(command, ['BASE_URL', 'AUTHOR_URL', 'SLUG_KEYS']);
  await withPool(config.AUTHOR_URL, async (pool) => {
    await assertKeyListed(pool, config.SLUG_KEYS[0]);
    const campaign = await findOpenCampaign(pool, options.campaign as string);
    const people = options.to === undefined ? undefined : await openPeople(options.to, options);
    const letter = await trackLetter(
      { pool, urls: createUrls(BASE_URL, createSlugCodec(config.SLUG_KEYS)) },
      campaign.id,
      plans,
      options.expires,
    );
    const names = { html: basename(file), text: basename(options.text ?? file), people: basename(options.to ?? '') };
    let result: Written;
    if (people) {
      const rejects = createRejects(options.rejects);
      const progress = createProgress();
      result = await writePersonalLetters(pool, campaign.id, letter, people, names, options, rejects, {
        onProgress: (count, bytesRead, bytes) => progress.show(bytesRead, bytes, `${count.toLocaleString('en')} people`),
        onWarning: note,
      }).finally(() => progress.end());
      note(summary(letter, result));
      noteRejects(rejects, options.rejects);
    } else {
      result = await writeSharedLetter(letter, names, options);
      note(`${letter.links.length} links, shared by all`);
    }
    if (json)
      printJson({
        campaign: campaign.id,
        ...result,
        links: letter.links.map(({ id, part, label, target }) => ({ id, part, label, target })),
      });
    else process.stdout.write(`${result.out}\n`);
  });
}

function summary(letter: TrackedLetter, { prepared, opted_out, tests }: Written): string {
  const more = [
    ...(opted_out > 0 ? [`${opted_out} opted out of tracking: untracked links, no pixel`] : []),
    ...(tests > 0 ? [`${tests} test ${tests === 1 ? 'recipient' : 'recipients'}: left out of all counts`] : []),
  ];
  return [`prepared for ${prepared} people: ${letter.links.length} links${letter.hasPixel ? ' and a pixel' : ''}`, ...more].join('\n  ');
}

function wrongUsage(file: string, options: Options): string | undefined {
  const { text, to, merge, render, eml, mbox, from, subject, only, campaign, dryRun } = options;
  if (text !== undefined && /\.txt$/i.test(file)) return `${file} is a text already: '--text' belongs to an HTML letter`;
  if (text !== undefined && basename(text) === basename(file))
    return 'the HTML and the text have the same name: the result would have one file';
  if (dryRun) return undefined;
  if (campaign === undefined) return "required option '--campaign <name>' not specified";
  if (merge && render) return "options '--merge' and '--render' exclude each other";
  if (to !== undefined && !merge && !render) return "say what to make: '--merge <sender>' or '--render'";
  if (to === undefined && (merge || render || only)) return "option '--to <people.csv>' not specified";
  if (eml && mbox) return "options '--eml' and '--mbox' exclude each other";
  if ((eml || mbox) && !render) return "options '--eml' and '--mbox' belong to '--render'";
  if ((eml || mbox) && (from === undefined || subject === undefined)) return "messages need '--from <address>' and '--subject <text>'";
  return undefined;
}

async function read(file: string): Promise<Buffer> {
  return readFile(file).catch((error: unknown) => {
    throw new ClickledgerError(
      'not-found',
      codeOf(error) === 'ENOENT' ? `there is no letter ${file}` : `cannot read ${file}: ${codeOf(error)}`,
    );
  });
}

function showPlans(plans: LetterPlans, json: boolean): void {
  const rows = [plans.html, plans.text]
    .filter((plan) => plan !== undefined)
    .flatMap((plan) =>
      [...plan.tracked, ...plan.kept]
        .sort((a, b) => a.from - b.from)
        .map((link) => ({
          part: plan.kind,
          line: plan.text.slice(0, link.from).split('\n').length,
          what: 'reason' in link ? link.reason : 'tracked',
          address: 'target' in link ? link.target : link.address,
          words: link.words,
        })),
    );
  if (json) return printJson({ links: rows, pixel: plans.html?.pixelAt !== undefined });
  const cut = (text: string, length: number) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);
  printTable(
    ['part', 'line', 'what', 'address', 'words'],
    rows.map(({ part, line, what, address, words }) => [
      part,
      line,
      what === 'tracked' ? what : `kept: ${what}`,
      cut(address, 70),
      cut(words, 30),
    ]),
  );
  const tracked = rows.filter(({ what }) => what === 'tracked').length;
  note(`${tracked} of ${rows.length} links would be tracked${plans.html?.pixelAt === undefined ? '' : ', and a pixel put in'}`);
}
