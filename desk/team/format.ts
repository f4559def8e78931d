import { formatMoment } from '../../core/time-zone.ts';
import { scrollBox } from '../../reporting/format/html.ts';
import { html, type Markup } from '../../reporting/format/markup.ts';

/** Renders a time in a zone, or a dash for null. */
export function moment(at: Date | null, zone: string): Markup {
  return at === null ? html`–` : html`<time datetime="${at.toISOString()}">${formatMoment(at.getTime(), zone)}</time>`;
}

/** Renders a table. The first cell of a row is its head. */
export function tableOf(label: string, head: readonly string[], rows: readonly (readonly (Markup | string | number)[])[]): Markup {
  return scrollBox(
    label,
    html`<table class="stack"><thead><tr>${head.map((text) => html`<th scope="col">${text}</th>`)}</tr></thead>
<tbody>${rows.map(
      ([
        first,
        ...rest
      ]) => html`<tr><th scope="row">${first}</th>${rest.map((cell, i) => html`<td data-label="${head[i + 1] ?? ''}">${cell}</td>`)}</tr>
`,
    )}</tbody></table>`,
  );
}
