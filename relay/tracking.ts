import { LRUCache } from 'lru-cache';
import { ensureCampaign, findCampaign } from '../authoring/campaigns.ts';
import { createDecisions } from '../authoring/letter/decide.ts';
import { type LetterPlan, type PixelPlace, UNSUBSCRIBE } from '../authoring/letter/plan.ts';
import { compileTemplate, type Edit, editsOf } from '../authoring/letter/template.ts';
import type { LinkSpec } from '../authoring/links.ts';
import { normaliseEmail } from '../authoring/recipients.ts';
import { type Recipient, resolveRecipients } from '../authoring/resolve-recipients.ts';
import { findMissingUnsubscribes, useUnsubscribing } from '../authoring/unsubscribes-known.ts';
import { baseUrlOf } from '../authoring/base-urls.ts';
import { assertSigns } from '../authoring/signing-key.ts';
import { type LetterLink, placesOf } from '../authoring/track-letter.ts';
import { createUrls, type Urls } from '../authoring/urls.ts';
import { ClickledgerError, codeOf } from '../core/errors.ts';
import { explainErrors, type Pool } from '../core/postgres.ts';
import { createSlugCodec, type SlugKey } from '../core/slug.ts';
import { singleFlight } from '../core/time.ts';
import { createBatcher } from './batch.ts';
import { createCampaignLinks } from './links.ts';
import { planPart } from './plan-part.ts';
import type { TrackPart } from './rewrite.ts';

// Finds the campaign and the recipient of a message in the catalog, and tracks the text parts of the message.

export interface TrackingOptions {
  pool: Pool;
  /** The base URLs of the settings. */
  baseUrls: readonly string[];
  keys: readonly SlugKey[];
  /** Links to these domains and their subdomains are kept. */
  exclude: readonly string[];
  pixel: PixelPlace;
  /** The number of links above which new links of a campaign are kept. */
  maxLinks: number;
  /** Called with the number of links of a part that are kept because their campaign has too many. */
  onTooManyLinks: (links: number) => void;
  /** Called with the error if a part cannot be tracked because of its content. */
  onFailure: (error: unknown) => void;
}

/** A message whose campaign and recipient are known. */
export interface MessageTracking {
  /** The URL at which the recipient unsubscribes. */
  unsubscribe: string;
  track: TrackPart;
}

export interface Tracking {
  /**
   * Finds or creates the campaign, by its name or also by its number, and the recipient. Returns undefined if the address cannot be that of a recipient.
   * Throws `conflict` if the campaign is closed or the person has unsubscribed, and other errors if the catalog cannot be asked.
   */
  begin(campaign: { name: string; byNumber: boolean }, address: string): Promise<MessageTracking | undefined>;
  /** Says why messages cannot be tracked now. Undefined if they can. */
  obstacle(): Promise<string | undefined>;
}

interface CampaignOfMessage {
  id: number;
  closed: boolean;
  /** Makes its URLs. A campaign may have a base URL of its own. */
  urls: Urls;
}

/** A campaign is looked up again after this time, because it may be closed. */
const CAMPAIGN_MS = 60_000;
/** It is checked again after this time whether requests to unsubscribe are missing. */
const MISSING_MS = 5_000;
const MAX_RECIPIENTS = 1000;
/** The messages of a campaign have the same links in the same sentences. */
const REMEMBERED_LINKS = 10_000;

