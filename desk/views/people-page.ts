import { ClickledgerError } from '../../core/errors.ts';
import { explainErrors } from '../../core/postgres.ts';
import { scrollBox } from '../../reporting/format/html.ts';
import { html, type Markup } from '../../reporting/format/markup.ts';
import { readReport } from '../../reporting/report-file.ts';
import { streamReport } from '../../reporting/run-report.ts';
import { readCampaign } from '../figures/campaigns.ts';
import { nameOfLink, readLink } from '../figures/links.ts';
import { DEFINITIONS, type Segment, SEGMENT_NAMES, SEGMENTS } from '../figures/segments.ts';
import { addressOf } from '../state.ts';
import { choices, empty, zoneForm } from './components.ts';
import { type Content, live } from './frame.ts';
import { type Reader, reachNote } from './reader.ts';

// The recipients of a group, as a page, as a file and as a command that writes to them again. All three are the report `segment`.

/** A page shows at most so many recipients. The file has all. */
const MOST_ROWS = 200;

export interface PeopleQuery {
  readonly segment: string;
  /** The number of the clicked link; undefined for any link. */
  readonly link: number | undefined;
  /** Whether recipients to whom no mail may be written are left out. */
  readonly isMailable: boolean;
}

interface Person {
  id: string;
  email: string | null;
  externalId: string | null;
}

export async function peoplePage(reader: Reader, numberOrName: string, query: PeopleQuery): Promise<Content> {
  const { pool, limits, formats, state } = reader;
  const campaign = await readCampaign(pool, numberOrName, limits);
  const segment = SEGMENT_NAMES.find((name) => name === query.segment);
  if (segment === undefined)
    throw new ClickledgerError('not-found', `there is no group '${query.segment}': the groups are ${SEGMENT_NAMES.join(', ')}`);
  const link = query.link === undefined ? undefined : await readLink(pool, campaign.campaign_id, query.link, limits);
  const values = {
    campaign: String(campaign.campaign_id),
    segment,
    ...(link && { link: String(link.link_id) }),
    ...(query.isMailable && { mailable: 'only' }),
  };
  const [{ people, total }, reach] = await Promise.all([readPeople(reader, values), reachNote(reader)]);
  const base = `/campaign/${campaign.campaign_id}`;
  const pathOf = (name: Segment): string => (link ? `${base}/link/${link.link_id}/people` : `${base}/people/${name}`);
  const path = pathOf(segment);
  const title = link ? `Clicked ${nameOfLink(link)}` : SEGMENTS[segment];
  const rest = { ...(query.isMailable && { mailable: 'only' }) };
  const report = new URLSearchParams(values).toString();
  return {
    title: `${title}: ${campaign.name}`,
    breadcrumbs: [
      { href: addressOf(base, state), text: campaign.name },
      ...(link ? [{ href: addressOf(`${base}/link/${link.link_id}`, state), text: nameOfLink(link) }] : []),
      { href: addressOf(path, state, rest), text: title },
    ],
    body: html`<h1>${title}</h1>
<p class="question">${link ? 'A person clicked this link at least once.' : DEFINITIONS[segment]}</p>
<div class="toolbar">${link === undefined && choices('Group', SEGMENTS, segment, (name) => addressOf(pathOf(name), state, rest))}
${choices('Which of them', { all: 'Everybody', only: 'Those you may write to' }, query.isMailable ? 'only' : 'all', (which) => addressOf(path, state, which === 'only' ? { mailable: which } : {}))}</div>
${live(html`<p><b>${formats.number(total)}</b> ${total === 1 ? 'recipient' : 'recipients'}${query.isMailable ? '. Those who unsubscribed, opted out of tracking or are forgotten are left out.' : '.'}</p>
${people.length === 0 ? empty('Nobody is in this group now.') : scrollBox('recipients', tableOf(people, reader))}
${total > people.length && html`<p class="note">The first ${people.length} recipients. The file has all.</p>`}${reach}`)}
<section aria-labelledby="again"><h2 id="again">Mail them again</h2>
${query.isMailable ? mailAgain(values) : html`<p><a href="${addressOf(path, state, { mailable: 'only' })}">First leave out those to whom you may not write.</a></p>`}</section>
<p class="actions"><a href="/report/segment.csv?${report}" download>These recipients as CSV</a><a href="/report/segment.xlsx?${report}" download>as a spreadsheet</a><a href="/report/segment?${report}">as a report</a></p>`,
    footer: zoneForm(path, state, formats.zone),
  };
}

async function readPeople(
  { pool, limits }: Reader,
  values: Readonly<Record<string, string>>,
): Promise<{ people: Person[]; total: number }> {
  const report = await readReport('segment');
  return explainErrors(() =>
    streamReport(pool, report, values, limits, async ({ batches, countRest }) => {
      const people: Person[] = [];
      let read = 0;
      for await (const batch of batches) {
        read += batch.length;
        for (const [id, email, externalId] of batch)
          if (people.length < MOST_ROWS) people.push({ id: id as string, email: email ?? null, externalId: externalId ?? null });
        if (read >= MOST_ROWS) break;
      }
      return { people, total: read + (await countRest()) };
    }),
  );
}

const tableOf = (people: readonly Person[], { state }: Reader): Markup =>
  html`<table><thead><tr><th scope="col">Recipient</th><th scope="col">Your id</th></tr></thead><tbody>${people.map(
    ({ id, email, externalId }) =>
      html`<tr><th scope="row"><a href="${addressOf(`/person/${id}`, state)}">${email ?? externalId ?? `recipient ${id}`}</a></th><td>${externalId ?? '–'}</td></tr>
`,
  )}</tbody></table>`;

/** The commands that write a letter to a group. */
function mailAgain(values: Readonly<Record<string, string>>): Markup {
  const options = Object.entries(values)
    .map(([name, value]) => `--${name} ${value}`)
    .join(' ');
  return html`<p>Save the list, and send a letter to it. Download the CSV file, or run:</p>
<pre tabindex="0">clickledger report segment ${options} --out again.csv
clickledger campaign create "Again"
clickledger send letter.html --campaign "Again" --to again.csv --from "Ann &lt;ann@example.org&gt;" --subject "…"</pre>`;
}
