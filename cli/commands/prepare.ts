import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { type Command, Option } from 'commander';
import { ClickledgerError, codeOf } from '../../core/errors.ts';
import type { ProblemCode } from '../../core/health.ts';
import type { PartAddress } from '../../core/parts.ts';
import type { Pool } from '../../core/postgres.ts';
import { findMissingUnsubscribes, useUnsubscribing } from '../../authoring/unsubscribes-known.ts';
import { problemsOfPart } from '../../operating/status/parts.ts';
import { readPart } from '../../operating/status/read-part.ts';
import { baseUrlOf, baseUrlsOf } from '../../authoring/base-urls.ts';
import { findOpenCampaign } from '../../authoring/campaigns.ts';
import { type CheckedTarget, checkTargets } from '../../authoring/check-targets.ts';
import { openPeople } from '../../authoring/list-file.ts';
import { type Encoding, parseCharset } from '../../authoring/letter/encoding.ts';
import { parseEnvelope } from '../../authoring/letter/envelope.ts';
import { type KeptSummary, summariseKept } from '../../authoring/letter/kept-links.ts';
import { type LeftoverTag, leftoverTags } from '../../authoring/letter/leftover-tags.ts';
import { createLineCounter } from '../../authoring/letter/line-counter.ts';
import { assertIsLetter } from '../../authoring/letter/recognise-file.ts';
import { compileTemplate, fillTemplate } from '../../authoring/letter/template.ts';
import { arePrepared, type LetterPlans, planParts, type TrackedLetter, trackLetter } from '../../authoring/track-letter.ts';
import { assertKeyListed } from '../../authoring/urls.ts';
import { configOf, type GlobalOptions, timeOf, withPool } from '../context.ts';
import { createRejects } from '../../authoring/rejected-lines.ts';
import { type WriteOptions, writePersonalLetters, writeSharedLetter, type WriteResult } from '../../authoring/write-letters.ts';
import { createProgress } from '../progress.ts';
import { SENDERS } from '../../authoring/letter/senders.ts';
import type { LetterPlan, PixelPlace } from '../../authoring/letter/plan.ts';
import { note, printJson, printTable } from '../output.ts';
import { listReport, noteFindings, noteRejects, PEOPLE_OPTIONS, type PeopleOptions } from './people-options.ts';

// The command `prepare`: tracks the links of a letter and writes the letter for every person of a list.

/** Gmail cuts off the HTML of a letter after this many bytes. A pixel at the end of a longer letter is not loaded. */
const GMAIL_CLIPS_BYTES = 102_000;
/** The problems of agents and workers that make requests to unsubscribe late. A part that does not answer may be a backend. */
const MAKES_LATE: ReadonlySet<string> = new Set<ProblemCode>([
  'part-silent',
  'starting',
  'nats-unreachable',
  'ledger-silent',
  'stream-full',
  'publish-failing',
  'agent-behind',
  'logs-unreadable',
  'log-damaged',
  'log-newer',
  'database-unreachable',
  'commit-failing',
  'pull-failing',
  'worker-behind',
]);
/** At most this many mistakes of one kind are listed. */
const MAX_LISTED = 10;

interface Options extends PeopleOptions, WriteOptions {
  from?: string;
  subject?: string;
  header: string[];
  charset?: Encoding;
  text?: string;
  campaign?: string;
  render?: boolean;
  dryRun?: boolean;
  exclude: string[];
  trackUnsubscribe?: boolean;
  utm: Record<string, string>;
  pixel: PixelPlace;
  honeypot?: boolean;
  expires?: string;
  despiteMissing?: boolean;
  check?: boolean;
}

