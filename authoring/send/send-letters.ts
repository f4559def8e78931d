import { createHash } from 'node:crypto';
import { ClickledgerError } from '../../core/errors.ts';
import type { Pool } from '../../core/postgres.ts';
import { type Addressee, resolveAddressees } from '../addressees.ts';
import { type Envelope, senderAddress } from '../letter/envelope.ts';
import { UNSUBSCRIBE } from '../letter/plan.ts';
import type { PeopleFile, Person, Rejected } from '../list-file.ts';
import { normaliseEmail } from '../recipients.ts';
import { createComposer, createRenderer } from '../render.ts';
import { recordMailing } from '../resolve-recipients.ts';
import type { TrackedLetter } from '../track-letter.ts';
import { assertNoOwnAddress } from '../write-letters.ts';
import { type Job, type RunEnd, type SendOptions, sendMessages } from './send-messages.ts';
import { RESULTS, type Result, type SendState } from './state-file.ts';

// The second half of the command `send`: makes the message of each person of a list and sends it, unless the state file says that the person
// has it or may have it.

/**
 * People are looked up in small chunks, because somebody may unsubscribe while others get their messages. Two chunks are looked up in advance. With
 * a rate, a chunk is enough for half a minute.
 */
const CHUNK_SIZE = 100;
const CHUNK_MS = 30_000;
const chunkSizeFor = (intervalMs: number): number => Math.max(1, Math.min(CHUNK_SIZE, Math.floor(CHUNK_MS / Math.max(intervalMs, 1))));
/** The catalog is told after so many messages that they were sent. The state file knows it before, and the next run tells it again. */
const RECORDED_AT_ONCE = 500;
/** At most this many people are listed for each result. */
const MAX_LISTED = 1000;

export interface SelectOptions {
  /** Only this person gets a message, as a test: nothing is recorded, and the person may get it again. */
  only?: string;
  /** Also send to people who may already have the message. */
  retryUnknown?: boolean;
  /** Also send to people whose message the server has refused. */
  retryRefused?: boolean;
}

/** A person and the answer of the server. */
export interface Listed {
  email: string;
  reason: string | null;
}

export interface SendResult {
  ended: RunEnd['why'];
  /** The number of messages that were accepted in this run. `opted_out` and `tests` are the numbers of these people. */
  sent: number;
  opted_out: number;
  tests: number;
  /** The number of people of the list who had the message before. */
  already_sent: number;
  /** The first 1000 people of each of the other results, after this run, and the number of all of them. */
  refused: Listed[];
  refused_total: number;
  deferred: Listed[];
  deferred_total: number;
  unknown: Listed[];
  unknown_total: number;
  /** How many people got the result `unknown` in this run. */
  newly_unknown: number;
}

export interface SendCallbacks {
  onReject: (rejected: Rejected) => void;
  onProgress: (sent: number, bytesRead: number, bytes: number) => void;
}

interface Deps {
  pool: Pool;
  campaign: number;
  letter: TrackedLetter;
  people: PeopleFile;
  state: SendState;
}

/** Counts the people of a list by what the state file says about them, and sends nothing. `waiting` is the number of people who would get the message. */
export async function countRecipients(
  { pool, campaign, people, state }: Omit<Deps, 'letter'>,
  select: SelectOptions,
  onReject: (rejected: Rejected) => void,
): Promise<Record<Result | 'waiting', number>> {
  const counts = { waiting: 0, sent: 0, refused: 0, deferred: 0, unknown: 0 };
  for await (const chunk of addresseesOf(pool, campaign, people, select, onReject, false, CHUNK_SIZE))
    for (const { recipient } of chunk) {
      const result = state.of(recipient.id);
      if (result !== undefined) counts[result]++;
      if (isDue(result, select)) counts.waiting++;
    }
  return counts;
}

/**
 * Sends the letter to the people of a list who have not got it. Marks the campaign as sent, and records in the catalog for whom mail was prepared.
 * Rejects if the run cannot go on; the state file has all results by then. `ended` is 'failed' if the server did not take the messages: then
 * `error` says why.
 */
