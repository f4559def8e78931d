import { resolve } from 'node:path';
import { parseConfig } from '../core/config.ts';
import { readEnvFile } from '../core/env-file.ts';
import { ClickledgerError } from '../core/errors.ts';
import { createPool, explainErrors, type Pool } from '../core/postgres.ts';
import { createSlugCodec } from '../core/slug.ts';
import { baseUrlOf, baseUrlsOf, chooseBaseUrl } from './base-urls.ts';
import { ensureCampaign, findOpenCampaign } from './campaigns.ts';
import { ensureAlias, ensureLink } from './links.ts';
import type { RejectReason } from './list-file.ts';
import { type PersonKey, type Recipient, recipientOrReason, resolveRecipients } from './resolve-recipients.ts';
import { planParts, type TrackedLetter, trackLetter } from './track-letter.ts';
import { ensureRecipient, normaliseEmail } from './recipients.ts';
import { createRenderer, type Renderer } from './render.ts';
import { findMissingUnsubscribes, useUnsubscribing } from './unsubscribes-known.ts';
import { assertKeyListed, createUrls } from './urls.ts';
import type { KeepReason } from './letter/decide.ts';
import type { PixelPlace } from './letter/plan.ts';

// The library interface: `import { createTracker } from "clickledger"`. It has the functions of the commands `url`, `pixel` and `prepare`
// for programs that send mail themselves.

export { ClickledgerError };

export interface TrackerOptions {
  /** The data directory, whose file `env` has the settings. The default is CLICKLEDGER_DATA, or `.clickledger` in the working directory. */
  data?: string;
  /**
   * Settings by name (BASE_URL, BASE_URLS, AUTHOR_URL, SLUG_KEYS). They take precedence over the environment, which takes precedence over the
   * directory.
   */
  settings?: Readonly<Record<string, string>>;
}

/** A person to write to: a mail address, your own id, or both. With both, the id identifies the person, and the address may change. */
export interface TrackerPerson {
  email?: string;
  id?: string;
  /** Values for `{{name}}` in the letter. They are used if the letter was prepared with `fill`. */
  columns?: Readonly<Record<string, string>>;
}

