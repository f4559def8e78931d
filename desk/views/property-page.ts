import { explainErrors } from '../../core/postgres.ts';
import { scrollBox } from '../../reporting/format/html.ts';
import { html } from '../../reporting/format/markup.ts';
import { readReport } from '../../reporting/report-file.ts';
import { runReport } from '../../reporting/run-report.ts';
import { readCampaign } from '../figures/campaigns.ts';
import { addressOf, type Facet } from '../state.ts';
import { empty, zoneForm } from './components.ts';
import { type Content, live } from './frame.ts';
import { type Reader, reachNote } from './reader.ts';

// The page of one value of a property, e.g. of one country: which links were clicked with this value.

export async function propertyPage(reader: Reader, numberOrName: string, property: Facet, value: string): Promise<Content> {
  const { pool, limits, formats, state } = reader;
  const campaign = await readCampaign(pool, numberOrName, limits);
  const id = campaign.campaign_id;
  const report = await readReport('links-by-property');
  const values = { campaign: String(id), property, ...(value !== '' && { value }) };
  const [{ rows, columns }, reach] = await Promise.all([
    explainErrors(() => runReport(pool, report, values, { ...limits, maxRows: 200 })),
    reachNote(reader),
  ]);
  const name = value === '' ? `${property} unknown` : property === 'country' ? formats.country(value) : value;
  const path = `/campaign/${id}/by/${property}`;
  const place = (column: string): number => columns.findIndex((each) => each.name === column);
  const numberIn = (row: readonly (string | null)[], column: string): number => Number(row[place(column)] ?? 0);
  const query = new URLSearchParams(values).toString();
  return {
    title: `${name}: ${campaign.name}`,
    breadcrumbs: [
      { href: addressOf(`/campaign/${id}`, state, { facet: property, hash: 'breakdown' }), text: campaign.name },
      { href: addressOf(path, state, { value }), text: name },
    ],
    body: html`<h1>${name}</h1>
<p class="question">Which links were clicked with this ${property}.</p>
${live(
  html`${
    rows.length === 0
      ? empty('There are no clicks with this value. Single hits may have been dropped already.')
      : scrollBox(
          'links',
          html`<table><thead><tr><th scope="col">Link</th><th scope="col" class="n">People</th><th scope="col" class="n">Clicks by people</th><th scope="col" class="n">Clicks by machines</th></tr></thead><tbody>${rows.map(
            (row) =>
              html`<tr><th scope="row"><a href="${addressOf(`/campaign/${id}/link/${row[place('link_id')] ?? ''}`, state)}">${row[place('link')] ?? ''}</a></th>${['human_recipients', 'human_hits', 'machine_hits'].map((column) => html`<td class="n">${formats.number(numberIn(row, column))}</td>`)}</tr>
`,
          )}</tbody></table>`,
        )
  }${reach}`,
)}
<p class="actions"><a href="/report/links-by-property?${query}">As a report</a><a href="/report/links-by-property.csv?${query}" download>As CSV</a></p>`,
    footer: zoneForm(path, state, formats.zone),
  };
}
