import { html, type Markup } from '../../reporting/format/markup.ts';
import { scrollBox } from '../../reporting/format/html.ts';
import { listReports } from '../../reporting/report-file.ts';
import { listCampaigns, type OverviewRow, PAGE_ROWS, type Sort, SPARK_DAYS } from '../figures/campaigns.ts';
import { addressOf } from '../state.ts';
import { bar, choices, empty, sparkline, time, zoneForm } from './components.ts';
import { type Content, live } from './frame.ts';
import { type Reader, reachNote } from './reader.ts';

// The overview: all campaigns, the newest first, with what an editor wants to know of each.

export interface OverviewQuery {
  readonly search: string;
  readonly sort: Sort;
  /** From 1. */
  readonly page: number;
}

const SORT_TITLES: Readonly<Record<Sort, string>> = {
  newest: 'Newest',
  name: 'Name',
  opened: 'Opened',
  clicked: 'Clicked',
  machines: 'Machines',
};

/** Builds the page. `actions` are links to pages with which the reader may change something. */
export async function overviewPage(reader: Reader, query: OverviewQuery, actions?: Markup): Promise<Content> {
  const { pool, limits, state, formats } = reader;
  const [{ rows, total }, reach, reports] = await Promise.all([listCampaigns(pool, query, limits), reachNote(reader), listReports()]);
  const { search, sort, page } = query;
  const address = (changes: Partial<OverviewQuery>): string => {
    const wanted = { ...query, ...changes };
    const url = new URL(addressOf('/', state), 'http://localhost');
    if (wanted.search !== '') url.searchParams.set('q', wanted.search);
    if (wanted.sort !== 'newest') url.searchParams.set('sort', wanted.sort);
    if (wanted.page > 1) url.searchParams.set('page', String(wanted.page));
    return `${url.pathname}${url.search}`;
  };
  const pages = Math.max(1, Math.ceil(total / PAGE_ROWS));
  return {
    title: 'Campaigns',
    breadcrumbs: [],
    body: html`<h1>Campaigns</h1>
<div class="toolbar"><form action="/" method="get" role="search"><label for="q">Search</label><input id="q" name="q" type="search" value="${search}" autocomplete="off">${sort !== 'newest' && html`<input type="hidden" name="sort" value="${sort}">`}${state.zone !== undefined && html`<input type="hidden" name="zone" value="${state.zone}">`}<button>Find</button></form>
<span class="note">Sort by</span>${choices('Sort by', SORT_TITLES, sort, (value) => address({ sort: value, page: 1 }))}${actions}</div>
${live(html`${reach}
${rows.length === 0 ? nothing(search) : scrollBox('campaigns', tableOf(rows, reader))}
${pages > 1 && html`<nav class="actions" aria-label="Pages">${page > 1 && html`<a href="${address({ page: page - 1 })}" rel="prev">Previous ${PAGE_ROWS}</a>`}<span>Page ${formats.number(page)} of ${formats.number(pages)}, ${formats.number(total)} campaigns</span>${page < pages && html`<a href="${address({ page: page + 1 })}" rel="next">Next ${PAGE_ROWS}</a>`}</nav>`}`)}
<section aria-labelledby="reports"><h2 id="reports">Reports</h2>
<details><summary>${formats.number(reports.length)} reports over all campaigns</summary><ul>${reports.map(
      ({ name, title, question }) => html`<li><a href="/report/${name}">${title}</a>: <span class="question">${question}</span></li>
`,
    )}</ul></details></section>`,
    footer: zoneForm('/', state, formats.zone),
  };
}

const nothing = (search: string): Markup =>
  search === ''
    ? empty(html`There are no campaigns yet. Create the first one with <code>clickledger campaign create</code>.`)
    : empty(html`No name of a campaign contains “${search}”. <a href="/">Show all campaigns</a>`);

const HEAD = html`<thead><tr><th scope="col">Campaign</th><th scope="col">First ${SPARK_DAYS} days</th><th scope="col" class="n">Prepared for</th><th scope="col">Opened</th><th scope="col">Clicked</th><th scope="col" class="n">Unsubscribed</th><th scope="col" class="n" title="Opens and clicks that were not judged to be by people">Machines</th></tr></thead>`;

const tableOf = (rows: readonly OverviewRow[], reader: Reader): Markup =>
  html`<table class="stack">${HEAD}<tbody>${rows.map((campaign) => rowOf(campaign, reader))}</tbody></table>`;

function rowOf({ campaign_id, name, sent_at, created_at, closed_at, rates, days }: OverviewRow, { state, formats }: Reader): Markup {
  const hits = rates.opens + rates.clicks;
  const machines = hits - rates.human_opens - rates.human_clicks;
  const rate = (label: string, count: number, percent: number | null) =>
    html`<td data-label="${label}">${formats.number(count)}${percent !== null && html` <span class="note">${formats.percent(percent)}</span>${bar(percent / 100)}`}</td>`;
  const sent = sent_at === null ? html`created ${time(created_at, formats)}` : html`sent ${time(sent_at, formats)}`;
  return html`<tr><th scope="row"><a href="${addressOf(`/campaign/${campaign_id}`, state)}">${name}</a><br><small class="note">${sent}</small>${closed_at !== null && html` <span class="tag">closed</span>`}</th><td>${days.length === 0 ? '–' : sparkline(days, `Opens and clicks by people on the first ${SPARK_DAYS} days: ${days.map((hits) => formats.number(hits)).join(', ')}`)}</td><td class="n" data-label="Prepared for">${formats.number(rates.prepared_for)}</td>${rate('Opened', rates.human_opened, rates.human_open_percent)}${rate('Clicked', rates.human_clicked, rates.human_click_percent)}<td class="n" data-label="Unsubscribed">${formats.number(rates.unsubscribed)}</td><td class="n" data-label="Machines">${formats.share(machines, hits)}</td></tr>
`;
}
