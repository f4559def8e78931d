import { escapeHtml } from '../../core/escape-html.ts';
import type { LinkPlace, StoredLetter } from '../figures/letters.ts';

// The document in the frame of a letter: the letter as it was prepared, with the share of each link next to it. The letter may have any markup. So
// the answer has a Content-Security-Policy with `sandbox`: no script runs, no form is sent, and nothing of the desk can be read.

/** What is shown next to a link. */
export interface Mark {
  /** Where a click on the link leads. */
  readonly href: string;
  readonly text: string;
  /** From 0 to 1, the shade of the mark. */
  readonly weight: number;
}

/** Returns the policy for the document. With `images`, the letter may load images from other hosts. */
export const letterPolicy = (images: boolean): string =>
  [
    'sandbox allow-top-navigation-by-user-activation',
    `default-src 'none'`,
    // Letters have their styles in attributes. Without scripts and without other hosts, they can do no harm.
    `style-src 'unsafe-inline'`,
    `img-src data:${images ? ' https: http:' : ''}`,
    `base-uri 'none'`,
    `form-action 'none'`,
    `frame-ancestors 'self'`,
  ].join('; ');

/** Renders the document of one part. `marks` has the mark of each link, by its number. */
export function letterDocument(letter: StoredLetter, part: 'html' | 'text', marks: ReadonlyMap<number, Mark>, images: boolean): string {
  if (part === 'html') {
    const html = annotateHtml(letter.html ?? '', letter.html_links, marks);
    return images ? html : html.replace(IMAGE_ADDRESS, '$1data-$2');
  }
  return `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Text part</title></head><body style="margin:1rem;background:#fff;color:#1d2329"><pre style="font:14px/1.5 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere">${annotateText(letter.text ?? '', letter.text_links, marks)}</pre></body></html>`;
}

/** The policy refuses images in any case. Without this, the browser would report each of them as an error. */
const IMAGE_ADDRESS = /(<img\s(?:[^>]{0,1000}?\s)?)(src\s*=)/gi;

/** Writes the address of each tracked link anew, and adds a badge at the beginning of the link. Everything else stays. */
export function annotateHtml(html: string, places: readonly LinkPlace[], marks: ReadonlyMap<number, Mark>): string {
  let result = '';
  let at = 0;
  for (const [from, to, link] of places) {
    const mark = marks.get(link);
    if (mark === undefined || from < at) continue;
    const open = html.lastIndexOf('<', from);
    const isAnchor = open >= at && /^<a\s/i.test(html.slice(open, open + 3));
    if (!isAnchor) {
      result += html.slice(at, from) + escapeHtml(mark.href);
      at = to;
      continue;
    }
    // Browsers use the first of two attributes with the same name.
    result += `${html.slice(at, open + 2)} target="_top"${html.slice(open + 2, from)}${escapeHtml(mark.href)}`;
    const end = endOfTag(html, to, html[from - 1] ?? '');
    result += `${html.slice(to, end)}${badge(mark)}`;
    at = end;
  }
  return result + html.slice(at);
}

function annotateText(text: string, places: readonly LinkPlace[], marks: ReadonlyMap<number, Mark>): string {
  let result = '';
  let at = 0;
  for (const [from, to, link] of places) {
    const mark = marks.get(link);
    if (mark === undefined || from < at) continue;
    result += `${escapeHtml(text.slice(at, from))}${badge(mark)}<a target="_top" href="${escapeHtml(mark.href)}">${escapeHtml(text.slice(from, to))}</a>`;
    at = to;
  }
  return result + escapeHtml(text.slice(at));
}

/** Returns the position after the `>` of a tag. `from` is in the value of an attribute that began with `quote`, unless this is no quote. */
function endOfTag(html: string, from: number, quote: string): number {
  let open: string | undefined = quote === '"' || quote === "'" ? quote : undefined;
  for (let at = from; at < html.length; at++) {
    const character = html[at] as string;
    if (open !== undefined) {
      if (character === open) open = undefined;
    } else if (character === '>') return at + 1;
    else if (character === '"' || character === "'") open = character;
  }
  return html.length;
}

const badge = ({ text, weight }: Mark): string =>
  `<span style="display:inline-block;margin:0 .3em 0 0;padding:0 .45em;border:1px solid #0b62a8;border-radius:1em;background:rgb(${[255 - 85 * weight, 255 - 50 * weight, 255 - 15 * weight].map(Math.round).join(',')});color:#0b3d68;font:bold 12px/1.5 system-ui,sans-serif;text-decoration:none;white-space:nowrap">${escapeHtml(text)}</span>`;
