import { explainErrors, type Pool } from '../core/postgres.ts';
import { chart } from '../reporting/format/chart.ts';
import { table } from '../reporting/format/html.ts';
import { html, type Markup } from '../reporting/format/markup.ts';
import { describeReach } from '../reporting/format/values.ts';
import { listReports, type Report } from '../reporting/report-file.ts';
import { readReach, type Column, type Result, type RunOptions, runReport } from '../reporting/run-report.ts';
import { mapConcurrently } from '../core/gate.ts';
import { readCampaign } from './campaigns.ts';
import { expectedError } from './failures.ts';
import { type Content, errorNote } from './frame.ts';
import { time } from './overview-page.ts';

/** The tables of a campaign's page show at most this many rows. */
const TABLE_ROWS = 20;
/** A chart is drawn from at most this many rows. */
const CHART_ROWS = 1000;
/** A page runs at most this many reports at a time. */
const CONCURRENCY = 2;

/** The most important reports come first, in this order. The others follow by name. */
const FIRST_REPORTS = ['campaign-summary', 'clicks-by-link', 'clicks-by-hour', 'opens-by-hour', 'machine-traffic'];

/**
 * Builds the page of a campaign with its reports. The page shows only a link to a report that needs other parameters than the campaign, or
 * that takes long.
 */
export async function campaignPage(pool: Pool, numberOrName: string, limits: RunOptions): Promise<Content> {
  const [campaign, reports] = await Promise.all([readCampaign(pool, numberOrName, limits), listReports()]);
  const id = String(campaign.campaign_id);
  const own = reports
    .filter(({ parameters }) => parameters.some(({ name }) => name === 'campaign'))
    .toSorted((a, b) => rankOf(a) - rankOf(b) || a.name.localeCompare(b.name));
  const isShown = (report: Report): boolean => report.isOnPage && needsOnlyCampaign(report);
  const [shown, linked] = [own.filter(isShown), own.filter((report) => !isShown(report))];
  const [reach, ...sections] = await mapConcurrently(CONCURRENCY, [undefined, ...shown], (report) =>
    report === undefined ? reachNote(pool, limits) : section(pool, report, id, limits),
  );
  const { name, sent_at, created_at, closed_at, prepared_for } = campaign;
  return {
    title: name,
    breadcrumbs: [{ href: `/campaign/${id}`, text: name }],
    live: html`<h1>${name}</h1>
<dl class="values"><div><dt>Number</dt><dd>${id}</dd></div><div><dt>Prepared for</dt><dd>${prepared_for.toLocaleString('en')}</dd></div><div><dt>Created</dt><dd>${time(created_at, limits.zone)}</dd></div><div><dt>Sent</dt><dd>${time(sent_at, limits.zone)}</dd></div>${closed_at !== null && html`<div><dt>Closed</dt><dd>${time(closed_at, limits.zone)}</dd></div>`}</dl>
${reach}
<nav aria-label="On this page" class="actions">${shown.map((report) => html`<a href="#${report.name}">${report.title}</a>`)}</nav>
${sections}
${
  linked.length > 0 &&
  html`<section aria-labelledby="more"><h2 id="more">More reports</h2>
<ul>${linked.map((report) => html`<li><a href="${addressOf(report, id)}">${report.title}</a>: <span class="question">${report.question}</span></li>`)}</ul></section>`
}`,
  };
}

function rankOf({ name }: Report): number {
  const index = FIRST_REPORTS.indexOf(name);
  return index === -1 ? FIRST_REPORTS.length : index;
}

/** Whether the campaign is the only parameter that the report needs. A parameter is optional if its help names a default. */
function needsOnlyCampaign({ parameters }: Report): boolean {
  return parameters.every(({ name, help }) => name === 'campaign' || help.includes('default:'));
}

function addressOf({ name }: Report, id: string, ending = ''): string {
  return `/report/${name}${ending}?campaign=${id}`;
}

async function section(pool: Pool, report: Report, id: string, limits: RunOptions): Promise<Markup> {
  return html`<section id="${report.name}" aria-labelledby="${report.name}-title"><h2 id="${report.name}-title">${report.title}</h2>
<p class="question">${report.question}</p>
${await body(pool, report, id, limits)}
<p class="actions"><a href="${addressOf(report, id)}">${report.title}: the whole report</a><a href="${addressOf(report, id, '.xlsx')}" download>${report.title} as a spreadsheet</a><a href="${addressOf(report, id, '.csv')}" download>${report.title} as CSV</a></p></section>
`;
}

async function body(pool: Pool, report: Report, id: string, limits: RunOptions): Promise<Markup> {
  try {
    // With a limit, Postgres need not send every recipient. One more row than the page shows tells that there are more.
    const hasLimit = report.parameters.some(({ name }) => name === 'limit');
    const values = { campaign: id, ...(hasLimit && { limit: String(CHART_ROWS + 1) }) };
    const result = await explainErrors(() => runReport(pool, report, values, { ...limits, maxRows: CHART_ROWS }));
    const { length } = result.rows;
    const total = `${length.toLocaleString('en')}${result.truncated ? ' and more' : ''}`;
    return html`${chart(result)}
${table(withoutColumns(result, ['campaign_id', 'campaign']), TABLE_ROWS)}
${length > TABLE_ROWS && html`<p class="note">The first ${TABLE_ROWS} of ${total} rows.</p>`}`;
  } catch (error) {
    return errorNoteOf(error);
  }
}

/** Removes the columns `names` from a result. The page is about one campaign, so it does not need the columns of the campaign. */
function withoutColumns(result: Result, names: readonly string[]): Result {
  const kept = result.columns
    .keys()
    .filter((i) => !names.includes(result.columns[i]?.name ?? ''))
    .toArray();
  return {
    ...result,
    columns: kept.map((i) => result.columns[i] as Column),
    rows: result.rows.map((row) => kept.map((i) => row[i] ?? null)),
  };
}

async function reachNote(pool: Pool, limits: RunOptions): Promise<Markup> {
  try {
    return html`<p class="note">${describeReach(await explainErrors(() => readReach(pool, limits)))}</p>`;
  } catch (error) {
    return errorNoteOf(error);
  }
}

function errorNoteOf(error: unknown): Markup {
  const expected = expectedError(error);
  if (expected === undefined) throw error;
  return errorNote(expected);
}
