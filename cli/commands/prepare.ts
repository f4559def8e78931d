import { basename } from 'node:path';
import { type Command, Option } from 'commander';
import { baseUrlOf, baseUrlsOf } from '../../authoring/base-urls.ts';
import { findOpenCampaign } from '../../authoring/campaigns.ts';
import { openPeople } from '../../authoring/list-file.ts';
import { keepLetter } from '../../authoring/keep-letter.ts';
import { parseEnvelope } from '../../authoring/letter/envelope.ts';
import { leftoverTags } from '../../authoring/letter/leftover-tags.ts';
import { compileTemplate, fillTemplate } from '../../authoring/letter/template.ts';
import { arePrepared, type TrackedLetter, trackLetter } from '../../authoring/track-letter.ts';
import { assertKeyListed } from '../../authoring/urls.ts';
import { configOf, type GlobalOptions, timeOf, withPool } from '../context.ts';
import { createRejects } from '../../authoring/rejected-lines.ts';
import { type WriteOptions, writePersonalLetters, writeSharedLetter, type WriteResult } from '../../authoring/write-letters.ts';
import { createProgress } from '../progress.ts';
import { SENDERS } from '../../authoring/letter/senders.ts';
import { note, printJson } from '../output.ts';
import { checkLinks, noteKept, noteLeftovers, showPlans } from './letter-notes.ts';
import {
  ENVELOPE_OPTIONS,
  type EnvelopeOptions,
  findLetterUsageError,
  LETTER_OPTIONS,
  type LetterOptions,
  readLetter,
} from './letter-options.ts';
import { assertNothingMissing } from './missing-unsubscribes.ts';
import { listReport, noteFindings, noteRejects, PEOPLE_OPTIONS, type PeopleOptions } from './people-options.ts';

// The command `prepare`: tracks the links of a letter and writes the letter for every person of a list.

/** Gmail cuts off the HTML of a letter after this many bytes. A pixel at the end of a longer letter is not loaded. */
const GMAIL_CLIPS_BYTES = 102_000;

interface Options extends LetterOptions, EnvelopeOptions, PeopleOptions, WriteOptions {
  campaign?: string;
  render?: boolean;
  dryRun?: boolean;
}

export function addPrepare(program: Command): void {
  const prepare = program
    .command('prepare <letter>')
    .description('track the links of a letter for every person of a list')
    .option('--campaign <name>', 'name or number of the campaign')
    .option('--to <people.csv>', 'the list of people, a CSV file; without this option the links are shared by all')
    .addOption(new Option('--merge <sender>', 'write one letter with merge tags, and a list with a column for each link').choices(SENDERS))
    .option('--render', 'write a finished letter for every person, with {{column}} filled in from the list')
    .option('--eml', 'with --render: write whole messages, one in each file')
    .option('--mbox', 'with --render: write whole messages, all in one file')
    .option('--out <path>', 'the output: a new directory, or the file of --mbox (default: prepared or prepared.mbox)')
    .option('--only <email>', 'write only the letter of this person, as a preview; the catalog does not record that mail was prepared')
    .option('--dry-run', 'show which links would be tracked, and why the others would not; change nothing');
  for (const option of [...ENVELOPE_OPTIONS, ...LETTER_OPTIONS, ...PEOPLE_OPTIONS]) prepare.addOption(option);
  prepare
    .addHelpText(
      'after',
      `
Some links are not tracked: links with the attribute data-no-track, links with merge tags, and links that are not web
addresses. Links to the same URL with different values of the attribute data-track-label are counted separately.

Examples:
  clickledger prepare letter.html --dry-run --check
  clickledger prepare letter.html --text letter.txt --campaign "Spring sale" --to people.csv --merge mailchimp
  clickledger prepare letter.html --campaign "Spring sale" --to people.csv --render --only me@shop.example
  clickledger prepare letter.html --campaign "Spring sale" --to people.csv --render --eml --from "Shop <news@shop.example>" --subject "For {{name}}"`,
    )
    .action(prepareLetter);
}

