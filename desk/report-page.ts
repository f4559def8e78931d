import { explainErrors, type Pool } from '../core/postgres.ts';
import { chart, notes, table } from '../reporting/format/html.ts';
import { html, type Markup } from '../reporting/format/markup.ts';
import { fillIn, readReport, type Report } from '../reporting/report-file.ts';
import { readReach, type RunOptions, runReport } from '../reporting/run-report.ts';
import { type Campaign, nameCampaigns } from './campaigns.ts';
import { told, statusOf } from './failures.ts';
import { type Content, errorNote } from './frame.ts';

/** More rows than a person reads; the CSV file has all. */
const MOST_ROWS = 1000;

type Values = Readonly<Record<string, string>>;
type Named = Pick<Campaign, 'campaign_id' | 'name'>;

/** One report with a form for its parameters. Where they are not understood the form stays, to mend them. */
export async function reportPage(
  pool: Pool,
  name: string,
  values: Values,
  limits: RunOptions,
): Promise<{ status: number; content: Content }> {
  const report = await readReport(name);
  // An unknown parameter is a mistake in the address, which no form mends.
  fillIn(report, values);
  const campaigns = await nameCampaigns(pool, limits);
  const { status, live } = await body(pool, report, values, limits);
  const campaign = campaigns.find(({ campaign_id }) => String(campaign_id) === values['campaign']);
  return {
    status,
    content: {
      title: report.title,
      trail: [
        ...(campaign ? [{ href: `/campaign/${campaign.campaign_id}`, text: campaign.name }] : []),
        { href: address(report, values), text: report.title },
      ],
      still: html`<h1>${report.title}</h1>
<p class="question">${report.question}</p>
${report.parameters.length > 0 && form(report, values, campaigns)}`,
      live,
      isFinal: status === 400,
    },
  };
}

async function body(pool: Pool, report: Report, values: Values, limits: RunOptions): Promise<{ status: number; live: Markup }> {
  try {
    const result = await explainErrors(() => runReport(pool, report, values, { ...limits, maxRows: MOST_ROWS }));
    const reach = report.hasReach ? await explainErrors(() => readReach(pool, limits)) : undefined;
    return {
      status: 200,
      live: html`${chart(result)}
${table(result)}
${result.cut && html`<p class="note">The first ${MOST_ROWS.toLocaleString('en')} rows; the CSV file has all.</p>`}
${notes(result, reach)}
<p class="actions"><a href="${address(report, values, '.csv')}" download>${report.title} as CSV</a></p>`,
    };
  } catch (error) {
    const known = told(error);
    if (known === undefined) throw error;
    return { status: statusOf(known), live: errorNote(known) };
  }
}

function address({ name }: Report, values: Values, ending = ''): string {
  const query = new URLSearchParams(values).toString();
  return `/report/${name}${ending}${query === '' ? '' : `?${query}`}`;
}

function form(report: Report, values: Values, campaigns: readonly Named[]): Markup {
  return html`<form action="/report/${report.name}" method="get">${report.parameters.map(
    ({ name, help, default: standard }) => html`
<div><label for="p-${name}">${name.replaceAll('_', ' ')}</label>
${name === 'campaign' ? choice(values[name] ?? '', campaigns) : html`<input id="p-${name}" name="${name}" value="${values[name] ?? ''}" placeholder="${standard}" aria-describedby="h-${name}" autocomplete="off">`}
<small id="h-${name}">${help}</small></div>`,
  )}
<div><button>Show</button></div></form>`;
}

function choice(chosen: string, campaigns: readonly Named[]): Markup {
  const known = campaigns.some(({ campaign_id }) => String(campaign_id) === chosen);
  const options = [
    { campaign_id: '', name: 'All campaigns' },
    ...(known || chosen === '' ? [] : [{ campaign_id: chosen, name: chosen }]),
    ...campaigns,
  ];
  return html`<select id="p-campaign" name="campaign" aria-describedby="h-campaign">${options.map(
    ({ campaign_id, name }) => html`<option value="${campaign_id}"${String(campaign_id) === chosen && html` selected`}>${name}</option>`,
  )}</select>`;
}