export async function sendLetters(
  deps: Deps & { envelope: Envelope },
  select: SelectOptions,
  options: Omit<SendOptions, 'onResult'>,
  { onReject, onProgress }: SendCallbacks,
): Promise<{ result: SendResult; error?: ClickledgerError }> {
  const { pool, campaign, letter, people, state, envelope } = deps;
  const isTest = select.only !== undefined;
  const result = emptyResult();
  const from = senderAddress(envelope.from);
  const render = createRenderer(letter, people.header);
  const compose = createComposer(people, letter, envelope);
  const flags = new Map<number, { optedOut: boolean; isTest: boolean }>();
  const toRecord = isTest ? [] : state.recipients('sent', 'unknown');
  let recorded = Promise.resolve();

  function recordLater(atLeast: number): void {
    if (isTest || toRecord.length < atLeast) return;
    const recipients = toRecord.splice(0);
    recorded = recorded.then(async () => {
      for (let i = 0; i < recipients.length; i += 10_000) await recordMailing(pool, campaign, recipients.slice(i, i + 10_000));
    });
    recorded.catch(() => {});
  }

  function list(what: Exclude<Result, 'sent'>, email: string, reason: string | undefined): void {
    result[`${what}_total`]++;
    if (result[what].length < MAX_LISTED) result[what].push({ email, reason: reason ?? null });
  }

  async function* jobs(): AsyncGenerator<Job> {
    let found = 0;
    for await (const chunk of addresseesOf(pool, campaign, people, select, onReject, true, chunkSizeFor(options.intervalMs)))
      for (const addressee of chunk) {
        found++;
        const { person, recipient } = addressee;
        if (letter.unsubscribeOf) assertNoOwnAddress(people.value(person, UNSUBSCRIBE));
        if (person.email === undefined)
          throw new ClickledgerError('bad-input', 'messages need mail addresses, and the list has no column with mail addresses');
        const known = state.of(recipient.id);
        if (!isTest && !isDue(known, select)) {
          if (known === 'sent') result.already_sent++;
          else if (known !== undefined) list(known, person.email, undefined);
          continue;
        }
        flags.set(recipient.id, recipient);
        const messageId = isTest ? undefined : messageIdOf(state.run, recipient.id, from);
        yield {
          recipient: recipient.id,
          from,
          to: person.email,
          compose: () =>
            compose(
              addressee,
              render(recipient, (name) => people.value(person, name)),
              messageId,
            ),
        };
      }
    if (isTest && found === 0) throw new ClickledgerError('not-found', `${select.only} is not in the list`);
  }

  recordLater(1);
  const end = await sendMessages(jobs(), state, {
    ...options,
    onResult({ recipient, to }, is, reason) {
      if (is === 'sent' || is === 'unknown') {
        toRecord.push(recipient);
        recordLater(RECORDED_AT_ONCE);
      }
      if (is === 'unknown') result.newly_unknown++;
      if (is !== 'sent') list(is, to, reason);
      else {
        result.sent++;
        if (flags.get(recipient)?.optedOut) result.opted_out++;
        if (flags.get(recipient)?.isTest) result.tests++;
      }
      if (is !== 'deferred') flags.delete(recipient);
      onProgress(result.sent, people.bytesRead(), people.bytes);
    },
  }).finally(async () => {
    recordLater(1);
    await recorded;
  });
  result.ended = end.why;
  return end.why === 'failed' ? { result, error: end.error } : { result };
}

function addresseesOf(
  pool: Pool,
  campaign: number,
  people: PeopleFile,
  { only }: SelectOptions,
  onReject: (rejected: Rejected) => void,
  write: boolean,
  chunkSize: number,
): AsyncGenerator<Addressee[]> {
  const wanted = only === undefined ? undefined : (normaliseEmail(only) ?? only);
  return resolveAddressees(pool, people, {
    campaign,
    how: { record: false, write },
    chunkSize,
    onReject,
    ...(wanted === undefined ? {} : { only: (person: Person) => person.email === wanted || person.externalId === wanted }),
  });
}

/** Returns whether a person with this result gets a message now. */
function isDue(result: Result | undefined, { retryUnknown, retryRefused }: SelectOptions): boolean {
  switch (result) {
    case undefined:
    case 'deferred':
      return true;
    case 'sent':
      return false;
    case 'unknown':
      return retryUnknown === true;
    case 'refused':
      return retryRefused === true;
  }
}

/** A message that is sent again has the same Message-ID. Some mail servers then keep only one of the two. */
function messageIdOf(run: string, recipient: number, from: string): string {
  const hash = createHash('sha256').update(`${run}:${recipient}`).digest('hex').slice(0, 32);
  return `<${hash}${from.slice(from.lastIndexOf('@'))}>`;
}

function emptyResult(): SendResult {
  const lists = RESULTS.filter((what) => what !== 'sent').flatMap((what) => [
    [what, []],
    [`${what}_total`, 0],
  ]);
  return { ended: 'all', sent: 0, opted_out: 0, tests: 0, already_sent: 0, newly_unknown: 0, ...Object.fromEntries(lists) } as SendResult;
}