export function addPrepare(program: Command): void {
  const prepare = program
    .command('prepare <letter>')
    .description('track the links of a letter for every person of a list')
    .option('--text <file>', 'the plain-text part of the same letter')
    .option(
      '--charset <label>',
      'the charset of the letter, e.g. windows-1251 (default: what the letter declares, else UTF-8)',
      parseCharset,
    )
    .option('--campaign <name>', 'name or number of the campaign')
    .option('--to <people.csv>', 'the list of people, a CSV file; without this option the links are shared by all')
    .addOption(new Option('--merge <sender>', 'write one letter with merge tags, and a list with a column for each link').choices(SENDERS))
    .option('--render', 'write a finished letter for every person, with {{column}} filled in from the list')
    .option('--eml', 'with --render: write whole messages, one in each file')
    .option('--mbox', 'with --render: write whole messages, all in one file')
    .option('--from <address>', 'the sender of the messages')
    .option('--subject <text>', 'the subject of the messages; it may contain {{column}}')
    .option('--header <line>', 'a further header of the messages, e.g. "Reply-To: …"; the option may be given several times', collect, [])
    .option('--out <path>', 'the output: a new directory, or the file of --mbox (default: prepared or prepared.mbox)')
    .option('--only <email>', 'write only the letter of this person, as a preview; the catalog does not record that mail was prepared')
    .option('--dry-run', 'show which links would be tracked, and why the others would not; change nothing')
    .option('--exclude <domain,…>', 'do not track links to these domains and their subdomains', collectDomains, [])
    .option('--track-unsubscribe', 'track unsubscribe, preference and view-in-browser links, too')
    .option('--utm <name=value,…>', 'add utm parameters, e.g. source=letter,medium=email', parseUtm, {})
    .addOption(new Option('--pixel <place>', 'the place of the pixel').choices(['top', 'bottom', 'none']).default('bottom'))
    .option('--honeypot', 'add a link that no person sees, so that scanners show themselves; some spam filters distrust hidden links')
    .option('--check', 'ask the target of each link whether it answers, and list those that do not')
    .option('--despite-missing', 'write letters although requests to unsubscribe may be missing in the databases')
    .option('--expires <when>', "the time from which the letter's links lead to the campaign's fallback");
  for (const option of PEOPLE_OPTIONS) prepare.addOption(option);
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

const collectDomains = (list: string, all: string[]): string[] => [...all, ...list.split(/[,\s]+/).filter((domain) => domain !== '')];
const collect = (value: string, all: string[]): string[] => [...all, value];

function parseUtm(text: string, earlier: Record<string, string>): Record<string, string> {
  const pairs = text.split(',').map((pair) => pair.split('='));
  const invalid = pairs.find(([name = '', ...value]) => !/^(?:utm_)?[a-z_]+$/.test(name.trim()) || value.join('=').trim() === '');
  if (invalid)
    throw new ClickledgerError('bad-input', `'${invalid.join('=')}' is not a utm parameter. Write --utm source=letter,medium=email.`);
  return {
    ...earlier,
    ...Object.fromEntries(pairs.map(([name = '', ...value]) => [name.trim().replace(/^utm_/, ''), value.join('=').trim()])),
  };
}

async function prepareLetter(file: string, options: Options, command: Command): Promise<void> {
  const usageError = findUsageError(file, options);
  if (usageError) command.error(`error: ${usageError}`, { exitCode: 2 });
  const baseUrls = baseUrlsOf(await configOf(command, ['BASE_URL', 'BASE_URLS']));
  const expires = options.expires === undefined ? undefined : await timeOf(command, options.expires);
  const envelope = options.eml || options.mbox ? parseEnvelope(options.from ?? '', options.subject ?? '', options.header) : undefined;
  const html = /\.txt$/i.test(file) ? undefined : await readLetter(file, 'html');
  const text = html === undefined ? await readLetter(file, 'text') : options.text && (await readLetter(options.text, 'text'));
  const planWith = (trackUnsubscribe: boolean) => planParts({ html, text: text || undefined }, { ...options, trackUnsubscribe, baseUrls });
  const plans = planWith(options.trackUnsubscribe === true);
  const json = command.optsWithGlobals<GlobalOptions>().json === true;
  const parts = [plans.html, plans.text].filter((plan) => plan !== undefined);
  for (const warning of parts.flatMap((plan) => plan.warnings)) note(`note: ${warning}`);
  const kept = summariseKept(parts);
  if (options.render) noteLeftovers(parts.flatMap(leftoverTags));
  const checked = options.check ? await checkLinks(options.trackUnsubscribe ? planWith(false) : plans) : undefined;
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
    const bytes = sentBytes(letter);
    if (letter.hasPixel && bytes > GMAIL_CLIPS_BYTES && options.pixel === 'bottom')
      note(
        `note: the letter has ${Math.ceil(bytes / 1000)} kB with its tracked links. Gmail cuts off a letter after ${GMAIL_CLIPS_BYTES / 1000} kB, and with it the pixel at the end. --pixel top puts the pixel at the beginning.`,
      );
    const names = { html: basename(file), text: basename(options.text ?? file), people: basename(options.to ?? '') };
    let result: WriteResult;
    const rejects = createRejects(options.rejects);
    if (people) {
      const progress = createProgress();
      result = await writePersonalLetters(
        pool,
        campaign.id,
        letter,
        people,
        names,
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
      result = await writeSharedLetter(letter, names, options);
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

/**
 * Throws `unavailable` if requests to unsubscribe may be missing in the databases: if a part of the logs is not counted, or if an agent or a
 * worker has a problem. Otherwise people who have unsubscribed would get a letter.
 */
async function assertNothingMissing(pool: Pool, parts: readonly PartAddress[]): Promise<void> {
  if (!(await useUnsubscribing(pool))) return;
  const problem = (await findMissingUnsubscribes(pool)) ?? (await findLateRequests(parts));
  if (problem !== undefined) throw new ClickledgerError('unavailable', `${problem}. To write the letters anyway, give --despite-missing.`);
}

/** Returns the first problem of an agent or worker that delays requests to unsubscribe, with what to do. */
async function findLateRequests(parts: readonly PartAddress[]): Promise<string | undefined> {
  const responses = await Promise.all(parts.map(readPart));
  const problems = parts.flatMap((part, i) => (responses[i]?.health.part === 'backend' ? [] : problemsOfPart(part, responses[i])));
  const [first] = problems.filter(({ code }) => MAKES_LATE.has(code));
  return first && `it is not known who has unsubscribed: ${first.where}: ${first.what}. To mend it, ${first.mend}`;
}

function summary(letter: TrackedLetter, { prepared, opted_out, tests }: WriteResult): string {
  const details = [
    ...(opted_out > 0 ? [`${opted_out} opted out of tracking: untracked links, no pixel`] : []),
    ...(tests > 0 ? [`${tests} test ${tests === 1 ? 'recipient' : 'recipients'}: left out of all counts`] : []),
  ];
  const extras = [...(letter.honeypot ? ['a hidden link'] : []), ...(letter.hasPixel ? ['a pixel'] : [])].map((extra) => ` and ${extra}`);
  return [`prepared for ${prepared} people: ${letter.links.length} links${extras.join('')}`, ...details].join('\n  ');
}

/**
 * Asks the targets of the links that will be tracked, and lists those that do not answer. Dead links do not stop the command. The plans must
 * be without `trackUnsubscribe`, because a request to such a link may unsubscribe somebody.
 */
async function checkLinks({ html, text }: LetterPlans): Promise<CheckedTarget[]> {
  const progress = createProgress();
  const targets = [html, text].flatMap((plan) => plan?.tracked ?? []).map(({ target }) => target);
  const checked = await checkTargets(targets, {
    onChecked: (done, all) => progress.show(done, all, `${done} of ${all} links`),
  }).finally(() => progress.end());
  const of = (wanted: CheckedTarget['result']) => checked.filter(({ result }) => result === wanted);
  const list = (links: readonly CheckedTarget[], title: string): void => {
    if (links.length === 0) return;
    note(`  ${title}:`);
    for (const { target, status, error } of links.slice(0, MAX_LISTED))
      note(`    ${truncate(target, 100)}: ${error ?? `status ${status}`}`);
    if (links.length > MAX_LISTED) note(`    and ${links.length - MAX_LISTED} more`);
  };
  const [dead, unclear, notAsked] = [of('dead'), of('unclear'), of('not-asked')];
  note(`${of('ok').length} of ${checked.length} links answer`);
  list(dead, 'these do not');
  list(unclear, 'these may answer people otherwise than programs, so look at them yourself');
  if (notAsked.length > 0) note(`  ${notAsked.length} not asked, because their robots.txt forbids it or cannot be read`);
  return checked;
}

/** Returns an error message if the options cannot be combined, otherwise undefined. */
function findUsageError(file: string, options: Options): string | undefined {
  const { text, to, merge, render, eml, mbox, from, subject, only, campaign, dryRun } = options;
  if (text !== undefined && /\.txt$/i.test(file)) return `${file} is already a text. '--text' is only for an HTML letter.`;
  if (text !== undefined && basename(text) === basename(file))
    return 'the HTML file and the text file must have different names, because both are written to one directory';
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

async function readLetter(file: string, kind: 'html' | 'text'): Promise<Buffer> {
  const bytes = await readFile(file).catch((error: unknown) => {
    throw new ClickledgerError(
      'not-found',
      codeOf(error) === 'ENOENT' ? `${file} does not exist` : `${file} cannot be read: ${codeOf(error)}`,
    );
  });
  assertIsLetter(bytes, kind, file);
  return bytes;
}

/** Prints for each reason how many links are not tracked, and lists the links that are probably mistakes. */
function noteKept({ counts, suspicious }: KeptSummary): void {
  const reasons = Object.entries(counts).map(([reason, count]) => `${count} ${reason}`);
  if (reasons.length > 0) note(`  not tracked: ${reasons.join(', ')} (--dry-run lists them)`);
  if (suspicious.length === 0) return;
  note('  these addresses lead nowhere, check their spelling:');
  for (const { part, line, address } of suspicious.slice(0, MAX_LISTED)) note(`    ${part}, line ${line}: ${truncate(address, 100)}`);
  if (suspicious.length > MAX_LISTED) note(`    and ${suspicious.length - MAX_LISTED} more`);
}

/** Prints the tags that are not filled in. Readers would see these tags. */
function noteLeftovers(tags: readonly LeftoverTag[]): void {
  if (tags.length === 0) return;
  note('note: these tags are not filled in, and readers will see them. A column is written {{name}}.');
  for (const { part, line, text, sender } of tags.slice(0, MAX_LISTED))
    note(`  ${part}, line ${line}: ${truncate(text, 60)}${sender === undefined ? '' : ` (a tag of ${sender})`}`);
  if (tags.length > MAX_LISTED) note(`  and ${tags.length - MAX_LISTED} more`);
}

const truncate = (text: string, length: number): string => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

function showPlans(plans: readonly LetterPlan[], kept: KeptSummary, json: boolean, checked: readonly CheckedTarget[] | undefined): void {
  const rows = plans.flatMap((plan) => {
    const lineOf = createLineCounter(plan.text);
    return [...plan.tracked, ...plan.kept]
      .sort((a, b) => a.from - b.from)
      .map((link) => ({
        part: plan.kind,
        line: lineOf(link.from),
        what: 'reason' in link ? link.reason : 'tracked',
        address: 'target' in link ? link.target : link.address,
        words: link.words,
      }));
  });
  const hasPixel = plans.some(({ pixelAt }) => pixelAt !== undefined);
  const hasHoneypot = plans.some(({ honeypotAt }) => honeypotAt !== undefined);
  if (json)
    return printJson({
      links: rows,
      pixel: hasPixel,
      honeypot: hasHoneypot,
      kept: kept.counts,
      suspicious: kept.suspicious,
      ...(checked && { checked }),
    });
  printTable(
    ['part', 'line', 'what', 'address', 'words'],
    rows.map(({ part, line, what, address, words }) => [
      part,
      line,
      what === 'tracked' ? what : `kept: ${what}`,
      truncate(address, 70),
      truncate(words, 30),
    ]),
  );
  const tracked = rows.filter(({ what }) => what === 'tracked').length;
  note(
    `${tracked} of ${rows.length} links would be tracked${hasHoneypot ? ', a hidden link would be added' : ''}${hasPixel ? ', and a pixel would be added' : ''}`,
  );
  noteKept(kept);
}
