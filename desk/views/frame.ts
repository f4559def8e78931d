import type { ClickledgerError } from '../../core/errors.ts';
import { html, type Markup, trusted } from '../../reporting/format/markup.ts';
import { page } from '../../reporting/format/page.ts';
import { REFRESH_SCRIPT } from './refresh.ts';

/** The parts of a page that are different on each page of the desk. */
export interface Content {
  title: string;
  /** The links that lead from the overview to this page. */
  breadcrumbs: { href: string; text: string }[];
  body: Markup;
  footer?: Markup;
  /** True if the page never changes. Such a page is not refreshed. */
  isFinal?: boolean;
}

/** Marks a part of a page that every refresh replaces. Fields and frames must be outside, so that they keep their state. */
export const live = (content: Markup): Markup => html`<div data-live>${content}</div>`;

/** Renders a whole page. */
export function frame(
  { title, breadcrumbs, body, footer, isFinal = false }: Content,
  options: { nonce: string; refreshSeconds: number; nav?: Markup | undefined },
): string {
  const { nonce, refreshSeconds, nav } = options;
  const trail = [{ href: '/', text: 'Campaigns' }, ...breadcrumbs];
  return page({
    title: `${title} – clickledger`,
    nonce,
    header: html`<nav class="trail" aria-label="Where you are">${trail.map(({ href, text }, i) => html`<a href="${href}"${i === trail.length - 1 && html` aria-current="page"`}>${shorten(text)}</a>`)}</nav>
<span id="status"></span>${nav}`,
    main: html`${body}
<script nonce="${nonce}"${isFinal ? '' : html` data-refresh="${refreshSeconds}"`}>${trusted(REFRESH_SCRIPT)}</script>`,
    ...(footer === undefined ? {} : { footer }),
  });
}

/** A page with an error and a link to the list of campaigns. */
export function errorContent(title: string, error: ClickledgerError): Content {
  return {
    title,
    breadcrumbs: [],
    body: live(html`<h1>${title}</h1>
${errorNote(error.message)}
<p><a href="/">All campaigns</a></p>`),
    // If the database does not answer now, it may answer soon, so the page is refreshed.
    isFinal: error.code !== 'unavailable',
  };
}

/** Renders the message of an error. It is shown instead of the part of the page that failed. */
export function errorNote(message: string): Markup {
  return html`<p class="error">${sentence(message)}</p>`;
}

function sentence(message: string): string {
  return `${message.charAt(0).toUpperCase()}${message.slice(1)}${/[.?!]$/.test(message) ? '' : '.'}`;
}

/** The longest name in the trail at the top of a page. */
const MAX_TRAIL = 40;

const shorten = (text: string): string => (text.length > MAX_TRAIL ? `${text.slice(0, MAX_TRAIL - 1)}…` : text);
