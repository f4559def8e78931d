import { ClickledgerError } from '../core/errors.ts';
import { explainErrors, type Pool } from '../core/postgres.ts';
import type { SlugKey } from '../core/slug.ts';
import type { RejectReason } from './list-file.ts';
import { type PersonKey, type Recipient, recipientOrReason, resolveRecipients } from './resolve-recipients.ts';
import { planParts, type TrackedLetter, trackLetter } from './track-letter.ts';
import { normaliseEmail } from './recipients.ts';
import { createRenderer, type Renderer } from './render.ts';
import { findMissingUnsubscribes, useUnsubscribing } from './unsubscribes-known.ts';
import type { KeepReason } from './letter/decide.ts';
import type { PixelPlace } from './letter/plan.ts';

// Prepares a letter that a program has in memory, and makes the letters of people. The package and the HTTP API use it.

/** A person to write to: a mail address, your own id, or both. With both, the id identifies the person, and the address may change. */
export interface TrackerPerson {
  email?: string;
  id?: string;
  /** Values for `{{name}}` in the letter. They are used if the letter was prepared with `fill`. */
  columns?: Readonly<Record<string, string>>;
}

/** A letter, and how it is prepared. */
export interface LetterOptions {
  html?: string;
  text?: string;
  /** Links to these domains and their subdomains are not tracked. */
  exclude?: readonly string[];
  /** True if unsubscribe, preference and view-in-browser links are tracked, too. */
  trackUnsubscribe?: boolean;
  /** The `utm_…` parameters that are added. Their names are without the prefix `utm_`. */
  utm?: Readonly<Record<string, string>>;
  /** The place of the pixel. The default is 'bottom'. */
  pixel?: PixelPlace;
  /** True if the HTML part gets a link that no person sees. Hits on it are signs of a machine. The default is false. */
  honeypot?: boolean;
  /** The time from which the letter's links lead to the fallback of the campaign. */
  expires?: Date;
  /**
   * If true, letters are made although requests to unsubscribe may be missing in the databases. Otherwise this is an error with the code
   * `unavailable`.
   */
  despiteMissing?: boolean;
  /**
   * If true, `{{name}}` is replaced with the person's column of this name, and a missing column is an error. Otherwise `{{name}}` stays in
   * the letter. In the letter of a person, `{{unsubscribe}}` is always replaced.
   */
  fill?: boolean;
}

/** One person's letter. It has the same parts as the original letter. */
export interface PersonalLetter {
  html?: string;
  text?: string;
  /**
   * The URL at which the person unsubscribes, if the letter has `{{unsubscribe}}`. Send it as `List-Unsubscribe: <URL>`, with the header
   * `List-Unsubscribe-Post: List-Unsubscribe=One-Click` (RFC 8058).
   */
  unsubscribe?: string;
}

/** A letter whose links are in the catalog. */
export interface PreparedLetter {
  /** The distinct links that are tracked. */
  readonly links: readonly { id: number; part: 'html' | 'text'; target: string; label: string }[];
  /** The links that are not tracked, with the reason. */
  readonly kept: readonly { part: 'html' | 'text'; address: string; reason: KeepReason }[];
  /** Returns the letter of one person. Rejects with `bad-input` or `conflict` if the person cannot be a recipient. */
  for(person: TrackerPerson): Promise<PersonalLetter>;
  /**
   * Yields the letters of many people, in their order. The people are looked up in chunks of 1000. A person who cannot be a recipient is
   * yielded with the reason instead of a letter.
   */
  forAll<P extends TrackerPerson>(
    people: Iterable<P> | AsyncIterable<P>,
  ): AsyncGenerator<{ person: P; letter: PersonalLetter } | { person: P; rejected: RejectReason }>;
  /** Returns the letter with links that all readers share. */
  shared(): PersonalLetter;
}

/** People are looked up in chunks of this size. */
const CHUNK_SIZE = 1000;

const toBytes = (part: string | undefined): Buffer | undefined => (part === undefined ? undefined : Buffer.from(part, 'utf8'));

/** Returns the letter of a recipient. Throws `bad-input` if the letter is filled and the person lacks a column. */
export type LetterOf = (recipient: Pick<Recipient, 'id' | 'optedOut'>, person: TrackerPerson) => PersonalLetter;

/** In place of a recipient: the letter that all readers share. */
const SHARED = { id: 0, optedOut: false };

function createLetterOf(letter: TrackedLetter, fill: boolean): LetterOf {
  const render = createRenderer(letter, fill ? 'any' : undefined);
  return (recipient, person) => {
    const unsubscribe = recipient.id === SHARED.id ? undefined : letter.unsubscribeOf?.(recipient.id);
    return { ...renderFor(render, recipient, person), ...(unsubscribe === undefined ? {} : { unsubscribe }) };
  };
}

/**
 * Finds or creates the links of a letter in a campaign. `baseUrl` is that of the campaign, and `baseUrls` are those of the settings. Throws `unavailable` if requests to unsubscribe may be missing, unless
 * `despiteMissing` is set. `despiteOption` is the name of this option in the message.
 */
