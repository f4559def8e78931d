import { html } from '../../reporting/format/markup.ts';
import { readCampaign, readRates } from '../figures/campaigns.ts';
import { readLinks } from '../figures/links.ts';
import { readTimeline } from '../figures/timeline.ts';
import { time } from '../views/components.ts';
import type { Content } from '../views/frame.ts';
import { headlineCards } from '../views/headline.ts';
import { part, type Reader } from '../views/reader.ts';
import { timelineChart } from '../views/timeline-view.ts';
import { tableOf } from './format.ts';

/** What the page is built with. */
export type SharedReader = Omit<Reader, 'slowCounts'>;

/**
 * Builds the page of a campaign for a person who has only a link to it. The page has counts, and neither addresses, names or ids of people
 * nor links to other pages nor figures of other campaigns. Throws `not-found` if the campaign does not exist.
 */
export async function sharedCampaignPage(reader: SharedReader, campaignId: number): Promise<Content> {
  const { pool, limits, formats, state } = reader;
  const campaign = await readCampaign(pool, String(campaignId), limits);
  const rates = await readRates(pool, campaignId, limits);
  const links = await readLinks(pool, campaignId, limits);
  const chart = await part(async () =>
    timelineChart(await readTimeline(pool, { campaign: campaignId, sentAt: campaign.sent_at }, state, limits), ['opens', 'clicks'], reader),
  );
  return {
    title: campaign.name,
    breadcrumbs: [],
    isFinal: true,
    body: html`<h1>${campaign.name}</h1>
<p class="question">Sent ${time(campaign.sent_at, formats)}.</p>
${headlineCards(campaign, { rates, before: undefined, earlier: [] }, reader, false)}
<section aria-labelledby="time"><h2 id="time">Over time</h2>
${chart}</section>
<section aria-labelledby="links"><h2 id="links">Clicks by link</h2>
${tableOf(
  'clicks by link',
  ['Link', 'People', 'Clicks by people'],
  links.map(({ label, target, human_hits, human_recipients }) => [
    withoutAddresses(label || shortTarget(target)),
    formats.number(human_recipients),
    formats.number(human_hits),
  ]),
)}</section>`,
  };
}

/** Returns the host and the path of a URL. The rest may have values about one person. */
function shortTarget(target: string): string {
  if (!URL.canParse(target)) return 'another link';
  const { host, pathname } = new URL(target);
  return host === '' ? 'another link' : `${host}${pathname === '/' ? '' : pathname}`;
}

/** Replaces every text that looks like a mail address. The path of a link may contain the address of its reader. */
const withoutAddresses = (text: string): string => text.replaceAll(/[^\s/]*(?:@|%40)[^\s/]*/gi, '…');
