import { resolve } from 'node:path';
import { parseConfig } from '../core/config.ts';
import { readEnvFile } from '../core/env-file.ts';
import { ClickledgerError } from '../core/errors.ts';
import { createPool, explained, type Pool } from '../core/postgres.ts';
import { createSlugCodec } from '../core/slug.ts';
import { ensureCampaign, findOpenCampaign } from './campaigns.ts';
import { ensureAlias, ensureLink } from './links.ts';
import type { RejectReason } from './list-file.ts';
import { type PersonKey, type Recipient, resolveRecipients } from './resolve-recipients.ts';
import { planParts, type TrackedLetter, trackLetter } from './track-letter.ts';
import { ensureRecipient, normaliseEmail } from './recipients.ts';
import { createRenderer, type Renderer } from './render.ts';
import { assertKeyListed, createUrls } from './urls.ts';
import type { KeepReason } from './letter/decide.ts';
import type { PixelPlace } from './letter/plan.ts';

// What `import { createTracker } from "clickledger"` gives: the commands `url`, `pixel` and `prepare` for programs that send mail themselves.

export { ClickledgerError };

export interface TrackerOptions {
  /** The data directory whose file `env` has the settings; default: CLICKLEDGER_DATA, else `.clickledger` here. */
  data?: string;
  /** Settings by name (BASE_URL, AUTHOR_URL, SLUG_KEYS), above those of the directory and of the environment. */
  settings?: Readonly<Record<string, string>>;
}

/** Somebody to write to: by address, by your own id, or by both (then the id decides, and the address may change). */
export interface TrackerPerson {
  email?: string;
  id?: string;
  /** Values for `{{name}}` in the letter, where `fill` was asked for. */
  columns?: Readonly<Record<string, string>>;
}

export interface TrackerPrepareOptions {
  campaign: string | number;
  html?: string;
  text?: string;
  /** Domains whose links are kept, with everything below them. */
  exclude?: readonly string[];
  /** Track unsubscribe, preference and view-in-browser links, too. */
  trackUnsubscribe?: boolean;
  /** `utm_…` parameters to add, by name without the prefix. */
  utm?: Readonly<Record<string, string>>;
  pixel?: PixelPlace;
  expires?: Date;
  /** Fill `{{name}}` from the person's columns; a missing one is an error. Without it they stay as they are. */
  fill?: boolean;
}

/** One person's letter; a part is there if it was given. */
export interface PersonalLetter {
  html?: string;
  text?: string;
}

export interface PreparedLetter {
  /** The distinct links that are tracked. */
  readonly links: readonly { id: number; part: 'html' | 'text'; target: string; label: string }[];
  /** The links that are not, and why. */
  readonly kept: readonly { part: 'html' | 'text'; address: string; reason: KeepReason }[];
  /** The letter of one person; rejects with `bad-input` or `conflict` for somebody who cannot be. */
  for(person: TrackerPerson): Promise<PersonalLetter>;
  /** The letters of many, in their order, looked up a thousand at a time. Who cannot be comes with the reason. */
  forAll<P extends TrackerPerson>(
    people: Iterable<P> | AsyncIterable<P>,
  ): AsyncGenerator<{ person: P; letter: PersonalLetter } | { person: P; rejected: RejectReason }>;
  /** The letter with links that all readers share. */
  shared(): PersonalLetter;
}

export interface Tracker {
  /** The number of a campaign, which is made if there is none of this name. */
  campaign(name: string, options?: { fallback?: string }): Promise<number>;
  /** The tracked URL of a target, for one person (`to`, a mail address) or shared by all, then by `alias` if there is one. */
  url(target: string, options: { campaign: string | number; to?: string; label?: string; alias?: string; expires?: Date }): Promise<string>;
  /** The URL of a campaign's pixel, for one person or shared by all. */
  pixel(options: { campaign: string | number; to?: string }): Promise<string>;
  /** Tracks every link of a letter; then gives everybody one of their own. */
  prepare(options: TrackerPrepareOptions): Promise<PreparedLetter>;
  /** Ends the connections to the database. */
  close(): Promise<void>;
}

const CHUNK = 1000;

