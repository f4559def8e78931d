import { escapeHtml } from '../../core/escape-html.ts';

// HTML that cannot be written wrongly: what stands in `${…}` is escaped unless it is markup itself.

const MARKUP = Symbol('markup');

/** A piece of HTML. Only `html` and `trusted` make one. */
export interface Markup {
  readonly [MARKUP]: string;
}

type Part = Markup | string | number | undefined | false | readonly Part[];

/** A template of HTML: texts are escaped (also for quoted attributes), pieces of markup and lists of them stand as they are, undefined and false are nothing. */
export function html(strings: TemplateStringsArray, ...parts: Part[]): Markup {
  return trusted(String.raw({ raw: strings }, ...parts.map(textOf)));
}

/** Text that is markup already: of our own making, or drawn by a library that escapes. */
export function trusted(text: string): Markup {
  return { [MARKUP]: text };
}

export function markupText(markup: Markup): string {
  return markup[MARKUP];
}

function textOf(part: Part): string {
  if (part === undefined || part === false) return '';
  if (typeof part === 'string' || typeof part === 'number') return escapeHtml(String(part));
  return MARKUP in part ? part[MARKUP] : part.map(textOf).join('');
}
