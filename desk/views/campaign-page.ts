import { explainErrors } from '../../core/postgres.ts';
import { mapConcurrently } from '../../core/gate.ts';
import { scrollBox, table } from '../../reporting/format/html.ts';
import { html, type Markup } from '../../reporting/format/markup.ts';
import { withoutScheme } from '../../reporting/format/values.ts';
import { listReports, type Report, readReport } from '../../reporting/report-file.ts';
import { runReport } from '../../reporting/run-report.ts';
import { clickersOf, hitsBy, recipientsOf } from '../figures/audience.ts';
import { type Campaign, type Headline, readCampaign, readHeadline } from '../figures/campaigns.ts';
import { type FacetRow, readFacet } from '../figures/facets.ts';
import { listLetters } from '../figures/letters.ts';
import { type LinkFigures, MOST_LINKS, nameOfLink, readLinks } from '../figures/links.ts';
import { countSegments, DEFINITIONS, SEGMENT_NAMES, SEGMENTS } from '../figures/segments.ts';
import { readTimeline } from '../figures/timeline.ts';
import { addressOf, type Facet, type State, type Tab } from '../state.ts';
import { AUDIENCE_WORDS, audienceSwitch, bar, cards, choices, empty, time, zoneForm } from './components.ts';
import { type Content, live } from './frame.ts';
import { FIGURE_DEFINITIONS, headlineCards } from './headline.ts';
import { part, type Reader, reachNote } from './reader.ts';
import { rangeBar, timelineChart } from './timeline-view.ts';

// The page of a campaign.
//
// headline figures ─ over time ─ links ─ the letter with its clicks ─ groups of recipients ─ breakdowns ─ the same as reports

/** A page reads so many parts at a time. */
const CONCURRENCY = 3;
/** A breakdown shows so many values. The report has all. */
const MOST_VALUES = 15;

/** Builds the page. `actionsOf` returns links to pages with which the reader may change something. */
export async function campaignPage(
  reader: Reader,
  numberOrName: string,
  actionsOf: (campaign: Campaign) => Markup | undefined,
): Promise<Content> {
  const { pool, limits, formats, state } = reader;
  const campaign = await readCampaign(pool, numberOrName, limits);
  const id = campaign.campaign_id;
  const path = `/campaign/${id}`;
  // A shard that does not answer must not take the whole page away.
  const headline = readHeadline(pool, campaign, limits);
  headline.catch(() => undefined);
  const timeline = () => readTimeline(pool, { campaign: id, sentAt: campaign.sent_at }, state, limits);
  const parts: (() => Promise<Markup>)[] = [
    () => reachNote(reader),
    async () => headlineCards(campaign, await headline, reader),
    async () => timelineChart(await timeline(), ['opens', 'clicks'], reader),
    async () => linksTable(await readLinks(pool, id, limits), await headline, reader),
    () => letterFrame(campaign, reader),
    async () => groups(campaign, await headline, reader),
    () => breakdown(campaign, reader),
    () => sameAsReports(id),
  ];
  const [reach, figures, chart, links, letter, who, broken, reports] = await mapConcurrently(CONCURRENCY, parts, part);
  return {
    title: campaign.name,
    breadcrumbs: [{ href: addressOf(path, state), text: campaign.name }],
    body: html`<h1>${campaign.name}</h1>
<p class="question">${describe(campaign, reader)}</p>
<div class="toolbar">${audienceSwitch(path, state)}<nav aria-label="On this page" class="actions"><a href="#time">Over time</a><a href="#links">Links</a><a href="#letter">Letter</a><a href="#who">Who</a><a href="#breakdown">Breakdown</a><a href="#reports">Reports</a></nav>${actionsOf(campaign)}</div>
${live(html`${reach}${figures}${FIGURE_DEFINITIONS}`)}
<section id="time" aria-labelledby="time-title"><h2 id="time-title">Over time</h2>
${rangeBar(path, state)}
${live(chart as Markup)}</section>
<section id="links" aria-labelledby="links-title"><h2 id="links-title">Links</h2>
${live(links as Markup)}</section>
<section id="letter" aria-labelledby="letter-title"><h2 id="letter-title">The letter with its clicks</h2>
${letter}</section>
<section id="who" aria-labelledby="who-title"><h2 id="who-title">Who</h2>
${live(who as Markup)}</section>
<section id="breakdown" aria-labelledby="breakdown-title"><h2 id="breakdown-title">Breakdown</h2>
${choices('Breakdown by', TAB_NAMES, state.facet, (facet) => addressOf(path, state, { facet, hash: 'breakdown' }))}
${live(broken as Markup)}</section>
<section id="reports" aria-labelledby="reports-title"><h2 id="reports-title">The same as reports</h2>
${reports}</section>`,
    footer: zoneForm(path, state, formats.zone),
  };
}

