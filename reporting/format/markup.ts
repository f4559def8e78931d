import { escapeHtml } from '../../core/escape-html.ts';

// Templates for HTML. A value in `${…}` is escaped unless it is Markup, so a text cannot become markup by mistake.

const MARKUP = Symbol('markup');

/** A piece of HTML. Only `html` and `trusted` create one. */
export interface Markup {
  readonly [MARKUP]: string;
}

type Part = Markup | string | number | undefined | false | readonly Part[];

/**
 * The tag of an HTML template. Texts are escaped, so that they can also be inserted into quoted attributes. Markup and lists of Markup are
 * inserted unchanged. The values undefined and false insert nothing.
 */
export function html(strings: TemplateStringsArray, ...parts: Part[]): Markup {
  return trusted(String.raw({ raw: strings }, ...parts.map(textOf)));
}

/**
 * Marks a text as HTML, so that it is not escaped. Use this only for constant texts and for the output of a library that escapes its input.
 */
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