export interface TrackerPrepareOptions {
  /** The name or the id of the campaign. */
  campaign: string | number;
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

export interface Tracker {
  /**
   * Returns the id of the campaign with this name. Creates the campaign if it does not exist. The given options are set, even if the
   * campaign already exists. `baseUrl` is BASE_URL or one of BASE_URLS; null means BASE_URL. New URLs of the campaign begin with it.
   */
  campaign(
    name: string,
    options?: { fallback?: string; passQuery?: boolean; followHosts?: readonly string[] | null; baseUrl?: string | null },
  ): Promise<number>;
  /**
   * Returns the tracked URL of a target. The URL is for one person if `to` has a mail address. Otherwise it is shared by all. `alias` is
   * only for a shared URL.
   */
  url(target: string, options: { campaign: string | number; to?: string; label?: string; alias?: string; expires?: Date }): Promise<string>;
  /** Returns the URL of a campaign's pixel. The URL is for one person if `to` has a mail address. Otherwise it is shared by all. */
  pixel(options: { campaign: string | number; to?: string }): Promise<string>;
  /** Tracks the links of a letter. The functions of the result return the letter of each person. */
  prepare(options: TrackerPrepareOptions): Promise<PreparedLetter>;
  /** Closes the connections to the database. */
  close(): Promise<void>;
}

/** People are looked up in chunks of this size. */
const CHUNK_SIZE = 1000;

/**
 * Connects to the catalog as the author. All functions of the tracker are idempotent. Errors are ClickledgerErrors with a `code`, for
 * example `bad-settings` if a setting is missing or the signing key is not listed in the catalog.
 */
export async function createTracker(options: TrackerOptions = {}): Promise<Tracker> {
  const data = resolve(options.data ?? process.env['CLICKLEDGER_DATA'] ?? '.clickledger');
  const config = parseConfig(['BASE_URL', 'BASE_URLS', 'AUTHOR_URL', 'SLUG_KEYS'], {
    ...(await readEnvFile(data)),
    ...process.env,
    ...options.settings,
  });
  const baseUrls = baseUrlsOf(config);
  const slugs = createSlugCodec(config.SLUG_KEYS);
  const pool = createPool(config.AUTHOR_URL, { max: 4, name: 'tracker' });

  try {
    await explainErrors(() => assertKeyListed(pool, config.SLUG_KEYS[0]));
  } catch (error) {
    await pool.end();
    throw error;
  }
  let closing: Promise<void> | undefined;
  const openCampaign = async (nameOrId: string | number) => {
    const campaign = await findOpenCampaign(pool, nameOrId);
    return { id: campaign.id, baseUrl: baseUrlOf(campaign, baseUrls) };
  };
  const recipientId = async (to: string | undefined) => (to === undefined ? 0 : ensureRecipient(pool, to));

  return {
    campaign: (name, { fallback, passQuery, followHosts, baseUrl: wanted } = {}) =>
      explainErrors(async () => {
        const baseUrl = typeof wanted === 'string' ? chooseBaseUrl(wanted, baseUrls) : wanted;
        return (await ensureCampaign(pool, name, { fallbackUrl: fallback, passQuery, followHosts, baseUrl })).id;
      }),
    url: (target, { campaign, to, label, alias, expires }) =>
      explainErrors(async () => {
        if (to !== undefined && alias !== undefined)
          throw new ClickledgerError('bad-input', 'a URL with an alias is shared by all. Leave out `alias` or `to`.');
        const spec = { kind: 'url' as const, target, ...(label === undefined ? {} : { label }) };
        const { id, baseUrl } = await openCampaign(campaign);
        const link = await ensureLink(pool, id, spec, expires);
        const urls = createUrls(baseUrl, slugs);
        if (alias === undefined) return urls.click(link, await recipientId(to));
        await ensureAlias(pool, alias, link);
        return urls.alias(alias);
      }),
    pixel: ({ campaign, to }) =>
      explainErrors(async () => {
        const { id, baseUrl } = await openCampaign(campaign);
        return createUrls(baseUrl, slugs).pixel(await ensureLink(pool, id, { kind: 'pixel' }), await recipientId(to));
      }),
    prepare: (letter) =>
      explainErrors(async () => {
        const { id: campaign, baseUrl } = await openCampaign(letter.campaign);
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
        if (missing !== undefined)
          throw new ClickledgerError('unavailable', `${missing}. To prepare the letter anyway, set despiteMissing.`);
        const tracked = await trackLetter({ pool, baseUrl, keys: config.SLUG_KEYS }, campaign, plans, letter.expires);
        return createPreparedLetter(pool, campaign, tracked, letter.fill === true);
      }),
    close: () => (closing ??= pool.end()),
  };
}

const toBytes = (part: string | undefined): Buffer | undefined => (part === undefined ? undefined : Buffer.from(part, 'utf8'));

function createPreparedLetter(pool: Pool, campaign: number, letter: TrackedLetter, fill: boolean): PreparedLetter {
  const render = createRenderer(letter, fill ? 'any' : undefined);
  const plans = [letter.plans.html, letter.plans.text].filter((plan) => plan !== undefined);

  async function* forAll<P extends TrackerPerson>(people: Iterable<P> | AsyncIterable<P>) {
    for await (const chunk of chunksOf(people)) {
      const keys = chunk.map(keyOf);
      const validKeys = keys.filter((key): key is PersonKey => typeof key !== 'string');
      const recipients = await explainErrors(() => resolveRecipients(pool, validKeys, campaign));
      let nextRecipient = 0;
      for (const [i, person] of chunk.entries()) {
        const key = keys[i] as PersonKey | RejectReason;
        const recipient = typeof key === 'string' ? key : recipientOrReason(recipients[nextRecipient++]);
        if (typeof recipient === 'string') yield { person, rejected: recipient };
        else {
          const unsubscribe = letter.unsubscribeOf?.(recipient.id);
          yield { person, letter: { ...renderFor(render, recipient, person), ...(unsubscribe === undefined ? {} : { unsubscribe }) } };
        }
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
    shared: () => renderFor(render, { id: 0, optedOut: false, isTest: false, unsubscribed: false }, {}),
  };
}

function renderFor(render: Renderer, recipient: Recipient, { columns = {} }: TrackerPerson): PersonalLetter {
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
