import { decodeHTML } from 'entities';
import type { DomNode, FormatCallback, RecursiveCallback, SelectorDefinition } from 'html-to-text';
import { decode } from '../letter/encoding.ts';
import type { FoundLink } from '../letter/html-links.ts';
import { hasMergedLinks, hasUnsubscribeTag, type KeptLink, type LetterPlan, type PlannedLink } from '../letter/plan.ts';
import { visibleText } from './invisible-characters.ts';
import { protectTags, unusedPrefix } from './protected-tags.ts';

// Makes the text part of a letter from its HTML part. A link of the text is tracked exactly if the same link of the HTML is tracked, because the
// text has no attributes such as `data-no-track`, and less context. So each address is replaced with a word before the conversion, and the plan
// of the text gets the decision of the HTML at the place of this word.

/** Elements that mail programs do not show. Letters begin with hidden text that is shown beside the subject in the list of messages. */
const HIDDEN_STYLE =
  /(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden|(?:max-height|opacity)\s*:\s*0(?:\.0+)?(?:px|em|pt|%)?)\s*(?:!important\s*)?(?:;|$)/i;
/** A font size in a style. The group is empty if the size is 0. */
const FONT_SIZE = /(?:^|;)\s*font-size\s*:\s*(?:0(?:\.0+)?(?:px|em|pt|%)?\s*(?:!important\s*)?(?:;|$)|(\S))/i;

type Link = PlannedLink | KeptLink;
type Builder = Parameters<FormatCallback>[2];

/**
 * Returns the plan of a text part in UTF-8 that is made from the plan of an HTML part. Links are written `words (address)`, and images as
 * their `alt` text. Tags such as `{{name}}` stay as they are.
 */
export async function deriveText(html: LetterPlan): Promise<LetterPlan> {
  const { htmlToText } = await import('html-to-text');
  const { base } = html;
  const links: readonly Link[] = [...html.tracked, ...html.kept].toSorted((a, b) => a.from - b.from);
  const prefix = unusedPrefix(html.text, '0cllink');
  const wordOf = (index: number): string => `${prefix}${index}e`;
  const { text: source, restore } = protectTags(withLinkWords(html.text, links, wordOf));
  const indexOf = new Map(links.map((_, index) => [wordOf(index), index]));
  const linkOf = (element: DomNode): number | undefined => indexOf.get(attribute(element, 'href')?.trim() ?? '');

  const formatLink: FormatCallback = (element, walk, builder) => {
    if (isHidden(element)) return;
    const index = linkOf(element);
    const address = index === undefined ? undefined : addressInText(links[index] as Link, base);
    const words = collapse(textOf(element));
    if (address === undefined) return walk(element.children ?? [], builder);
    if (words === '' || isSameAddress(words, address)) return builder.addInline(wordOf(index as number));
    if (element.name === 'area') builder.addInline(words);
    else walk(element.children ?? [], builder);
    builder.addInline(` (${wordOf(index as number)})`);
  };

  const converted = htmlToText(source, {
    wordwrap: false,
    // Without the zero-width space, which the library takes for a space.
    whitespaceCharacters: ' \t\r\n\f',
    // No element is selected, so the whole letter is converted, also what a sending program has added after </html>.
    baseElements: { selectors: ['no-such-element'], returnDomByDefault: true },
    limits: { maxInputLength: Number.MAX_SAFE_INTEGER, ellipsis: '' },
    formatters: {
      link: formatLink,
      picture: formatImage,
      shown: (element, walk, builder) => (isHidden(element) ? undefined : walk(element.children ?? [], builder)),
      box: block(1),
      section: block(2),
      row: formatRow,
      cell: formatCell,
    },
    selectors: SELECTORS,
  });
  return planText(restore(visibleText(apart(converted, prefix)), decodeHTML), html, links, prefix);
}

const heading = (selector: string): SelectorDefinition => ({ selector, format: 'heading', options: { uppercase: false } });

