import { html, type Markup } from '../../reporting/format/markup.ts';
import type { Campaign, Headline, Rates } from '../figures/campaigns.ts';
import type { Formats } from '../formats.ts';
import { addressOf } from '../state.ts';
import { type Card, cards } from './components.ts';
import type { Reader } from './reader.ts';

// The headline figures of a campaign, compared with the campaigns before it.

/** The share of hits that were not judged to be by people, in percent. */
const machinePercent = ({ opens, clicks, human_opens, human_clicks }: Rates): number | null =>
  opens + clicks === 0 ? null : (100 * (opens + clicks - human_opens - human_clicks)) / (opens + clicks);

const unsubscribedPercent = ({ unsubscribed, prepared_for }: Rates): number | null =>
  prepared_for === 0 ? null : (100 * unsubscribed) / prepared_for;

/** Renders the figures of the chosen audience. `isLinked` is whether they lead to the people whom they count. */
export function headlineCards(
  { campaign_id }: Pick<Campaign, 'campaign_id'>,
  headline: Headline,
  { state, formats }: Pick<Reader, 'state' | 'formats'>,
  isLinked = true,
): Markup {
  const { rates } = headline;
  const people = (segment: string): string => addressOf(`/campaign/${campaign_id}/people/${segment}`, state);
  const compared = (percentOf: (rates: Rates) => number | null, isGood: boolean | undefined): Markup | undefined =>
    comparison(headline, percentOf, isGood, formats);
  const rate = (count: number, percentOf: (rates: Rates) => number | null, isGood?: boolean): Pick<Card, 'value' | 'note'> => {
    const percent = percentOf(rates);
    return percent === null
      ? { value: formats.number(count) }
      : { value: formats.percent(percent), note: html`${formats.number(count)} recipients.<br>${compared(percentOf, isGood)}` };
  };
  const list: Card[] = [{ name: 'Prepared for', value: formats.number(rates.prepared_for), note: 'recipients with a tracked letter' }];
  switch (state.who) {
    case 'people':
      list.push(
        {
          name: 'Opened',
          href: people('opened'),
          ...rate(rates.human_opened, (each) => each.human_open_percent, true),
          title: 'Recipients with an open or a click judged to be by a person',
        },
        {
          name: 'Clicked',
          href: people('clicked'),
          ...rate(rates.human_clicked, (each) => each.human_click_percent, true),
          title: 'Recipients with a click judged to be by a person',
        },
        {
          name: 'Clicked of opened',
          value: formats.percent(rates.human_click_to_open_percent),
          note: compared((each) => each.human_click_to_open_percent, true),
        },
      );
      break;
    case 'machines':
      list.push(
        {
          name: 'Only machines',
          href: people('machines-only'),
          value: formats.number(rates.opened - rates.human_opened),
          note: 'recipients whose opens and clicks all came from machines, or are unsure',
        },
        {
          name: 'Opens by machines',
          value: formats.number(rates.opens - rates.human_opens),
          note: `of ${formats.number(rates.opens)} opens`,
        },
        {
          name: 'Clicks by machines',
          value: formats.number(rates.clicks - rates.human_clicks),
          note: `of ${formats.number(rates.clicks)} clicks`,
        },
      );
      break;
    case 'both':
      list.push(
        { name: 'Opened', ...rate(rates.opened, (each) => each.open_percent) },
        { name: 'Clicked', ...rate(rates.clicked, (each) => each.click_percent) },
        {
          name: 'Clicked of opened',
          value: formats.percent(rates.click_to_open_percent),
          note: compared((each) => each.click_to_open_percent, undefined),
        },
      );
  }
  list.push(
    { name: 'Unsubscribed', href: people('unsubscribed'), ...rate(rates.unsubscribed, unsubscribedPercent, false) },
    {
      name: 'Machines',
      href: `/report/machine-traffic?campaign=${campaign_id}`,
      value: formats.percent(machinePercent(rates)),
      note: html`of all opens and clicks.<br>${compared(machinePercent, undefined)}`,
    },
  );
  return cards(isLinked ? list : list.map((card) => ({ ...card, href: undefined })));
}

/** What the figures mean, in short. The reports say more. */
export const FIGURE_DEFINITIONS = html`<details><summary>How these figures are defined</summary><dl class="definitions">
<dt>Prepared for</dt><dd>Recipients for whom a tracked letter was made. Test recipients, and those who had opted out of tracking before, are left out. It is the base of all shares.</dd>
<dt>Opened</dt><dd>Recipients with an open or a click that was judged to be by a person. Who clicked has opened, even if no image was loaded. Each recipient counts once.</dd>
<dt>Clicked</dt><dd>Recipients with a click that was judged to be by a person.</dd>
<dt>Unsubscribed</dt><dd>Recipients who unsubscribed by a link of this letter.</dd>
<dt>Machines</dt><dd>Opens and clicks that were not judged to be by a person: by scanners, mail proxies and bots, or unsure.</dd>
<dt>Median</dt><dd>Of the last letters before this one that have hits, at most 25.</dd></dl>
<p class="note">The same in SQL: <a href="/report/campaign-summary">Campaign summary</a>, <a href="/report/machine-traffic">Machine traffic</a>, and the view <code>analytics.campaign_rates</code>.</p></details>`;

/** Compares a rate with the median of the campaigns before, and with the last one. `isGood` is whether a higher rate is better. */
function comparison(
  { rates, earlier, before }: Headline,
  percentOf: (rates: Rates) => number | null,
  isGood: boolean | undefined,
  formats: Formats,
): Markup | undefined {
  const percent = percentOf(rates);
  const others = earlier.map(percentOf).filter((value) => value !== null);
  if (percent === null || others.length === 0) return undefined;
  const typical = median(others);
  const difference = percent - typical;
  const last = before === undefined ? null : percentOf(before.rates);
  const points = formats.points(Math.abs(difference));
  const direction = difference > 0 ? '▲' : '▼';
  const word = difference > 0 ? 'above' : 'below';
  const typicalText = html`the median of ${others.length} ${others.length === 1 ? 'letter' : 'letters'} (${formats.percent(typical)})`;
  const compared =
    Math.abs(difference) < 0.05
      ? html`As ${typicalText}`
      : html`<span${isGood !== undefined && html` class="${difference > 0 === isGood ? 'up' : 'down'}"`}>${direction} ${points} points</span> ${word} ${typicalText}`;
  return html`${compared}${last !== null && html`<br>Letter before: ${formats.percent(last)}`}`;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle) - 1] ?? 0)) / 2;
}
