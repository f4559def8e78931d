import { decodeHTML, decodeHTMLAttribute } from 'entities';
import { type Attribute, isRaw, type Token, tokenize } from './tokens.ts';

// Finds the links of an HTML letter: <a>, <area>, and the VML shapes in conditional comments, which Outlook shows as buttons. decide.ts
// decides which of the links are tracked.

/** One link in an HTML letter or a text letter. `from` to `to` is the position of the URL as it is spelled in the letter. */
export interface FoundLink {
  readonly from: number;
  readonly to: number;
  /** The URL as clients read it: character references are decoded once, line breaks and surrounding spaces are removed. */
  readonly address: string;
  /** The visible text of the link, with the text of its title, aria-label and alt attributes. Empty for a link in plain text. */
  readonly words: string;
  /** The sentence around the link. */
  readonly context: string;
  /** True if the link has the attribute `data-no-track`. */
  readonly noTrack: boolean;
  /**
   * The value of `data-track-label`. Links to the same URL with different labels are different links. The label is 'text' in plain text.
   */
  readonly label: string;
}

/** Positions at which a pixel can be inserted, and properties of the whole letter. */
export interface Landmarks {
  afterBodyStart?: number;
  beforeBodyEnd?: number;
  beforeHtmlEnd?: number;
  afterHead?: number;
  afterHtmlStart?: number;
  afterDoctype?: number;
  /** The position at which an unclosed tag, comment or raw-text element begins. Clients show nothing after this position. */
  unclosed?: number;
  /** `<base href>`, decoded. */
  base?: string;
  /** True if the letter is AMP for Email, which does not allow <img>. */
  amp: boolean;
  /** The URLs of all images, decoded. */
  images: string[];
  /** The positions of all attribute values that are addresses, in the order of the letter. */
  addresses: { from: number; to: number }[];
}

/** The attributes whose value is an address (WHATWG HTML, index of attributes; `background` is obsolete, but used in letters). */
const ADDRESS_ATTRIBUTES = /^(?:action|background|cite|data|formaction|href|longdesc|ping|poster|src|xlink:href)$/;
const BLOCK_ELEMENTS =
  /^(?:address|article|aside|blockquote|body|center|d[dlt]|div|fieldset|footer|form|h[1-6r]|header|li|main|nav|[ou]l|p|pre|section|table|t[dhr])$/;
/** At most this many characters are read from the text of a link, and from the text on each side of it. */
const MAX_CONTEXT = 400;
/** The character for a <br> in the visible text of the letter. One <br> does not end a sentence, but two <br> do. */
const LINE_BREAK = '\u2028';
/** A question mark does not end the context, because of texts like "Had enough? Click here." */
const SENTENCE_END = /\n|\u2028[ \u2028]*\u2028|[.!](?=\s)/;
const CONDITIONAL = /^\[if\b[^\]]*\]>/i;

interface ScannedLink extends Omit<FoundLink, 'words' | 'context'> {
  element: string;
  /** The position of the link's text in `flow`, the visible text of the letter. `flowTo` is missing for a link without an end. */
  flowFrom: number;
  flowTo?: number;
  /** The text of the attributes title, aria-label and alt. */
  attributeText: string;
}