const TAB_NAMES: Readonly<Record<Tab, string>> = {
  client: 'Client',
  device: 'Device',
  system: 'System',
  country: 'Country',
  referrer: 'Referrer',
  goals: 'Goals',
};

function describe({ campaign_id, sent_at, created_at, closed_at }: Campaign, { formats }: Reader): Markup {
  const sent =
    sent_at === null
      ? html`created ${time(created_at, formats)}; the time of sending is not recorded`
      : html`sent ${time(sent_at, formats)}`;
  return html`Campaign ${campaign_id}, ${sent}${closed_at !== null && html`, closed ${time(closed_at, formats)}`}.`;
}

function linksTable(links: readonly LinkFigures[], { rates }: Headline, { state, formats }: Reader): Markup {
  if (links.length === 0) return empty('This campaign has no tracked links yet.');
  const { who } = state;
  const all = clickersOf(rates, who);
  const rows = links.map((link) => {
    const count = recipientsOf(link, who);
    const name = nameOfLink(link);
    return html`<tr><td class="n" data-label="Place">${link.position ?? '–'}</td><th scope="row"><a href="${addressOf(`/campaign/${link.campaign_id}/link/${link.link_id}`, state)}">${name}</a>${!name.includes(withoutScheme(link.target)) && html`<br><small class="note">${link.target}</small>`}${link.disabled_at !== null && html` <span class="tag">disabled</span>`}</th><td class="n" data-label="Recipients">${formats.number(count)}</td><td data-label="Share">${formats.share(count, all)}${bar(all === 0 ? 0 : count / all)}</td><td class="n" data-label="Clicks">${formats.number(hitsBy(link, who))}</td></tr>
`;
  });
  return html`<p class="note">In the order of the letter. The share is of all recipients with a click by ${AUDIENCE_WORDS[who]}: ${formats.number(all)}. A recipient who clicked two links counts for both.</p>
${scrollBox(
  'links',
  html`<table class="stack${who === 'machines' && ' machines'}"><thead><tr><th scope="col" class="n">Place</th><th scope="col">Link</th><th scope="col" class="n">Recipients</th><th scope="col">Share</th><th scope="col" class="n">Clicks</th></tr></thead><tbody>${rows}</tbody></table>`,
)}
${links.length === MOST_LINKS && html`<p class="note">The first ${MOST_LINKS} links. <a href="/report/clicks-by-link?campaign=${links[0]?.campaign_id ?? ''}">All links as a report</a></p>`}`;
}

async function letterFrame({ campaign_id, name }: Campaign, { pool, limits, formats, state }: Reader): Promise<Markup> {
  const letters = await listLetters(pool, campaign_id, limits);
  const path = `/campaign/${campaign_id}`;
  const [latest] = letters;
  if (latest === undefined)
    return empty(
      html`The letter is not stored. <code>clickledger prepare</code> and <code>send</code> store it when they make it for a list.`,
    );
  const chosen = letters.find(({ letter }) => letter === state.letter) ?? latest;
  const shown = state.part === 'html' && chosen.has_html ? 'html' : chosen.has_text ? 'text' : 'html';
  const here = (changes: Partial<State>): string => addressOf(path, state, { ...changes, hash: 'letter' });
  return html`<div class="toolbar">${chosen.has_html && chosen.has_text && choices('Part of the letter', { html: 'HTML', text: 'Text' }, shown, (value) => here({ part: value }))}
${letters.length > 1 && choices('Version of the letter', Object.fromEntries(letters.map(({ letter, prepared_at }) => [letter, formats.moment(prepared_at)])), chosen.letter, (letter) => here({ letter }))}
${shown === 'html' && html`<a href="${here({ images: !state.images })}">${state.images ? 'Hide images' : 'Show images'}</a>`}</div>
<p class="note">Each link begins with the share of the recipients with a click who clicked it, and their number. Choose a link to see who they are. Images come from other hosts, so they are loaded only if you show them.</p>
<iframe class="letter" title="The letter ${name} with its clicks" loading="lazy" sandbox="allow-top-navigation-by-user-activation" referrerpolicy="no-referrer" src="${addressOf(`${path}/letter/${chosen.letter}/${shown}`, state)}"></iframe>`;
}

