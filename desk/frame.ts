import type { ClickledgerError } from '../core/errors.ts';
import { html, type Markup, trusted } from '../reporting/format/markup.ts';
import { page } from '../reporting/format/page.ts';
import { REFRESH_SCRIPT } from './refresh.ts';

/** What a page of the dashboard has of its own. */
export interface Content {
  title: string;
  /** The way here from the overview. */
  trail: { href: string; text: string }[];
  /** What stays as it is while the page is open: a form that somebody may be filling in. */
  still?: Markup;
  /** What is fetched again and again. */
  live: Markup;
  /** What stands there would be the same for ever: nothing to fetch again. */
  isFinal?: boolean;
}

/** A whole page around it. */
export function frame({ title, trail, still, live, isFinal }: Content, options: { nonce: string; refreshSeconds: number }): string {
  const { nonce, refreshSeconds } = options;
  const crumbs = [{ href: '/', text: 'Campaigns' }, ...trail];
  return page({
    title: `${title} – clickledger`,
    nonce,
    // Without script the page loads itself again, unless a form would be emptied by that.
    ...(still || isFinal ? {} : { head: html`<noscript><meta http-equiv="refresh" content="${refreshSeconds}"></noscript>` }),
    header: html`<nav aria-label="Where you are">${crumbs.map(({ href, text }) => html`<a href="${href}">${text}</a>`)}</nav>
<span id="status"></span>`,
    main: html`${still}<div data-live${isFinal ? '' : html` data-refresh="${refreshSeconds}"`}>
${live}
</div>
<script nonce="${nonce}">${trusted(REFRESH_SCRIPT)}</script>`,
  });
}

/** A page that says what is wrong, and leads back. */
export function errorContent(title: string, error: ClickledgerError): Content {
  return {
    title,
    trail: [],
    live: html`<h1>${title}</h1>
<p class="error">${sentence(error.message)}</p>
<p><a href="/">All campaigns</a></p>`,
    // A database that does not answer may do so in a moment.
    isFinal: error.code !== 'unavailable',
  };
}

/** An error in the place of what it prevented. */
export function errorNote(error: ClickledgerError): Markup {
  return html`<p class="error">${sentence(error.message)}</p>`;
}

function sentence(message: string): string {
  return `${message.charAt(0).toUpperCase()}${message.slice(1)}${/[.?!]$/.test(message) ? '' : '.'}`;
}
