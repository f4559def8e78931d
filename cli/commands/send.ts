import { basename, dirname, extname, join, resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { ClickledgerError } from '../../core/errors.ts';
import { createLogger } from '../../core/log.ts';
import type { Pool } from '../../core/postgres.ts';
import { handleStopSignals } from '../../core/shutdown.ts';
import { parseSmtpUrl, type SmtpServer } from '../../core/smtp-url.ts';
import { baseUrlOf, baseUrlsOf } from '../../authoring/base-urls.ts';
import { findOpenCampaign, markFirstSent, sentAt } from '../../authoring/campaigns.ts';
import { keepLetter } from '../../authoring/keep-letter.ts';
import { parseEnvelope } from '../../authoring/letter/envelope.ts';
import { leftoverTags } from '../../authoring/letter/leftover-tags.ts';
import { openPeople, type PeopleFile } from '../../authoring/list-file.ts';
import { createRejects } from '../../authoring/rejected-lines.ts';
import { parseRate } from '../../authoring/send/pace.ts';
import { countRecipients, type SelectOptions, sendLetters, type SendResult } from '../../authoring/send/send-letters.ts';
import { createSmtpClient } from '../../authoring/send/smtp-client.ts';
import { type Mailing, openSendState, RESULTS, type SendState, temporaryState } from '../../authoring/send/state-file.ts';
import { arePrepared, trackLetter } from '../../authoring/track-letter.ts';
import { assertKeyListed } from '../../authoring/urls.ts';
import { lockPath } from '../../stack/lock.ts';
import { configOf, type GlobalOptions, timeOf, withPool } from '../context.ts';
import { note, printJson } from '../output.ts';
import { createProgress } from '../progress.ts';
import { checkLinks, noteKept, noteLeftovers, showPlans } from './letter-notes.ts';
import {
  ENVELOPE_OPTIONS,
  type EnvelopeOptions,
  findLetterUsageError,
  LETTER_OPTIONS,
  type LetterOptions,
  type ReadLetter,
  readLetter,
} from './letter-options.ts';
import { assertNothingMissing } from './missing-unsubscribes.ts';
import { listReport, noteFindings, noteRejects, PEOPLE_OPTIONS, type PeopleOptions } from './people-options.ts';

// The command `send`: prepares a letter for every person of a list and sends it through a mail server.

const DEFAULT_CONNECTIONS = 3;
const DEFAULT_RETRIES = 4;
/** The waits before further attempts for a person. A server that defers unknown senders usually accepts them after five minutes. */
const RETRY_MS = [10_000, 60_000, 300_000, 600_000];
/** The waits while the server takes no messages at all. */
const SERVER_MS = [1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 120_000];
/** At most this many people of one kind are printed. */
const MAX_PRINTED = 10;

interface Options extends LetterOptions, EnvelopeOptions, PeopleOptions, SelectOptions {
  campaign: string;
  to: string;
  smtp?: string;
  rate?: number;
  connections: number;
  max?: number;
  retries: number;
  state?: string;
  newState?: boolean;
  dryRun?: boolean;
}

export function addSend(program: Command): void {
  const send = program
    .command('send <letter>')
    .description('send a tracked letter to every person of a list through a mail server')
    .requiredOption('--campaign <name>', 'name or number of the campaign')
    .requiredOption('--to <people.csv>', 'the list of people, a CSV file')
    .option('--smtp <url>', 'the mail server, e.g. smtp://mail.example.com:587 (default: the setting SMTP_URL, which may have a password)');
  for (const option of ENVELOPE_OPTIONS) send.addOption(option);
  send
    .addOption(new Option('--rate <count/unit>', 'at most so many messages, e.g. 10/s, 600/m or 5000/h').argParser(parseRate))
    .addOption(wholeOption('--connections <count>', 'how many messages are sent at the same time', 100).default(DEFAULT_CONNECTIONS))
    .addOption(wholeOption('--max <count>', 'send to at most so many people in this run; the next run continues', 1_000_000_000))
    .addOption(
      wholeOption('--retries <count>', 'further attempts in this run for a person whom the server defers', RETRY_MS.length, 0).default(
        DEFAULT_RETRIES,
      ),
    )
    .option('--state <file>', 'the file that says who has got the letter (default: beside the letter)')
    .option('--new-state', 'begin a new state file, although mail of the campaign was sent before; people may get a second message')
    .option('--retry-unknown', 'send to people, too, who may have got the message of an earlier run')
    .option('--retry-refused', 'send to people, too, whose message the server refused in an earlier run')
    .option('--only <email>', 'send only to this person, as a test; nothing is recorded')
    .option('--dry-run', 'show the links and how many people would get a message, and log in to the mail server; send and change nothing');
  for (const option of [...LETTER_OPTIONS, ...PEOPLE_OPTIONS]) send.addOption(option);
  send
    .addHelpText(
      'after',
      `
If the command is interrupted, run it again: nobody gets a second message. People who may have got one are listed, and get
no other one without --retry-unknown.

Examples:
  clickledger send letter.html --campaign "Spring sale" --to people.csv --from "Shop <news@shop.example>" --subject "For {{name}}" --only me@shop.example
  clickledger send letter.html --campaign "Spring sale" --to people.csv --from "Shop <news@shop.example>" --subject "For {{name}}" --rate 10/s`,
    )
    .action(sendLetter);
}

function wholeOption(flags: string, description: string, max: number, min = 1): Option {
  return new Option(flags, description).argParser((text: string) => {
    if (!/^\d+$/.test(text) || Number(text) < min || Number(text) > max)
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    return Number(text);
  });
}

async function sendLetter(file: string, options: Options, command: Command): Promise<void> {
  const usageError =
    findLetterUsageError(file, options) ??
    (options.from === undefined || options.subject === undefined ? "messages need '--from <address>' and '--subject <text>'" : undefined) ??
    (options.only !== undefined && options.state !== undefined
      ? "options '--only' and '--state' exclude each other, because a test is not recorded"
      : undefined);
  if (usageError) command.error(`error: ${usageError}`, { exitCode: 2 });
  const envelope = parseEnvelope(options.from ?? '', options.subject ?? '', options.header);
  const config = await configOf(command, ['BASE_URL', 'BASE_URLS', 'AUTHOR_URL', 'SLUG_KEYS', 'PARTS']);
  const server = options.smtp === undefined ? (await configOf(command, ['SMTP_URL'])).SMTP_URL : serverOf(options.smtp);
  const expires = options.expires === undefined ? undefined : await timeOf(command, options.expires);
  const baseUrls = baseUrlsOf(config);
  const read = await readLetter(file, options, baseUrls);
  const { plans, parts, kept } = read;
  if (arePrepared(plans)) throw new ClickledgerError('bad-input', `${file} is already prepared. Give the letter from which it was made.`);
  noteLeftovers(parts.flatMap(leftoverTags));
  const json = command.optsWithGlobals<GlobalOptions>().json === true;
  const checked = options.check ? await checkLinks(await read.careful()) : undefined;
  const { signal } = handleStopSignals(createLogger('send', 'silent'));

  await withPool(config.AUTHOR_URL, async (pool) => {
    await assertKeyListed(pool, config.SLUG_KEYS[0]);
    const campaign = await findOpenCampaign(pool, options.campaign);
    const people = await openPeople(options.to, options);
    if (!options.despiteMissing) await assertNothingMissing(pool, config.PARTS);
    noteFindings(people.findings);
    const mailing = { campaign: campaign.id, name: campaign.name, letter: read.hash };
    const statePath = resolve(options.state ?? defaultStatePath(file, campaign.id));
    const clients = Array.from({ length: options.connections }, () => createSmtpClient(server));
    try {
      if (options.dryRun) {
        const state = await readState(pool, statePath, mailing, options.newState);
        await showDryRun({ pool, people, campaign: campaign.id, state, read, options, server, json, connect: () => connect(clients[0]) });
        return;
      }
      await withState(pool, statePath, mailing, { ...options, login: () => connect(clients[0]) }, async (state) => {
        const letter = await trackLetter(
          { pool, baseUrl: baseUrlOf(campaign, baseUrls), keys: config.SLUG_KEYS },
          campaign.id,
          plans,
          expires?.at,
        );
        await keepLetter(pool, campaign.id, letter);
        const progress = createProgress();
        const rejects = createRejects(options.rejects);
        const { result, error } = await sendLetters(
          { pool, campaign: campaign.id, letter, people, state, envelope },
          options,
          {
            clients,
            intervalMs: options.rate ?? 0,
            max: options.max ?? Number.POSITIVE_INFINITY,
            retryMs: RETRY_MS.slice(0, options.retries),
            serverMs: SERVER_MS,
            signal,
          },
          {
            onReject: rejects.add,
            onProgress: (sent, bytesRead, bytes) => progress.show(bytesRead, bytes, `${sent.toLocaleString('en')} sent`),
          },
        ).finally(async () => {
          progress.end();
          await rejects.end();
        });
        noteResult(result);
        noteKept(kept);
        noteRejects(rejects, options.rejects, people.findings);
        if (json)
          printJson({
            campaign: campaign.id,
            state: options.only === undefined ? statePath : null,
            ...result,
            rejected: rejects.rejected,
            rejected_total: rejects.total(),
            list: listReport(people, rejects),
            links: letter.links.map(({ id, part, label, target }) => ({ id, part, label, target })),
            kept: kept.counts,
            suspicious: kept.suspicious,
            ...(checked && { checked }),
          });
        if (error) throw error;
        assertComplete(result);
      });
    } finally {
      for (const client of clients) client.close();
    }
  });
}

/** Parses the option --smtp. A password in it can be read by other users of this machine. */
function serverOf(url: string): SmtpServer {
  const server = parseSmtpUrl(url);
  if (server.password !== '' && !server.isLoopback)
    note(
      'note: other users of this machine can see the password of --smtp in the list of processes. Put the URL into the setting SMTP_URL.',
    );
  return server;
}

/** The state is beside the letter, so that a run from another directory finds it. */
function defaultStatePath(letter: string, campaign: number): string {
  return join(dirname(letter), `${basename(letter, extname(letter))}.sent-${campaign}.jsonl`);
}

/** Connects and logs in. Throws if this fails, before anybody gets a message. */
async function connect(client: ReturnType<typeof createSmtpClient> | undefined): Promise<void> {
  const failed = await client?.connect();
  if (failed && 'reason' in failed) throw new ClickledgerError('unavailable', `the mail server takes no messages: ${failed.reason}`);
}

/** Runs `work` with the state file, which no other run may use at the same time. */
async function withState(
  pool: Pool,
  path: string,
  mailing: Mailing,
  { only, newState, state: given, login }: Options & { login: () => Promise<void> },
  work: (state: SendState) => Promise<void>,
): Promise<void> {
  if (only !== undefined) {
    await login();
    return work(temporaryState());
  }
  const lock = await lockPath(
    `${path}.lock`,
    (pid) => `process ${pid} is sending with ${path}. Wait until it ends, or stop it with Ctrl-C.`,
  );
  try {
    const before = await readState(pool, path, mailing, newState);
    await login();
    // Of two runs that begin at the same time with different files, only one marks the campaign.
    const isFirst = await markFirstSent(pool, mailing.campaign, new Date());
    if (before.isNew && !newState && !isFirst) await assertNotSent(pool, mailing, path);
    const state = await openSendState(path, mailing);
    if (given === undefined) note(`${path} says who has got the letter. Keep it until all have it.`);
    try {
      await work(state);
    } finally {
      await state.close();
    }
  } finally {
    await lock.release();
  }
}

/** Reads a state file. Throws `conflict` if it is not known from it who has got the letter. Writes nothing. */
async function readState(pool: Pool, path: string, mailing: Mailing, newState = false): Promise<SendState> {
  const state = await openSendState(path, mailing, { create: false });
  await assertKnown(pool, state);
  if (state.isNew && !newState) await assertNotSent(pool, mailing, path);
  return state;
}

/** Throws `conflict` if a campaign was sent, and it is not known to whom. */
async function assertNotSent(pool: Pool, { campaign, name }: Mailing, path: string): Promise<void> {
  const sent = await sentAt(pool, campaign);
  if (sent)
    throw new ClickledgerError(
      'conflict',
      `campaign '${name}' was sent at ${sent.toISOString()}, and ${path} does not say to whom. Give the file of that run with --state. If nobody of this list has got the letter, give --new-state.`,
    );
}

/** Throws `conflict` if recipients of a state file are not in the catalog: then their numbers may belong to others soon. */
async function assertKnown(pool: Pool, state: SendState): Promise<void> {
  const recipients = state.recipients(...RESULTS);
  const { rows } = await pool.query<{ known: number }>('SELECT count(*)::int AS known FROM catalog.recipient WHERE id = ANY ($1)', [
    recipients,
  ]);
  const missing = recipients.length - (rows[0]?.known ?? 0);
  if (missing > 0)
    throw new ClickledgerError(
      'conflict',
      `${missing} recipients in ${state.path} are not in the catalog, perhaps because it was restored from a backup. It is not known who has got the letter.`,
    );
}

interface DryRun {
  pool: Pool;
  people: PeopleFile;
  campaign: number;
  state: SendState;
  read: ReadLetter;
  options: Options;
  server: SmtpServer;
  json: boolean;
  connect: () => Promise<void>;
}

/** Shows the links and how many people would get a message, and logs in to the mail server. */
async function showDryRun({ pool, people, campaign, state, read, options, server, json, connect: login }: DryRun): Promise<void> {
  const rejects = createRejects(options.rejects);
  const counts = await countRecipients({ pool, campaign, people, state }, options, rejects.add).finally(() => rejects.end());
  await login();
  if (json) {
    printJson({ campaign, state: state.path, ...counts, rejected_total: rejects.total(), list: listReport(people, rejects) });
    return;
  }
  showPlans(read.parts, read.kept, false, undefined);
  noteRejects(rejects, options.rejects, people.findings);
  note(`${server.host} accepts connections${server.user === undefined ? '' : ' and the login'}`);
  note(`${counts.waiting} people would get a message`);
  for (const [what, count] of Object.entries(counts)) if (what !== 'waiting' && count > 0) note(`  ${count} ${what} in an earlier run`);
}

function noteResult(result: SendResult): void {
  const { sent, opted_out, tests, already_sent } = result;
  note(`sent to ${people(sent)}`);
  if (opted_out > 0) note(`  ${opted_out} opted out of tracking: untracked links, no pixel`);
  if (tests > 0) note(`  ${tests} test ${tests === 1 ? 'recipient' : 'recipients'}: left out of all counts`);
  if (already_sent > 0) note(`  ${people(already_sent)} had it before`);
  listPeople('refused', result, 'the mail server refused these messages');
  listPeople('deferred', result, 'the mail server did not take these messages; the next run tries again');
  listPeople('unknown', result, 'it is not known whether these people have the message; --retry-unknown sends it again');
}

function listPeople(what: 'refused' | 'deferred' | 'unknown', result: SendResult, title: string): void {
  const total = result[`${what}_total`];
  if (total === 0) return;
  note(`  ${people(total)} ${what}: ${title}`);
  for (const { email, reason } of result[what].slice(0, MAX_PRINTED)) note(`    ${email}${reason === null ? '' : `: ${reason}`}`);
  if (total > MAX_PRINTED) note(`    and ${total - MAX_PRINTED} more`);
}

/** Throws `unavailable` if another run would send more messages, or if somebody must decide about people who may have the message. */
function assertComplete({ ended, deferred_total, newly_unknown }: SendResult): void {
  if (ended === 'max') note('the limit of --max is reached. Run the same command again for the others.');
  if (ended === 'stopped') throw new ClickledgerError('unavailable', 'stopped. Run the same command again to continue.');
  if (deferred_total > 0)
    throw new ClickledgerError('unavailable', `${people(deferred_total)} got no message yet. Run the same command again later.`);
  if (newly_unknown > 0)
    throw new ClickledgerError(
      'unavailable',
      `${people(newly_unknown)} may have the message or not. To send it to them again, give --retry-unknown.`,
    );
}

const people = (count: number): string => `${count.toLocaleString('en')} ${count === 1 ? 'person' : 'people'}`;