async function groups(
  { campaign_id }: Campaign,
  { rates }: Headline,
  { pool, limits, formats, state, slowCounts }: Reader,
): Promise<Markup> {
  const counts = await countSegments(pool, campaign_id, rates, limits, slowCounts);
  return html`${cards(
    SEGMENT_NAMES.map((segment) => ({
      name: SEGMENTS[segment],
      value: counts[segment] === undefined ? '…' : formats.number(counts[segment]),
      href: addressOf(`/campaign/${campaign_id}/people/${segment}`, state),
      note: html`${DEFINITIONS[segment]} <a href="/report/segment.csv?campaign=${campaign_id}&amp;segment=${segment}" download aria-label="CSV, everybody: ${SEGMENTS[segment]}">CSV, everybody</a>`,
    })),
  )}`;
}

async function breakdown({ campaign_id }: Campaign, reader: Reader): Promise<Markup> {
  const { pool, limits, state } = reader;
  if (state.facet !== 'goals') return facetTable(await readFacet(pool, campaign_id, state.facet, limits), state.facet, campaign_id, reader);
  const report = await readReport('goals-by-campaign');
  const result = await explainErrors(() => runReport(pool, report, { campaign: String(campaign_id) }, limits));
  const note = html`<p class="actions"><a href="/report/goals-by-link?campaign=${campaign_id}">Goals by link</a><a href="/report/time-to-goal?campaign=${campaign_id}">Time to goal</a><a href="/report/revenue?campaigns=${campaign_id}">Value</a></p>`;
  return result.rows.length === 0
    ? empty('No goals count for this campaign. They come from the script or the pixel on your site.')
    : html`${table(result)}${note}`;
}

function facetTable(rows: readonly FacetRow[], facet: Facet, campaign: number, { state, formats }: Reader): Markup {
  const { who } = state;
  const values = Map.groupBy(rows, ({ value }) => value);
  const counted = Array.from(values, ([value, some]) => {
    const count = (kind: string): number => some.filter((row) => row.kind === kind).reduce((sum, row) => sum + recipientsOf(row, who), 0);
    return { value, clicked: count('click'), opened: count('open') };
  })
    .filter(({ clicked, opened }) => clicked + opened > 0)
    .toSorted((a, b) => b.clicked - a.clicked || b.opened - a.opened);
  if (counted.length === 0) return empty(`There are no hits by ${AUDIENCE_WORDS[who]} yet.`);
  const [clicks, opens] = [
    counted.reduce((most, { clicked }) => Math.max(most, clicked), 1),
    counted.reduce((most, { opened }) => Math.max(most, opened), 1),
  ];
  const nameOf = (value: string | null): string => (value === null ? 'unknown' : facet === 'country' ? formats.country(value) : value);
  return html`${scrollBox(
    `by ${facet}`,
    html`<table${who === 'machines' && html` class="machines"`}><thead><tr><th scope="col">${TAB_NAMES[facet]}</th><th scope="col">Recipients who clicked</th><th scope="col">Recipients whose letter loaded the pixel</th></tr></thead><tbody>${counted
      .slice(0, MOST_VALUES)
      .map(
        ({ value, clicked, opened }) =>
          html`<tr><th scope="row"><a href="${addressOf(`/campaign/${campaign}/by/${facet}`, state, { value: value ?? '' })}">${nameOf(value)}</a></th><td>${formats.number(clicked)}${bar(clicked / clicks)}</td><td>${formats.number(opened)}${bar(opened / opens)}</td></tr>
`,
      )}</tbody></table>`,
  )}
<p class="note">${counted.length > MOST_VALUES && html`The first ${MOST_VALUES} of ${formats.number(counted.length)} values. `}A recipient with two values counts for both. <a href="/report/${REPORT_OF[facet]}?campaign=${campaign}">As a report</a></p>`;
}

const REPORT_OF: Readonly<Record<Facet, string>> = {
  client: 'mail-clients',
  device: 'devices',
  system: 'devices',
  country: 'countries',
  referrer: 'referrers',
};

async function sameAsReports(campaign: number): Promise<Markup> {
  const own = (await listReports()).filter(({ parameters }) => parameters.some(({ type }) => type === 'campaign'));
  const address = ({ name }: Report, ending = ''): string => `/report/${name}${ending}?campaign=${campaign}`;
  return html`<details><summary>${own.length} reports about this campaign, as SQL, CSV and spreadsheets</summary><ul>${own.map(
    (report) =>
      html`<li><a href="${address(report)}">${report.title}</a>: <span class="question">${report.question}</span> <a href="${address(report, '.xlsx')}" download aria-label="${report.title} as a spreadsheet">spreadsheet</a> <a href="${address(report, '.csv')}" download aria-label="${report.title} as CSV">CSV</a></li>
`,
  )}</ul></details>`;
}
