import { ClickledgerError } from '../../core/errors.ts';
import { explainErrors } from '../../core/postgres.ts';
import { scrollBox } from '../../reporting/format/html.ts';
import { html, type Markup } from '../../reporting/format/markup.ts';
import { readReport } from '../../reporting/report-file.ts';
import { streamReport } from '../../reporting/run-report.ts';
import { fileNameOf } from '../file-names.ts';
import { readCampaign, readRates } from '../figures/campaigns.ts';
import { type LinkFigures, nameOfLink, readLink } from '../figures/links.ts';
import { DEFINITIONS, knownCounts, type Segment, SEGMENT_NAMES, SEGMENTS } from '../figures/segments.ts';
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
  const [{ people, total }, everybody, reach, file] = await Promise.all([
    readPeople(reader, values),
    query.isMailable ? countEverybody(reader, campaign.campaign_id, segment, link) : undefined,
    reachNote(reader),
    readReport('segment').then((found) => fileNameOf(found, values)),
  ]);
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
      { href: addressOf(path, state, rest), text: link ? 'Who clicked' : title },
    ],
    body: html`<h1>${title}</h1>
<p class="question">${link ? 'A person clicked this link at least once.' : DEFINITIONS[segment]}</p>
<div class="toolbar">${link === undefined && choices('Group', SEGMENTS, segment, (name) => addressOf(pathOf(name), state, rest))}
${choices('Which of them', { all: 'Everybody', only: 'Can be mailed' }, query.isMailable ? 'only' : 'all', (which) => addressOf(path, state, which === 'only' ? { mailable: which } : {}))}</div>
${live(html`<p><b>${formats.number(total)}</b> ${everybody === undefined ? (total === 1 ? 'recipient' : 'recipients') : html`of ${formats.number(everybody)} recipients. ${formats.number(everybody - total)} left out: they have unsubscribed, opted out of tracking, or are forgotten`}.</p>`)}
<p class="actions"><a href="/report/segment.csv?${report}" download>These recipients as CSV</a><a href="/report/segment.xlsx?${report}" download>as a spreadsheet</a><a href="/report/segment?${report}">as a report</a><a href="#again">Mail them again</a></p>
${live(html`${people.length === 0 ? empty('Nobody is in this group now.') : scrollBox('recipients', tableOf(people, reader))}
${total > people.length && html`<p class="note">The first ${people.length} recipients. The file has all.</p>`}${reach}`)}
<section aria-labelledby="again"><h2 id="again">Mail them again</h2>
${query.isMailable ? mailAgain(values, campaign.name, file) : html`<p>This list also has recipients who cannot be mailed. <a href="${addressOf(path, state, { mailable: 'only' })}">First leave them out.</a></p>`}</section>`,
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

/** Counts a group with those who cannot be mailed. Undefined for the group whose count takes long. */
async function countEverybody(
  { pool, limits }: Reader,
  campaign: number,
  segment: Segment,
  link: LinkFigures | undefined,
): Promise<number | undefined> {
  if (link !== undefined) return link.human_recipients;
  return knownCounts(await readRates(pool, campaign, limits))[segment];
}

/** The steps that write a letter to a group. */
function mailAgain(values: Readonly<Record<string, string>>, campaign: string, file: string): Markup {
  const options = Object.entries(values)
    .map(([name, value]) => `--${name} ${value}`)
    .join(' ');
  const name = `${campaign.replaceAll(/["$`\\]/g, '')}, again`;
  const send = `clickledger send letter.html --campaign "${name}" --to ${file}.csv --from "Ann <ann@example.org>" --subject "Again"`;
  return html`<p>The dashboard itself sends no mail. Do this on the machine on which you run <code>clickledger</code>, in the directory of your new letter, here <code>letter.html</code>. Replace the sender and the subject.</p>
<ol class="steps"><li>Download <a href="/report/segment.csv?${new URLSearchParams(values).toString()}" download>the list</a>, or write it with a command:
<pre tabindex="0">clickledger report segment ${options} --out ${file}.csv</pre></li>
<li>Create a campaign for the new letter:
<pre tabindex="0">clickledger campaign create "${name}"</pre></li>
<li>Look at what would be sent. This sends nothing:
<pre tabindex="0">${send} --dry-run</pre></li>
<li>Send it. Whoever unsubscribes until then is left out:
<pre tabindex="0">${send}</pre></li></ol>`;
}
