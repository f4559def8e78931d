import { scrollBox } from '../../reporting/format/html.ts';
import { html, type Markup } from '../../reporting/format/markup.ts';
import { MOST_EVENTS, type Person, type PersonEvent, readPerson } from '../figures/person.ts';
import { addressOf } from '../state.ts';
import { cards, empty, time, zoneForm } from './components.ts';
import { type Content, live } from './frame.ts';
import { type Reader, reachNote } from './reader.ts';

// The page of a recipient: what they got, and what they did, the latest first.

/** Builds the page. `formsOf` returns forms with which the reader may change something. */
export async function personPage(reader: Reader, id: number, formsOf: (person: Person) => Markup | undefined): Promise<Content> {
  const { pool, limits, formats, state } = reader;
  const [person, reach] = await Promise.all([readPerson(pool, id, limits), reachNote(reader)]);
  const name = person.email ?? person.external_id ?? `Recipient ${id}`;
  const path = `/person/${id}`;
  const { events, campaigns } = person;
  const byPeople = events.filter(({ verdict }) => verdict === 'human');
  return {
    title: name,
    breadcrumbs: [{ href: addressOf(path, state), text: name }],
    body: html`<h1>${name}</h1>
${live(html`<p class="question">${standing(person, reader)}</p>
${cards([
  { name: 'Letters', value: formats.number(campaigns.length) },
  { name: 'Opens by the person', value: formats.number(byPeople.filter(({ kind }) => kind === 'open').length) },
  { name: 'Clicks by the person', value: formats.number(byPeople.filter(({ kind }) => kind === 'click').length) },
  {
    name: 'By machines',
    value: formats.number(events.filter(({ verdict }) => verdict !== null && verdict !== 'human').length),
    note: 'hits, with those that are unsure',
  },
])}
<section aria-labelledby="timeline"><h2 id="timeline">Timeline</h2>
${events.length === 0 ? empty('There are no hits of this recipient, or they are older than single hits are kept.') : scrollBox('hits', timeline(events, reader))}
${events.length === MOST_EVENTS && html`<p class="note">The latest ${MOST_EVENTS} hits.</p>`}</section>
<section aria-labelledby="letters"><h2 id="letters">Letters</h2>
${campaigns.length === 0 ? empty('No letter was prepared for this recipient.') : scrollBox('letters', letters(campaigns, reader))}</section>${reach}`)}
${person.email !== null && html`<p class="actions"><a href="/report/recipient-timeline?recipient=${encodeURIComponent(person.email)}">The timeline as a report</a></p>`}${formsOf(person)}`,
    footer: zoneForm(path, state, formats.zone),
  };
}

function standing({ recipient_id, forgotten_at, unsubscribed_at, opted_out_at, is_test, created_at }: Person, { formats }: Reader): Markup {
  const since = html`Recipient ${recipient_id}, known since ${time(created_at, formats)}`;
  if (forgotten_at !== null) return html`${since}. Forgotten ${time(forgotten_at, formats)}: only the number is left.`;
  const facts = [
    unsubscribed_at !== null && html` Unsubscribed ${time(unsubscribed_at, formats)}.`,
    opted_out_at !== null && html` Opted out of tracking ${time(opted_out_at, formats)}.`,
    is_test && html` A test recipient: their hits are not counted.`,
  ];
  return html`${since}.${facts}${facts.every((fact) => fact === false) && ' Letters may be sent to them.'}`;
}

const timeline = (events: readonly PersonEvent[], { state, formats }: Reader): Markup =>
  html`<table><thead><tr><th scope="col">Time</th><th scope="col">What</th><th scope="col">Link</th><th scope="col">By</th><th scope="col">With</th><th scope="col">Campaign</th></tr></thead><tbody>${events.map(
    ({ at, kind, campaign_id, campaign, link_id, link, verdict, signals, client, country }) =>
      html`<tr><td>${time(at, formats)}</td><td>${kind}</td><td>${kind === 'click' && link_id !== null ? html`<a href="${addressOf(`/campaign/${campaign_id}/link/${link_id}`, state)}">${link ?? link_id}</a>` : '–'}</td><td>${verdict === null ? '–' : verdict === 'human' ? 'a person' : html`<span class="tag">${verdict}</span> <small class="note">${(signals ?? []).join(', ')}</small>`}</td><td>${[client, country === null ? null : formats.country(country)].filter((text) => text !== null).join(', ') || '–'}</td><td><a href="${addressOf(`/campaign/${campaign_id}`, state)}">${campaign ?? `campaign ${campaign_id}`}</a></td></tr>
`,
  )}</tbody></table>`;

const letters = (campaigns: Person['campaigns'], { state, formats }: Reader): Markup =>
  html`<table><thead><tr><th scope="col">Campaign</th><th scope="col">Prepared</th><th scope="col" class="n">Opens</th><th scope="col" class="n">Clicks</th><th scope="col" class="n">Hits by machines</th></tr></thead><tbody>${campaigns.map(
    ({ campaign_id, name, prepared_at, human_opens, human_clicks, machine_hits }) =>
      html`<tr><th scope="row"><a href="${addressOf(`/campaign/${campaign_id}`, state)}">${name}</a></th><td>${time(prepared_at, formats)}</td><td class="n">${formats.number(human_opens)}</td><td class="n">${formats.number(human_clicks)}</td><td class="n">${formats.number(machine_hits)}</td></tr>
`,
  )}</tbody></table>`;
