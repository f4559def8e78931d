import { ClickledgerError } from '../core/errors.ts';
import { explainErrors, type Pool } from '../core/postgres.ts';
import { chart, table } from '../reporting/format/html.ts';
import { html, type Markup } from '../reporting/format/markup.ts';
import { describeReach } from '../reporting/format/values.ts';
import { listReports, type Report } from '../reporting/report-file.ts';
import { readReach, type Result, type RunOptions, runReport } from '../reporting/run-report.ts';
import { atMost } from './limit-concurrency.ts';
import { findCampaign } from './campaigns.ts';
import { told } from './failures.ts';
import { type Content, errorNote } from './frame.ts';
import { time } from './overview-page.ts';

const ROWS = 20;
/** Rows that a chart is drawn from. */
const MOST_ROWS = 1000;
const AT_ONCE = 2;

/** What one looks at first; the others follow by name. */
const FIRST = ['campaign-summary', 'clicks-by-link', 'clicks-by-hour', 'opens-by-hour', 'machine-traffic'];

/** A campaign's reports under each other. Those that ask for more than the campaign are only linked to. */
export async function campaignPage(pool: Pool, id: string, limits: RunOptions): Promise<Content> {
  const [campaign, reports] = await Promise.all([findCampaign(pool, id, limits), listReports()]);
  if (campaign === undefined) throw new ClickledgerError('not-found', `there is no campaign ${id.slice(0, 20)}`);
  const own = reports
    .filter(({ parameters }) => parameters.some(({ name }) => name === 'campaign'))
    .toSorted((a, b) => place(a) - place(b) || a.name.localeCompare(b.name));
  const [shown, asking] = [own.filter(isReady), own.filter((report) => !isReady(report))];
  const [reach, ...sections] = await atMost(AT_ONCE, [undefined, ...shown], (report) =>
    report === undefined ? reachNote(pool, limits) : section(pool, report, id, limits),
  );
  const { name, sent_at, created_at, closed_at, prepared_for } = campaign;
  return {
    title: name,
    trail: [{ href: `/campaign/${id}`, text: name }],
    live: html`<h1>${name}</h1>
<dl class="values"><div><dt>Number</dt><dd>${id}</dd></div><div><dt>Prepared for</dt><dd>${prepared_for.toLocaleString('en')}</dd></div><div><dt>Created</dt><dd>${time(created_at)}</dd></div><div><dt>Sent</dt><dd>${time(sent_at)}</dd></div>${closed_at !== null && html`<div><dt>Closed</dt><dd>${time(closed_at)}</dd></div>`}</dl>
${reach}
<nav aria-label="On this page" class="actions">${shown.map((report) => html`<a href="#${report.name}">${report.title}</a>`)}</nav>
${sections}
${
  asking.length > 0 &&
  html`<section aria-labelledby="more"><h2 id="more">Reports that ask for more</h2>
<ul>${asking.map((report) => html`<li><a href="${addressOf(report, id)}">${report.title}</a>: <span class="question">${report.question}</span></li>`)}</ul></section>`
}`,
  };
}

function place({ name }: Report): number {
  const found = FIRST.indexOf(name);
  return found === -1 ? FIRST.length : found;
}

/** Whether every parameter has a default. Where the help names none, the report needs to be told. */
function isReady({ parameters }: Report): boolean {
  return parameters.every(({ name, help }) => name === 'campaign' || help.includes('default:'));
}

function addressOf({ name }: Report, id: string, ending = ''): string {
  return `/report/${name}${ending}?campaign=${id}`;
}

async function section(pool: Pool, report: Report, id: string, limits: RunOptions): Promise<Markup> {
  return html`<section id="${report.name}" aria-labelledby="${report.name}-title"><h2 id="${report.name}-title">${report.title}</h2>
<p class="question">${report.question}</p>
${await body(pool, report, id, limits)}
<p class="actions"><a href="${addressOf(report, id)}">${report.title}: the whole report</a><a href="${addressOf(report, id, '.csv')}" download>${report.title} as CSV</a></p></section>
`;
}

async function body(pool: Pool, report: Report, id: string, limits: RunOptions): Promise<Markup> {
  try {
    const result = await explainErrors(() => runReport(pool, report, { campaign: id }, { ...limits, maxRows: MOST_ROWS }));
    const { length } = result.rows;
    const total = `${length.toLocaleString('en')}${result.cut ? ' and more' : ''}`;
    return html`${chart(result)}
${table(without(result, ['campaign_id', 'campaign']), ROWS)}
${length > ROWS && html`<p class="note">The first ${ROWS} of ${total} rows.</p>`}`;
  } catch (error) {
    return noteOf(error);
  }
}

/** The heading of the page says which campaign it is. */
function without(result: Result, names: readonly string[]): Result {
  const kept = result.columns
    .keys()
    .filter((i) => !names.includes(result.columns[i] as string))
    .toArray();
  return {
    ...result,
    columns: kept.map((i) => result.columns[i] as string),
    rows: result.rows.map((row) => kept.map((i) => row[i] ?? null)),
  };
}

async function reachNote(pool: Pool, limits: RunOptions): Promise<Markup> {
  try {
    return html`<p class="note">${describeReach(await explainErrors(() => readReach(pool, limits)))}</p>`;
  } catch (error) {
    return noteOf(error);
  }
}

function noteOf(error: unknown): Markup {
  const known = told(error);
  if (known === undefined) throw error;
  return errorNote(known);
}
