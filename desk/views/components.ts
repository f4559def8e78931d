import { html, type Markup } from '../../reporting/format/markup.ts';
import type { Formats } from '../formats.ts';
import { addressOf, type Audience, type State } from '../state.ts';

// The pieces that pages share. Every piece that shows a number also shows it as a text, so nobody needs colours to read it.

/** A figure with its name. */
export interface Card {
  readonly name: string;
  readonly value: string;
  readonly note?: Markup | string | undefined;
  readonly href?: string | undefined;
  /** The explanation of the figure. */
  readonly title?: string | undefined;
}

export const cards = (list: readonly Card[]): Markup =>
  html`<ul class="cards">${list.map(
    ({ name, value, note, href, title }) =>
      html`<li class="card"${title !== undefined && html` title="${title}"`}><span>${href === undefined ? name : html`<a href="${href}">${name}</a>`}</span><b>${value}</b>${note !== undefined && html`<small>${note}</small>`}</li>`,
  )}</ul>`;

/** A row of links of which one is chosen. */
export function choices<T extends string>(
  label: string,
  names: Readonly<Record<T, string>>,
  chosen: T | undefined,
  hrefOf: (value: T) => string,
): Markup {
  return html`<nav class="switch" aria-label="${label}">${(Object.entries(names) as [T, string][]).map(
    ([value, text]) => html`<a href="${hrefOf(value)}"${value === chosen && html` aria-current="true"`}>${text}</a>`,
  )}</nav>`;
}

const AUDIENCE_NAMES: Readonly<Record<Audience, string>> = { people: 'People', machines: 'Machines', both: 'Both' };

/** The switch for whose hits a page counts. */
export const audienceSwitch = (path: string, state: State): Markup =>
  choices('Whose hits are counted', AUDIENCE_NAMES, state.who, (who) => addressOf(path, state, { who }));

/** Names of an audience in a sentence. */
export const AUDIENCE_WORDS: Readonly<Record<Audience, string>> = { people: 'people', machines: 'machines', both: 'people and machines' };

/** A bar whose length is a share from 0 to 1. The number stands beside it. */
export function bar(share: number): Markup {
  const width = (Math.min(1, Math.max(0, share)) * 100).toFixed(1);
  return html`<svg class="bar" aria-hidden="true" focusable="false"><rect class="of" width="100%" height="100%" rx="2"/><rect width="${width}%" height="100%" rx="2"/></svg>`;
}

/** Small bars of numbers in their order, with a text for screen readers. */
export function sparkline(values: readonly number[], label: string): Markup {
  const most = Math.max(1, ...values);
  const rects = values.map((value, i) => {
    const height = value === 0 ? 1 : Math.max(2, Math.round((value / most) * 26));
    return html`<rect x="${i * 8}" y="${28 - height}" width="6" height="${height}"/>`;
  });
  return html`<svg class="spark" role="img" aria-label="${label}" viewBox="0 0 ${Math.max(1, values.length) * 8} 28" preserveAspectRatio="none">${rects}</svg>`;
}

/** A time for people and for programs, or a dash for null. */
export const time = (at: Date | null, formats: Formats): Markup =>
  at === null ? html`–` : html`<time datetime="${at.toISOString()}">${formats.moment(at)}</time>`;

/** The parameters of an address as hidden fields, so that a form keeps them. */
export const hiddenFields = (address: string): Markup =>
  html`${[...new URL(address, 'http://localhost').searchParams].map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)}`;

/** The form with which a reader chooses a time zone. All else stays as it is. */
export const zoneForm = (path: string, state: State, zone: string): Markup =>
  html`<form action="${path}" method="get" class="toolbar">${hiddenFields(addressOf(path, state, { zone: undefined }))}
<label for="zone">Time zone</label><input id="zone" name="zone" value="${zone}" autocomplete="off" size="18"><button>Change</button></form>`;

/** What a page shows if there is nothing yet. */
export const empty = (text: Markup | string): Markup => html`<div class="empty"><p>${text}</p></div>`;