export async function prepareLetter(
  deps: { pool: Pool; baseUrl: string; baseUrls: readonly string[]; keys: readonly SlugKey[] },
  campaign: number,
  letter: LetterOptions,
  despiteOption = 'despiteMissing',
): Promise<{ tracked: TrackedLetter; prepared: PreparedLetter; letterOf: LetterOf }> {
  const { pool, baseUrls } = deps;
  const plans = planParts(
    { html: toBytes(letter.html), text: toBytes(letter.text) },
    {
      baseUrls,
      exclude: letter.exclude ?? [],
      trackUnsubscribe: letter.trackUnsubscribe ?? false,
      utm: letter.utm ?? {},
      pixel: letter.pixel ?? 'bottom',
      honeypot: letter.honeypot ?? false,
      // The letter is a string and is encoded as UTF-8 here, so the charset in its <meta> does not apply.
      charset: 'utf-8',
    },
  );
  const mustKnow = letter.despiteMissing !== true && (await useUnsubscribing(pool));
  const missing = mustKnow ? await findMissingUnsubscribes(pool) : undefined;
  if (missing !== undefined) throw new ClickledgerError('unavailable', `${missing}. To prepare the letter anyway, set ${despiteOption}.`);
  const tracked = await trackLetter(deps, campaign, plans, letter.expires);
  const letterOf = createLetterOf(tracked, letter.fill === true);
  return { tracked, prepared: createPreparedLetter(pool, campaign, tracked, letterOf), letterOf };
}

function createPreparedLetter(pool: Pool, campaign: number, letter: TrackedLetter, letterOf: LetterOf): PreparedLetter {
  const plans = [letter.plans.html, letter.plans.text].filter((plan) => plan !== undefined);

  async function* forAll<P extends TrackerPerson>(people: Iterable<P> | AsyncIterable<P>) {
    for await (const chunk of chunksOf(people)) {
      for (const [i, recipient] of (await explainErrors(() => resolvePeople(pool, chunk, campaign))).entries()) {
        const person = chunk[i] as P;
        if (typeof recipient === 'string') yield { person, rejected: recipient };
        else yield { person, letter: letterOf(recipient, person) };
      }
    }
  }

  return {
    links: letter.links.map(({ id, part, target, label }) => ({ id, part, target, label })),
    kept: plans.flatMap(({ kind, kept }) => kept.map(({ address, reason }) => ({ part: kind, address, reason }))),
    forAll,
    async for(person) {
      for await (const result of forAll([person])) {
        if ('letter' in result) return result.letter;
        const code = result.rejected === 'conflict' || result.rejected === 'unsubscribed' ? 'conflict' : 'bad-input';
        throw new ClickledgerError(
          code,
          `no letter for ${person.email ?? person.id ?? 'a person without email and id'}: ${result.rejected}`,
        );
      }
      throw new ClickledgerError('bad-input', 'no letter: there is no person');
    },
    shared: () => letterOf(SHARED, {}),
  };
}

/**
 * Finds or creates the recipients of people, in their order. The result has the reason for a person who cannot be a recipient. With
 * `campaign`, see `resolveRecipients`.
 */
export async function resolvePeople(
  pool: Pool,
  people: readonly TrackerPerson[],
  campaign?: number,
): Promise<(Recipient | RejectReason)[]> {
  const keys = people.map(keyOf);
  const recipients = await resolveRecipients(
    pool,
    keys.filter((key): key is PersonKey => typeof key !== 'string'),
    campaign,
  );
  let next = 0;
  return keys.map((key) => (typeof key === 'string' ? key : recipientOrReason(recipients[next++])));
}

function renderFor(render: Renderer, recipient: Pick<Recipient, 'id' | 'optedOut'>, { columns = {} }: TrackerPerson): PersonalLetter {
  const { html, text } = render(recipient, (name, fallback) => {
    const value = Object.hasOwn(columns, name) ? columns[name] : fallback;
    if (value === undefined)
      throw new ClickledgerError(
        'bad-input',
        `column {{${name}}} does not exist. The person has: ${Object.keys(columns).join(', ') || 'none'}`,
      );
    return value;
  });
  return { ...(html ? { html: html.toString('utf8') } : {}), ...(text ? { text: text.toString('utf8') } : {}) };
}

/** Returns the normalised key of a person, or the reason why the person cannot be a recipient. */
function keyOf({ email, id: originalId }: TrackerPerson): PersonKey | RejectReason {
  const id = originalId?.trim();
  const normalised = email === undefined ? undefined : normaliseEmail(email);
  if (email !== undefined && normalised === undefined) return 'bad-address';
  if (email === undefined && id === undefined) return 'no-address';
  if (id !== undefined && (id === '' || id.length > 255)) return id === '' ? 'no-id' : 'bad-id';
  return { email: normalised, externalId: id };
}

async function* chunksOf<P>(people: Iterable<P> | AsyncIterable<P>): AsyncGenerator<P[]> {
  let chunk: P[] = [];
  for await (const person of people) {
    chunk.push(person);
    if (chunk.length < CHUNK_SIZE) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}
