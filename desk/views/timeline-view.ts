import { figure } from '../../reporting/format/chart.ts';
import { scrollBox } from '../../reporting/format/html.ts';
import { html, type Markup } from '../../reporting/format/markup.ts';
import type { Timeline } from '../figures/timeline.ts';
import { addressOf, type Range, type State } from '../state.ts';
import { AUDIENCE_WORDS, choices, empty, hiddenFields } from './components.ts';
import type { Reader } from './reader.ts';

// The chart of clicks and opens over time, with its periods.

const RANGE_NAMES: Readonly<Record<Exclude<Range, 'custom'>, string>> = {
  hour: 'First hour',
  day: 'First day',
  week: 'First week',
  all: 'All',
};

/** The periods to choose from, and the fields for another one. */
export function rangeBar(path: string, state: State): Markup {
  return html`<div class="toolbar">${choices('Period', RANGE_NAMES, state.range === 'custom' ? undefined : state.range, (range) => addressOf(path, state, { range, hash: 'time' }))}
<form action="${path}#time" method="get">${hiddenFields(addressOf(path, state, { range: 'all' }))}<input type="hidden" name="range" value="custom">
<label for="from">From</label><input id="from" name="from" type="datetime-local" value="${state.from ?? ''}"><label for="to">to</label><input id="to" name="to" type="datetime-local" value="${state.to ?? ''}"><button>Show</button></form></div>`;
}

/** Draws a timeline. `kinds` are those that the page is about. */
export function timelineChart(
  { at, opens, clicks, stepMs }: Timeline,
  kinds: readonly ('opens' | 'clicks')[],
  { state, formats }: Pick<Reader, 'state' | 'formats'>,
): Markup {
  const values = { opens, clicks };
  const sums = kinds.map((kind) => values[kind].reduce((sum, value) => sum + value, 0));
  if (sums.every((sum) => sum === 0))
    return empty(`There are no ${kinds.join(' and no ')} by ${AUDIENCE_WORDS[state.who]} in this period.`);
  const [first, last] = [at[0] as Date, at.at(-1) as Date];
  const hasDay = stepMs >= 86_400_000 || formats.day(first) !== formats.day(last);
  const labels = at.map((step) => formats.tick(step, hasDay, stepMs < 86_400_000));
  const by = state.who === 'both' ? '' : ` by ${AUDIENCE_WORDS[state.who]}`;
  const series = kinds.map((kind) => ({ name: `${kind}${by}`, values: values[kind] }));
  const total = kinds.map((kind, i) => `${formats.number(sums[i] as number)} ${kind}`).join(' and ');
  return html`<p>${total}${by}, ${formats.moment(first)} to ${formats.moment(new Date(last.getTime() + stepMs))}.</p>
${figure({ kind: 'bar', labels, isOrdered: true, series }, 'timeline', `Chart of ${total}${by} over time. The table below has the numbers.`)}
<details><summary>The numbers of the chart as a table</summary>${scrollBox(
    'numbers of the chart',
    html`<table><thead><tr><th scope="col">From</th>${kinds.map((kind) => html`<th scope="col" class="n">${kind}</th>`)}</tr></thead><tbody>${at.map(
      (step, i) =>
        html`<tr><td><time datetime="${step.toISOString()}">${formats.moment(step)}</time></td>${kinds.map((kind) => html`<td class="n">${formats.number(values[kind][i] as number)}</td>`)}</tr>`,
    )}</tbody></table>`,
  )}</details>`;
}
