import { ClickledgerError } from '../../core/errors.ts';
import { explainErrors, type Pool } from '../../core/postgres.ts';
import { html } from '../../reporting/format/markup.ts';
import { readOnly, type RunOptions } from '../../reporting/run-report.ts';
import type { Content } from '../frame.ts';
import { moment, tableOf } from './format.ts';

interface Headline {
  name: string;
  sent_at: Date | null;
  prepared_for: number;
  human_opened: number;
  human_clicked: number;
  human_open_percent: string | null;
  human_click_percent: string | null;
}

interface LinkCounts {
  label: string | null;
  target: string;
  human_hits: number;
  human_recipients: number;
}

/** The page shows at most this many links. */
const MAX_LINKS = 100;

/**
 * Builds the page of a campaign for a person who has only a link to it. The page has counts, and neither addresses, names or ids of people
 * nor links to other pages. Throws `not-found` if the campaign does not exist.
 */
export async function sharedCampaignPage(pool: Pool, campaignId: number, limits: RunOptions): Promise<Content> {
  const { headline, links } = await explainErrors(() =>
    readOnly(pool, limits, async (client) => ({
      headline: (
        await client.query<Headline>(
          `SELECT c.name, c.sent_at, c.prepared_for, r.human_opened, r.human_clicked, r.human_open_percent, r.human_click_percent
           FROM analytics.campaigns c JOIN analytics.campaign_rates r USING (campaign_id) WHERE c.campaign_id = $1`,
          [campaignId],
        )
      ).rows[0],
      links: (
        await client.query<LinkCounts>(
          `SELECT l.label, l.target, coalesce(t.human_hits, 0) AS human_hits, coalesce(t.human_recipients, 0) AS human_recipients
           FROM analytics.links l
           LEFT JOIN (SELECT link_id, human_hits, human_recipients FROM analytics.link_totals WHERE campaign_id = $1) t USING (link_id)
           WHERE l.kind = 'url' AND l.campaign_id = $1 ORDER BY human_hits DESC, l.position, l.link_id LIMIT ${MAX_LINKS}`,
          [campaignId],
        )
      ).rows,
    })),
  );
  if (headline === undefined) throw new ClickledgerError('not-found', 'this campaign does not exist');
  const { name, sent_at, prepared_for, human_opened, human_clicked, human_open_percent, human_click_percent } = headline;
  const share = (percent: string | null): string => (percent === null ? '' : ` (${percent} %)`);
  return {
    title: name,
    breadcrumbs: [],
    isFinal: true,
    live: html`<h1>${name}</h1>
<dl class="values"><div><dt>Sent</dt><dd>${moment(sent_at, limits.zone)}</dd></div><div><dt>Prepared for</dt><dd>${prepared_for.toLocaleString('en')}</dd></div><div><dt>Opened</dt><dd>${human_opened.toLocaleString('en')}${share(human_open_percent)}</dd></div><div><dt>Clicked</dt><dd>${human_clicked.toLocaleString('en')}${share(human_click_percent)}</dd></div></dl>
<section aria-labelledby="links"><h2 id="links">Clicks by link</h2>
${tableOf(
  'clicks by link',
  ['Link', 'Human clicks', 'People'],
  links.map(({ label, target, human_hits, human_recipients }) => [
    withoutAddresses(label || shortTarget(target)),
    human_hits.toLocaleString('en'),
    human_recipients.toLocaleString('en'),
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

/** Replaces whatever has the form of a mail address. A letter can have a link with the address of its reader in the path. */
const withoutAddresses = (text: string): string => text.replaceAll(/[^\s/]*(?:@|%40)[^\s/]*/gi, '…');
