import { explainErrors, type Pool } from '../core/postgres.ts';
import { formatMoment } from '../core/time-zone.ts';
import { scrollBox } from '../reporting/format/html.ts';
import { html, type Markup } from '../reporting/format/markup.ts';
import { describeReach } from '../reporting/format/values.ts';
import { listReports } from '../reporting/report-file.ts';
import { readReach, type RunOptions } from '../reporting/run-report.ts';
import { type CampaignCounts, listCampaigns } from './campaigns.ts';
import type { Content } from './frame.ts';

/** Builds the overview page, which lists the campaigns with their counts, and all reports. */
export async function overviewPage(pool: Pool, limits: RunOptions): Promise<Content> {
  const [campaigns, reach, reports] = await Promise.all([
    listCampaigns(pool, limits),
    explainErrors(() => readReach(pool, limits)),
    listReports(),
  ]);
  return {
    title: 'Campaigns',
    breadcrumbs: [],
    live: html`<h1>Campaigns</h1>
<p class="question">How often people opened and clicked, and the share of hits that were not judged human.</p>
${campaigns.length === 0 ? html`<p>There are no campaigns yet. Create one with <code>clickledger campaign create</code>.</p>` : scrollBox('campaigns', tableOf(campaigns, limits.zone))}
<p class="note">${describeReach(reach)}</p>
<section aria-labelledby="reports"><h2 id="reports">Reports</h2>
<ul>${reports.map(
      ({ name, title, question }) => html`<li><a href="/report/${name}">${title}</a>: <span class="question">${question}</span></li>
`,
    )}</ul></section>`,
  };
}

function tableOf(campaigns: readonly CampaignCounts[], zone: string): Markup {
  return html`<table><thead><tr><th scope="col">Name</th><th scope="col">Sent</th><th scope="col" class="n">Prepared for</th><th scope="col" class="n">Human opens</th><th scope="col" class="n">Human clicks</th><th scope="col" class="n">Machine share</th></tr></thead>
<tbody>${campaigns.map((campaign) => row(campaign, zone))}</tbody></table>`;
}

function row(campaign: CampaignCounts, zone: string): Markup {
  const { campaign_id, name, sent_at, prepared_for, human_opens, human_clicks, hits, human_hits } = campaign;
  const number = (value: number) => html`<td class="n">${value.toLocaleString('en')}</td>`;
  const share = hits === 0 ? '–' : `${(((hits - human_hits) / hits) * 100).toFixed(1)} %`;
  return html`<tr><th scope="row"><a href="/campaign/${campaign_id}">${name}</a></th><td>${time(sent_at, zone)}</td>${[prepared_for, human_opens, human_clicks].map(number)}<td class="n">${share}</td></tr>
`;
}

/** Renders a time as local time in a zone, or a dash for null. */
export function time(at: Date | null, zone: string): Markup {
  return at === null ? html`–` : html`<time datetime="${at.toISOString()}">${formatMoment(at.getTime(), zone)}</time>`;
}
