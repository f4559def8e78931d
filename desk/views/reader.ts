import { explainErrors, type Pool } from '../../core/postgres.ts';
import { html, type Markup } from '../../reporting/format/markup.ts';
import { readReach, type RunOptions } from '../../reporting/run-report.ts';
import { expectedError } from '../failures.ts';
import type { SlowCounts } from '../figures/slow-counts.ts';
import type { Formats } from '../formats.ts';
import type { State } from '../state.ts';
import { errorNote } from './frame.ts';

/** What a page is built with: the data, what the reader has chosen, and how numbers and times are written. */
export interface Reader {
  readonly pool: Pool;
  readonly state: State;
  readonly formats: Formats;
  /** With the time zone that the reader has chosen. */
  readonly limits: RunOptions;
  readonly slowCounts: SlowCounts;
}

/** Renders a part of a page. If it fails in an expected way, the error is shown in its place, and the other parts of the page stay. */
export async function part(render: () => Promise<Markup>): Promise<Markup> {
  try {
    return await render();
  } catch (error) {
    const expected = expectedError(error);
    if (expected === undefined) throw error;
    return errorNote(expected.message);
  }
}

/** Says until when everything is counted, and whether something is missing. */
export const reachNote = ({ pool, limits, formats }: Reader): Promise<Markup> =>
  part(async () => {
    const { lastAt, holes, missingBytes } = await explainErrors(() => readReach(pool, limits));
    const until =
      lastAt === null
        ? html`Nothing has been counted yet`
        : html`Counted until <time datetime="${lastAt.toISOString()}">${formats.moment(lastAt)}</time>`;
    return holes === 0 && missingBytes === 0
      ? html`<p class="note">${until}. Nothing is missing.</p>`
      : html`<p class="warning">${until}. ${formats.number(missingBytes)} bytes of the logs (${formats.number(holes)} ${holes === 1 ? 'range' : 'ranges'}) are not counted yet, so all figures will grow. <a href="/report/completeness">What is missing</a></p>`;
  });
