import { explainErrors, type Pool } from '../../core/postgres.ts';
import { chart } from '../../reporting/format/chart.ts';
import { askedNote, footnotes, table } from '../../reporting/format/html.ts';
import { html, type Markup } from '../../reporting/format/markup.ts';
import { fillIn, readReport, type Report } from '../../reporting/report-file.ts';
import { readReach, type RunOptions, runReport } from '../../reporting/run-report.ts';
import { type Campaign, listCampaignNames } from '../figures/campaigns.ts';
import { expectedError, statusOf } from '../failures.ts';
import { type Content, errorNote, live } from './frame.ts';

/** The page shows at most this many rows. The files have all rows. */
const MAX_ROWS = 1000;

type Values = Readonly<Record<string, string>>;
type CampaignName = Pick<Campaign, 'campaign_id' | 'name'>;

/**
 * Builds the page of a report, with a form for its parameters. If a value is invalid, the page shows the error and the form, so that the
 * user can correct the value.
 */
export async function reportPage(
  pool: Pool,
  name: string,
  values: Values,
  limits: RunOptions,
): Promise<{ status: number; content: Content }> {
  const report = await readReport(name);
  // Throws if the URL has an unknown parameter. The user cannot correct this in the form, so an error page is shown.
  fillIn(report, values);
  const campaigns = await listCampaignNames(pool, limits);
  const { status, result } = await body(pool, report, values, limits);
  const campaign = campaignOf(campaigns, values['campaign']);
  return {
    status,
    content: {
      title: report.title,
      breadcrumbs: [
        ...(campaign ? [{ href: `/campaign/${campaign.campaign_id}`, text: campaign.name }] : []),
        { href: address(report, values), text: report.title },
      ],
      body: html`<h1>${report.title}</h1>
<p class="question">${report.question}</p>
${report.parameters.length > 0 && form(report, values, campaigns, limits.zone)}
${live(result)}`,
      isFinal: status === 400 || status === 404,
    },
  };
}

async function body(pool: Pool, report: Report, values: Values, limits: RunOptions): Promise<{ status: number; result: Markup }> {
  try {
    const result = await explainErrors(() => runReport(pool, report, values, { ...limits, maxRows: MAX_ROWS }));
    const reach = report.hasReach ? await explainErrors(() => readReach(pool, limits)) : undefined;
    return {
      status: 200,
      result: html`${askedNote(result.asked)}${chart(result)}
${table(result)}
${result.truncated && html`<p class="note">The first ${MAX_ROWS.toLocaleString('en')} rows. The files have all rows.</p>`}
${footnotes(report, reach)}
<p class="actions"><a href="${address(report, values, '.xlsx')}" download>${report.title} as a spreadsheet</a><a href="${address(report, values, '.csv')}" download>${report.title} as CSV</a></p>`,
    };
  } catch (error) {
    const expected = expectedError(error);
    if (expected === undefined) throw error;
    return { status: statusOf(expected), result: errorNote(expected.message) };
  }
}

function address({ name }: Report, values: Values, ending = ''): string {
  const query = new URLSearchParams(values).toString();
  return `/report/${name}${ending}${query === '' ? '' : `?${query}`}`;
}

/** Finds the campaign whose number is `text`. If there is none, finds the campaign whose name is `text`. */
function campaignOf(campaigns: readonly CampaignName[], text: string | undefined): CampaignName | undefined {
  return campaigns.find(({ campaign_id }) => String(campaign_id) === text) ?? campaigns.find(({ name }) => name === text);
}

function form(report: Report, values: Values, campaigns: readonly CampaignName[], zone: string): Markup {
  return html`<form action="/report/${report.name}" method="get">${report.parameters.map(
    ({ name, type, help, default: defaultValue }) => html`
<div><label for="p-${name}">${name.replaceAll('_', ' ')}</label>
${type === 'campaign' ? campaignSelect(name, values[name] ?? '', campaigns) : html`<input id="p-${name}" name="${name}" value="${values[name] ?? ''}" placeholder="${type === 'timezone' ? zone : defaultValue}" aria-describedby="h-${name}" autocomplete="off">`}
<small id="h-${name}">${help}</small></div>`,
  )}
<div><button>Show</button></div></form>`;
}

function campaignSelect(parameter: string, given: string, campaigns: readonly CampaignName[]): Markup {
  const known = campaignOf(campaigns, given);
  const selected = known === undefined ? given : String(known.campaign_id);
  const options = [
    { campaign_id: '', name: 'All campaigns' },
    ...(known !== undefined || selected === '' ? [] : [{ campaign_id: selected, name: selected }]),
    ...campaigns,
  ];
  return html`<select id="p-${parameter}" name="${parameter}" aria-describedby="h-${parameter}">${options.map(
    ({ campaign_id, name }) => html`<option value="${campaign_id}"${String(campaign_id) === selected && html` selected`}>${name}</option>`,
  )}</select>`;
}