export function createTracking(options: TrackingOptions): Tracking {
  const { pool, keys, baseUrls } = options;
  const slugs = createSlugCodec(keys);
  const links = createCampaignLinks(pool, options.maxLinks);
  const decide = createDecisions(REMEMBERED_LINKS);
  const campaigns = new LRUCache<string, CampaignOfMessage>({ max: 1000, ttl: CAMPAIGN_MS });
  const batchers = new LRUCache<number, (email: string) => Promise<Recipient | undefined>>({ max: 1000 });

  async function campaignOf(name: string, byNumber: boolean): Promise<CampaignOfMessage> {
    const key = `${byNumber}:${name}`;
    const known = campaigns.get(key);
    if (known) return known;
    const numbered = byNumber && /^\d+$/.test(name) ? await findIfExists(name) : undefined;
    const found = numbered ?? (await findCampaign(pool, (await ensureCampaign(pool, name)).id));
    const campaign = { id: found.id, closed: found.closed, urls: createUrls(baseUrlOf(found, baseUrls), slugs) };
    campaigns.set(key, campaign);
    return campaign;
  }

  const findIfExists = (nameOrNumber: string) =>
    findCampaign(pool, nameOrNumber).catch((error: unknown) => {
      if (codeOf(error) === 'not-found') return undefined;
      throw error;
    });

  /** Looks up the recipients of messages that arrive at the same time in one transaction, which costs little more than one. */
  function batcherOf(campaign: number): (email: string) => Promise<Recipient | undefined> {
    let batcher = batchers.get(campaign);
    if (!batcher) {
      batcher = createBatcher(
        (emails: readonly string[]) =>
          resolveRecipients(
            pool,
            emails.map((email) => ({ email, externalId: undefined })),
            campaign,
          ),
        MAX_RECIPIENTS,
      );
      batchers.set(campaign, batcher);
    }
    return batcher;
  }

  let checked: { at: number; missing: string | undefined } | undefined;
  const checkMissing = singleFlight(async () => {
    const missing = (await useUnsubscribing(pool)) ? await findMissingUnsubscribes(pool) : undefined;
    checked = { at: performance.now(), missing };
  });
  async function missingUnsubscribes(): Promise<string | undefined> {
    if (!checked || performance.now() - checked.at > MISSING_MS) await checkMissing();
    return checked?.missing;
  }

  /** Returns the URL for unsubscribing of one recipient. */
  async function unsubscribeUrl({ id, urls }: CampaignOfMessage, recipient: number): Promise<string> {
    const [link] = await links.idsOf(id, [{ kind: 'unsubscribe' }]);
    return urls.unsubscribe(link as number, recipient);
  }

  /** Returns the ids of the links of a part, in the order of its tracked places, and of its pixel. */
  async function linksOf(campaign: number, plan: LetterPlan): Promise<{ tracked: (number | undefined)[]; pixel: number | undefined }> {
    const distinct: LetterLink[] = [];
    const places = placesOf(plan, distinct);
    // Only links of the HTML part have a position, because a text part comes first in a message and has the same links.
    const specs = distinct.map(
      ({ target, label }, i): LinkSpec => ({ kind: 'url', target, label, ...(plan.kind === 'html' ? { position: i + 1 } : {}) }),
    );
    const ids = await links.idsOf(campaign, plan.pixelAt === undefined ? specs : [...specs, { kind: 'pixel' }]);
    return { tracked: places.map((index) => ids[index]), pixel: plan.pixelAt === undefined ? undefined : ids.at(-1) };
  }

  async function editsFor(plan: LetterPlan, campaign: CampaignOfMessage, recipient: Recipient, unsubscribe: string): Promise<Edit[]> {
    const { id, urls } = campaign;
    const { tracked, pixel } = recipient.optedOut ? { tracked: [], pixel: undefined } : await linksOf(id, plan);
    const tooMany = recipient.optedOut ? 0 : tracked.filter((id) => id === undefined).length;
    if (tooMany > 0) options.onTooManyLinks(tooMany);
    const ofLinks = tracked.filter((id) => id !== undefined);
    const template = compileTemplate({ ...plan, tracked: plan.tracked.filter((_, i) => tracked[i] !== undefined) }, [UNSUBSCRIBE], {
      othersStay: true,
    });
    return editsOf(template, {
      links: ofLinks.map((link) => urls.click(link, recipient.id)),
      pixel: pixel === undefined ? undefined : urls.pixel(pixel, recipient.id),
      column: () => unsubscribe,
    });
  }

  return {
    obstacle: () =>
      explainErrors(async () => {
        await assertSigns(pool, keys);
        return missingUnsubscribes();
      }),
    begin: ({ name, byNumber }, address) =>
      explainErrors(async () => {
        const email = normaliseEmail(address);
        if (email === undefined) return undefined;
        await assertSigns(pool, keys);
        const campaign = await campaignOf(name, byNumber);
        if (campaign.closed) throw new ClickledgerError('conflict', `campaign '${name}' is closed`);
        const missing = await missingUnsubscribes();
        if (missing !== undefined) throw new ClickledgerError('unavailable', missing);
        const recipient = await batcherOf(campaign.id)(email);
        if (recipient === undefined) return undefined;
        if (recipient.unsubscribed) throw new ClickledgerError('conflict', 'the recipient has unsubscribed');
        const unsubscribe = await unsubscribeUrl(campaign, recipient.id);
        let hasPixel = false;
        return {
          unsubscribe,
          track: async (bytes, is) => {
            const plan = planPart(bytes, is, { ...options, decide, pixel: hasPixel ? 'none' : options.pixel });
            if (typeof plan === 'string') return plan;
            // A message has one pixel, also if it has several HTML parts.
            hasPixel ||= plan.pixelAt !== undefined;
            try {
              return await explainErrors(() => editsFor(plan, campaign, recipient, unsubscribe));
            } catch (error) {
              // The catalog may answer later. Any other error would occur again at each attempt.
              if (error instanceof ClickledgerError && error.code !== 'bad-input') throw error;
              options.onFailure(error);
              return 'unreadable';
            }
          },
        };
      }),
  };
}