async function prepareLetter(file: string, options: Options, command: Command): Promise<void> {
  const usageError = findUsageError(file, options);
  if (usageError) command.error(`error: ${usageError}`, { exitCode: 2 });
  const baseUrls = baseUrlsOf(await configOf(command, ['BASE_URL', 'BASE_URLS']));
  const expires = options.expires === undefined ? undefined : await timeOf(command, options.expires);
  const envelope = options.eml || options.mbox ? parseEnvelope(options.from ?? '', options.subject ?? '', options.header) : undefined;
  const { plans, parts, kept, names, careful } = await readLetter(file, options, baseUrls);
  const json = command.optsWithGlobals<GlobalOptions>().json === true;
  if (options.render) noteLeftovers(parts.flatMap(leftoverTags));
  const checked = options.check ? await checkLinks(await careful()) : undefined;
  if (options.dryRun) return showPlans(parts, kept, json, checked);
  if (arePrepared(plans)) {
    if (json) printJson({ already_prepared: true });
    return note('nothing to do: this letter is already prepared and was not changed');
  }
  const config = await configOf(command, ['BASE_URL', 'AUTHOR_URL', 'SLUG_KEYS', 'PARTS']);
  await withPool(config.AUTHOR_URL, async (pool) => {
    await assertKeyListed(pool, config.SLUG_KEYS[0]);
    const campaign = await findOpenCampaign(pool, options.campaign as string);
    const baseUrl = baseUrlOf(campaign, baseUrls);
    const people = options.to === undefined ? undefined : await openPeople(options.to, options);
    if (people && !options.despiteMissing) await assertNothingMissing(pool, config.PARTS);
    if (people) noteFindings(people.findings);
    const letter = await trackLetter({ pool, baseUrl, keys: config.SLUG_KEYS }, campaign.id, plans, expires?.at);
    await keepLetter(pool, campaign.id, letter);
    const bytes = sentBytes(letter);
    if (letter.hasPixel && bytes > GMAIL_CLIPS_BYTES && options.pixel === 'bottom')
      note(
        `note: the letter has ${Math.ceil(bytes / 1000)} kB with its tracked links. Gmail cuts off a letter after ${GMAIL_CLIPS_BYTES / 1000} kB, and with it the pixel at the end. --pixel top puts the pixel at the beginning.`,
      );
    let result: WriteResult;
    const rejects = createRejects(options.rejects);
    if (people) {
      const progress = createProgress();
      result = await writePersonalLetters(
        pool,
        campaign.id,
        letter,
        people,
        { ...names, people: basename(options.to ?? '') },
        { ...options, ...(envelope ? { envelope } : {}) },
        rejects,
        {
          onProgress: (count, bytesRead, bytes) => progress.show(bytesRead, bytes, `${count.toLocaleString('en')} people`),
          onWarning: note,
        },
      ).finally(() => progress.end());
      note(summary(letter, result));
      noteKept(kept);
      noteRejects(rejects, options.rejects, people.findings);
    } else {
      result = await writeSharedLetter(letter, { ...names, people: '' }, options);
      note(`prepared ${letter.links.length} links, shared by all`);
      if (letter.unsubscribeOf)
        note('note: {{unsubscribe}} stays in the letter, because this link is for one person. Give a list with --to.');
      noteKept(kept);
    }
    if (json)
      printJson({
        campaign: campaign.id,
        ...result,
        ...(people ? { list: listReport(people, rejects) } : {}),
        links: letter.links.map(({ id, part, label, target }) => ({ id, part, label, target })),
        kept: kept.counts,
        suspicious: kept.suspicious,
        ...(checked && { checked }),
      });
    else process.stdout.write(`${result.out}\n`);
  });
}

function summary(letter: TrackedLetter, { prepared, opted_out, tests }: WriteResult): string {
  const details = [
    ...(opted_out > 0 ? [`${opted_out} opted out of tracking: untracked links, no pixel`] : []),
    ...(tests > 0 ? [`${tests} test ${tests === 1 ? 'recipient' : 'recipients'}: left out of all counts`] : []),
  ];
  const extras = [...(letter.honeypot ? ['a hidden link'] : []), ...(letter.hasPixel ? ['a pixel'] : [])].map((extra) => ` and ${extra}`);
  return [`prepared for ${prepared} people: ${letter.links.length} links${extras.join('')}`, ...details].join('\n  ');
}

/** Returns an error message if the options cannot be combined, otherwise undefined. */
function findUsageError(file: string, options: Options): string | undefined {
  const { to, merge, render, eml, mbox, from, subject, only, campaign, dryRun } = options;
  const letterError = findLetterUsageError(file, options);
  if (letterError) return letterError;
  if (dryRun) return undefined;
  if (campaign === undefined) return "required option '--campaign <name>' not specified";
  if (merge && render) return "options '--merge' and '--render' exclude each other";
  if (to !== undefined && !merge && !render) return "the format is missing. Give '--merge <sender>' or '--render'.";
  if (to === undefined && (merge || render || only)) return "option '--to <people.csv>' not specified";
  if (eml && mbox) return "options '--eml' and '--mbox' exclude each other";
  if ((eml || mbox) && !render) return "options '--eml' and '--mbox' are only for '--render'";
  if ((eml || mbox) && (from === undefined || subject === undefined)) return "messages need '--from <address>' and '--subject <text>'";
  return undefined;
}

/** Returns the size in bytes of the HTML part that is sent, with tracked links and the pixel. Values of columns are not counted. */
function sentBytes({ plans, places, honeypot, addressesOf }: TrackedLetter): number {
  if (!plans.html) return 0;
  const { links, pixel } = addressesOf(0);
  const filling = {
    links: places.html.map((index) => links[index] as string),
    pixel,
    honeypot: honeypot && links[honeypot.index],
    column: () => '',
  };
  return fillTemplate(compileTemplate(plans.html), filling).length;
}