/** Returns the links of an HTML letter, in the order of the letter, and its landmarks. */
export function scanHtml(html: string): { links: FoundLink[]; landmarks: Landmarks } {
  const landmarks: Landmarks = { amp: false, images: [], addresses: [] };
  const links: ScannedLink[] = [];
  /** The links whose end tag has not been read. */
  const open: ScannedLink[] = [];
  /** The number of <svg> elements that are open. */
  let openSvg = 0;
  // The visible text of the letter, with a line break between blocks. The sentence around a link is taken from this text.
  let flow = '';

  function read(token: Token, conditional: boolean): void {
    switch (token.kind) {
      case 'text':
        flow += decodeHTML(html.slice(token.from, token.to)).replace(/\s+/g, ' ');
        return;
      case 'start':
        if (BLOCK_ELEMENTS.test(token.name)) flow += '\n';
        if (!conditional) readStartLandmarks(token);
        readElement(token);
        return;
      case 'end':
        if (BLOCK_ELEMENTS.test(token.name)) flow += '\n';
        if (!conditional) readEndLandmarks(token);
        closeLink(token.name);
        if (token.name === 'svg' && openSvg > 0) openSvg--;
        return;
      case 'comment':
        readConditional(token);
        return;
      case 'bogus':
        if (!conditional && /^<!doctype/i.test(html.slice(token.from, token.to))) landmarks.afterDoctype ??= token.to;
        return;
      case 'unclosed':
        if (!conditional) landmarks.unclosed = token.from;
        return;
      case 'raw':
        return;
    }
  }

  const valueOf = (attribute: Attribute | undefined): string =>
    attribute === undefined ? '' : decodeHTMLAttribute(html.slice(attribute.from, attribute.to));

  function readElement({ name, attributes, to }: Token & { kind: 'start' }): void {
    const attributeOf = (wanted: string) => attributes.find((attribute) => attribute.name === wanted);
    for (const { name: attribute, from, to: end } of attributes)
      if (ADDRESS_ATTRIBUTES.test(attribute)) landmarks.addresses.push({ from, to: end });
    if (name === 'img' || name === 'amp-img') flow += ` ${valueOf(attributeOf('alt'))} `;
    if (name === 'br') flow += LINE_BREAK;
    if (name === 'svg' && html.charAt(to - 2) !== '/') openSvg++;
    // An <a> in an SVG drawing may have `xlink:href`. Clients prefer `href`.
    const href = attributeOf('href') ?? (name === 'a' && openSvg > 0 ? attributeOf('xlink:href') : undefined);
    if (name === 'a') closeLink('a');
    if (!href || !(name === 'a' || name === 'area' || name.startsWith('v:'))) return;
    const link: ScannedLink = {
      from: href.from,
      to: href.to,
      address: clientAddress(valueOf(href)),
      noTrack: attributeOf('data-no-track') !== undefined,
      label: valueOf(attributeOf('data-track-label')),
      element: name,
      flowFrom: flow.length,
      attributeText: ['title', 'aria-label', 'alt'].map((attribute) => valueOf(attributeOf(attribute))).join(' '),
    };
    links.push(link);
    // An <area> has no content. VML is XML, in which a tag that ends in `/>` has no content.
    if (name === 'area' || (name !== 'a' && html.charAt(to - 2) === '/' && href.to < to - 1)) link.flowTo = flow.length;
    else open.push(link);
  }

  function closeLink(element: string): void {
    const at = open.findLastIndex((link) => link.element === element);
    // Links inside this link that have no end tag end here, too.
    for (const link of at < 0 ? [] : open.splice(at)) link.flowTo = flow.length;
  }

  function readConditional({ bodyFrom, bodyTo }: Token & { kind: 'comment' }): void {
    const condition = CONDITIONAL.exec(html.slice(bodyFrom, bodyTo));
    if (!condition) return;
    for (const token of tokenize(html, bodyFrom + condition[0].length, bodyTo)) read(token, true);
  }

  function readStartLandmarks({ name, to, attributes }: Token & { kind: 'start' }): void {
    const attributeOf = (wanted: string) => attributes.find((attribute) => attribute.name === wanted);
    if (name === 'body') landmarks.afterBodyStart ??= to;
    if (name === 'base' && attributeOf('href')) landmarks.base ??= clientAddress(valueOf(attributeOf('href')));
    if (name === 'img' || name === 'amp-img') landmarks.images.push(clientAddress(valueOf(attributeOf('src'))));
    if (name !== 'html') return;
    landmarks.afterHtmlStart ??= to;
    landmarks.amp ||= attributes.some((attribute) => /^(?:⚡4email|amp4email)$/u.test(attribute.name));
  }

  function readEndLandmarks({ name, from, to }: Token & { kind: 'end' }): void {
    if (name === 'body') landmarks.beforeBodyEnd = from;
    if (name === 'html') landmarks.beforeHtmlEnd = from;
    if (name === 'head') landmarks.afterHead ??= to;
  }

  // The position of the last start tag, if its element has raw text and the end tag has not been read.
  let rawStart: number | undefined;
  for (const token of tokenize(html)) {
    read(token, false);
    if (token.kind === 'start') rawStart = isRaw(token.name) ? token.from : undefined;
    else if (token.kind !== 'raw' && token.kind !== 'unclosed') rawStart = undefined;
  }
  if (rawStart !== undefined) landmarks.unclosed = rawStart;
  // Text that is inserted after a final `</` would become part of a comment. So the pixel must be before the `</`.
  else if (html.endsWith('</')) landmarks.unclosed ??= html.length - 2;
  return { links: links.map((link) => toFoundLink(link, flow)), landmarks };
}

function toFoundLink(
  { from, to: addressTo, address, noTrack, label, flowFrom, flowTo, attributeText }: ScannedLink,
  flow: string,
): FoundLink {
  const to = flowTo ?? flow.length;
  const words = collapseSpaces(`${flow.slice(flowFrom, Math.min(to, flowFrom + MAX_CONTEXT))} ${attributeText}`);
  const before =
    flow
      .slice(Math.max(0, flowFrom - MAX_CONTEXT), flowFrom)
      .split(SENTENCE_END)
      .at(-1) ?? '';
  const after = flow.slice(to, to + MAX_CONTEXT).split(SENTENCE_END, 1)[0] ?? '';
  // A link without words has no context, because a sentence does not refer to an image without text.
  return {
    from,
    to: addressTo,
    address,
    noTrack,
    label,
    words,
    context: words === '' ? '' : collapseSpaces(`${before} ${words} ${after}`),
  };
}

const collapseSpaces = (text: string): string => text.replace(/\s+/g, ' ').trim();

/**
 * Removes control characters and spaces around a URL, and tabs and line breaks inside it. The URL parser of a client does the same as its
 * first step (WHATWG URL, 4.4).
 */
export function clientAddress(value: string): string {
  return value.replace(/^[\x00-\x20]+|[\x00-\x20]+$/g, '').replace(/[\t\n\r]/g, '');
}