const SELECTORS: SelectorDefinition[] = [
  { selector: '*', format: 'shown' },
  ...['style', 'script', 'title', 'head', 'template', 'noscript'].map((selector) => ({ selector, format: 'skip' })),
  ...['div', 'center', 'section', 'article', 'header', 'footer', 'main', 'nav', 'aside', 'form', 'address', 'dt', 'dd'].map((selector) => ({
    selector,
    format: 'box',
  })),
  { selector: 'p', format: 'section' },
  { selector: 'table', format: 'section' },
  { selector: 'tr', format: 'row' },
  { selector: 'td', format: 'cell' },
  { selector: 'th', format: 'cell' },
  { selector: 'a', format: 'link' },
  { selector: 'area', format: 'link' },
  { selector: 'img', format: 'picture' },
  ...['h1', 'h2', 'h3', 'h4', 'h5', 'h6'].map(heading),
];

function block(lineBreaks: number): FormatCallback {
  return (element, walk, builder) => {
    if (isHidden(element)) return;
    builder.openBlock({ leadingLineBreaks: lineBreaks });
    walk(element.children ?? [], builder);
    builder.closeBlock({ trailingLineBreaks: lineBreaks });
  };
}

/** Images that nobody sees, such as a pixel for counting, have no text. */
function formatImage(element: DomNode, _walk: RecursiveCallback, builder: Builder): void {
  const isTiny = [attribute(element, 'width'), attribute(element, 'height')].some(
    (size) => size !== undefined && /^[01](?:px)?$/.test(size.trim()),
  );
  const alt = collapse(attribute(element, 'alt') ?? '');
  if (alt !== '' && !isTiny && !isHidden(element)) builder.addInline(alt);
}

function formatRow(element: DomNode, walk: RecursiveCallback, builder: Builder): void {
  if (isHidden(element)) return;
  builder.openBlock({ leadingLineBreaks: 1 });
  walk(element.children ?? [], builder);
  builder.closeBlock({ trailingLineBreaks: 1 });
}

/** In a table of data, the cells of a row are in one line. In a table that only places the parts of the letter, each cell has its own lines. */
function formatCell(element: DomNode, walk: RecursiveCallback, builder: Builder): void {
  if (isHidden(element)) return;
  if (!isInDataTable(element)) return block(1)(element, walk, builder, {});
  const cells = (element.parent?.children ?? []).filter(({ name }) => name === 'td' || name === 'th');
  if (cells.indexOf(element) > 0) builder.addInline(' | ');
  walk(element.children ?? [], builder);
}

function isInDataTable(cell: DomNode): boolean {
  let table: DomNode | null | undefined = cell.parent;
  while (table && table.name !== 'table') table = table.parent;
  return table ? hasHeaderCell(table) : false;
}

/** Returns whether a table has a <th> of its own. */
function hasHeaderCell(element: DomNode): boolean {
  return (element.children ?? []).some((child) => child.name === 'th' || (child.name !== 'table' && hasHeaderCell(child)));
}

const attribute = (element: DomNode, name: string): string | undefined => element.attribs?.[name];

function isHidden(element: DomNode): boolean {
  const style = attribute(element, 'style') ?? '';
  return attribute(element, 'hidden') !== undefined || HIDDEN_STYLE.test(style) || (fontSizeIn(style) === 'none' && !setsFontSize(element));
}

/** Returns what a style says about the font size, or undefined. */
function fontSizeIn(style: string): 'none' | 'some' | undefined {
  const found = FONT_SIZE.exec(style);
  return found ? (found[1] === undefined ? 'none' : 'some') : undefined;
}

/**
 * Returns whether an element in this one has a font size. MJML and others set the size of boxes to 0, against gaps between them, and set it again
 * for the text in the boxes.
 */
function setsFontSize(element: DomNode): boolean {
  return (element.children ?? []).some((child) => fontSizeIn(attribute(child, 'style') ?? '') === 'some' || setsFontSize(child));
}