/** Connects to the catalog as the author. Everything it does can be done twice, with the same result; errors are ClickledgerErrors with a `code`. */
export async function createTracker(options: TrackerOptions = {}): Promise<Tracker> {
  const data = resolve(options.data ?? process.env['CLICKLEDGER_DATA'] ?? '.clickledger');
  const config = parseConfig(['BASE_URL', 'AUTHOR_URL', 'SLUG_KEYS'], {
    ...(await readEnvFile(data)),
    ...process.env,
    ...options.settings,
  });
  const urls = createUrls(config.BASE_URL, createSlugCodec(config.SLUG_KEYS));
  const pool = createPool(config.AUTHOR_URL, { max: 4, name: 'tracker' });

  try {
    await explained(() => assertKeyListed(pool, config.SLUG_KEYS[0]));
  } catch (error) {
    await pool.end();
    throw error;
  }
  let closing: Promise<void> | undefined;
  const campaignId = async (campaign: string | number) => (await findOpenCampaign(pool, campaign)).id;
  const recipientId = async (to: string | undefined) => (to === undefined ? 0 : ensureRecipient(pool, to));

  return {
    campaign: (name, { fallback } = {}) => explained(async () => (await ensureCampaign(pool, name, fallback)).id),
    url: (target, { campaign, to, label, alias, expires }) =>
      explained(async () => {
        if (to !== undefined && alias !== undefined)
          throw new ClickledgerError('bad-input', 'an alias is shared: it cannot be for one person');
        const spec = { kind: 'url' as const, target, ...(label === undefined ? {} : { label }) };
        const link = await ensureLink(pool, await campaignId(campaign), spec, expires);
        if (alias === undefined) return urls.click(link, await recipientId(to));
        await ensureAlias(pool, alias, link);
        return urls.alias(alias);
      }),
    pixel: ({ campaign, to }) =>
      explained(async () => urls.pixel(await ensureLink(pool, await campaignId(campaign), { kind: 'pixel' }), await recipientId(to))),
    prepare: (letter) =>
      explained(async () => {
        const campaign = await campaignId(letter.campaign);
        const plans = planParts(
          { html: bytes(letter.html), text: bytes(letter.text) },
          {
            baseUrl: config.BASE_URL,
            exclude: letter.exclude ?? [],
            trackUnsubscribe: letter.trackUnsubscribe ?? false,
            utm: letter.utm ?? {},
            pixel: letter.pixel ?? 'bottom',
          },
        );
        const tracked = await trackLetter({ pool, urls }, campaign, plans, letter.expires);
        return createPreparedLetter(pool, campaign, tracked, letter.fill === true);
      }),
    close: () => (closing ??= pool.end()),
  };
}

const bytes = (part: string | undefined): Buffer | undefined => (part === undefined ? undefined : Buffer.from(part, 'utf8'));

function createPreparedLetter(pool: Pool, campaign: number, letter: TrackedLetter, fill: boolean): PreparedLetter {
  const render = createRenderer(letter, fill ? 'any' : undefined);
  const plans = [letter.plans.html, letter.plans.text].filter((plan) => plan !== undefined);

  async function* forAll<P extends TrackerPerson>(people: Iterable<P> | AsyncIterable<P>) {
    for await (const chunk of chunksOf(people)) {
      const keys = chunk.map(keyOf);
      const known = keys.filter((key): key is PersonKey => typeof key !== 'string');
      const recipients = await explained(() => resolveRecipients(pool, known, campaign));
      let next = 0;
      for (const [i, person] of chunk.entries()) {
        const key = keys[i] as PersonKey | RejectReason;
        const recipient = typeof key === 'string' ? undefined : recipients[next++];
        if (recipient) yield { person, letter: personal(render, recipient, person) };
        else yield { person, rejected: typeof key === 'string' ? key : ('conflict' as const) };
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
        const code = result.rejected === 'conflict' ? 'conflict' : 'bad-input';
        throw new ClickledgerError(code, `no letter for ${person.email ?? person.id ?? 'nobody'}: ${result.rejected}`);
      }
      throw new ClickledgerError('bad-input', 'no letter for nobody');
    },
    shared: () => personal(render, { id: 0, optedOut: false, isTest: false }, {}),
  };
}

function personal(render: Renderer, recipient: Recipient, { columns = {} }: TrackerPerson): PersonalLetter {
  const { html, text } = render(recipient, (name) => {
    const value = Object.hasOwn(columns, name) ? columns[name] : undefined;
    if (value === undefined)
      throw new ClickledgerError('bad-input', `there is no column for {{${name}}}; there are: ${Object.keys(columns).join(', ')}`);
    return value;
  });
  return { ...(html ? { html: html.toString('utf8') } : {}), ...(text ? { text: text.toString('utf8') } : {}) };
}

function keyOf({ email, id: written }: TrackerPerson): PersonKey | RejectReason {
  const id = written?.trim();
  const normal = email === undefined ? undefined : normaliseEmail(email);
  if (email !== undefined && normal === undefined) return 'bad-address';
  if (email === undefined && id === undefined) return 'no-address';
  if (id !== undefined && (id === '' || id.length > 255)) return id === '' ? 'no-id' : 'bad-id';
  return { email: normal, externalId: id };
}

async function* chunksOf<P>(people: Iterable<P> | AsyncIterable<P>): AsyncGenerator<P[]> {
  let chunk: P[] = [];
  for await (const person of people) {
    chunk.push(person);
    if (chunk.length < CHUNK) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}