/** The text that a link shows, with the `alt` texts of its images. */
function textOf(element: DomNode): string {
  if (element.type === 'text') return element.data ?? '';
  if (isHidden(element)) return '';
  return element.name === 'img' || element.name === 'area'
    ? (attribute(element, 'alt') ?? '')
    : (element.children ?? []).map(textOf).join('');
}

const collapse = (text: string): string => visibleText(text).replace(/\s+/g, ' ').trim();

/** Replaces the addresses of the links with words. */
function withLinkWords(html: string, links: readonly FoundLink[], wordOf: (index: number) => string): string {
  let replaced = '';
  let at = 0;
  for (const [index, { from, to }] of links.entries()) {
    replaced += html.slice(at, from) + wordOf(index);
    at = to;
  }
  return replaced + html.slice(at);
}

/**
 * Puts a space between an address and a word that follows or precedes it directly. Buttons often stand side by side without a space, and a mail
 * program would take the word for a part of the address.
 */
function apart(text: string, prefix: string): string {
  const word = `${prefix}\\d+e`;
  return text
    .replace(new RegExp(`${word}\\)?(?=[\\p{L}\\p{N}{])`, 'gu'), '$& ')
    .replace(new RegExp(`(?<=[\\p{L}\\p{N}}])${word}`, 'gu'), ' $&');
}

/** Returns the address of a link as a text can have it. Undefined if it leads nowhere outside of the HTML. */
function addressInText(link: Link, base: string | undefined): string | undefined {
  if ('reason' in link && (link.reason === 'empty' || link.reason === 'anchor')) return undefined;
  const address = link.address.replaceAll(' ', '%20');
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(address)?.[1]?.toLowerCase();
  if (scheme === 'javascript' || scheme === 'data' || scheme === 'cid') return undefined;
  // The text shows whom to write to, without a subject that a program would fill in.
  if (scheme === 'mailto') return address.replace(/^mailto:/i, '').replace(/\?.*$/, '');
  if (scheme !== undefined) return address.replace(/^tel:/i, '');
  if ('reason' in link && link.reason === 'relative') return undefined;
  return base !== undefined && URL.canParse(address, base) && !address.includes('{{') ? new URL(address, base).href : address;
}

/** Returns whether a link shows its own address, so that the text need not have it twice. */
function isSameAddress(words: string, address: string): boolean {
  const bare = (text: string): string =>
    text
      .replace(/^https?:\/\//i, '')
      .replace(/\/$/, '')
      .toLowerCase();
  return bare(words) === bare(address);
}

/** Puts the addresses into the text, and makes the plan of the text. */
function planText(words: string, html: LetterPlan, links: readonly Link[], prefix: string): LetterPlan {
  const tracked: PlannedLink[] = [];
  const kept: KeptLink[] = [];
  let text = '';
  let at = 0;
  for (const { 0: word, 1: index, index: start } of words.matchAll(new RegExp(`${prefix}(\\d+)e`, 'g'))) {
    const link = links[Number(index)] as Link;
    const address = addressInText(link, html.base) ?? link.address;
    text += words.slice(at, start);
    const place = { ...link, from: text.length, to: text.length + address.length, label: 'text' };
    if ('reason' in place) kept.push(place);
    else tracked.push({ ...place, address });
    text += address;
    at = start + word.length;
  }
  text = `${(text + words.slice(at)).trimEnd()}\n`;
  return {
    ...decode(Buffer.from(text), 'utf-8'),
    kind: 'text',
    isDeclared: true,
    addresses: [...tracked, ...kept].toSorted((a, b) => a.from - b.from),
    tracked,
    kept,
    pixelAt: undefined,
    honeypotAt: undefined,
    amp: false,
    hasUnsubscribe: hasUnsubscribeTag(text),
    hasTracking: hasMergedLinks(text) || html.hasTracking,
    warnings: [],
  };
}
