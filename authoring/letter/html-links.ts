import { decodeHTML, decodeHTMLAttribute } from 'entities';
import { type Attribute, isRaw, type Token, tokenize } from './tokens.ts';

// What a reader can follow in an HTML letter: <a> and <area>, and the VML shapes that Outlook shows as buttons, which stand in
// conditional comments. Nothing is judged here.

/** One address in a letter, HTML or text. `from` to `to` is where it stands, as it is spelled there. */
export interface FoundLink {
  readonly from: number;
  readonly to: number;
  /** The address as clients read it: entities decoded once, no line breaks, no spaces around. */
  readonly address: string;
  /** What the reader sees of it. */
  readonly words: string;
  /** The sentence it stands in. */
  readonly context: string;
  readonly noTrack: boolean;
  /** Tells links to the same address apart, where the author wants that: `data-track-label`. */
  readonly label: string;
}

/** Where things can be put into the letter, and what it says of itself. */
export interface Landmarks {
  afterBodyStart?: number;
  beforeBodyEnd?: number;
  beforeHtmlEnd?: number;
  afterHead?: number;
  afterHtmlStart?: number;
  afterDoctype?: number;
  /** From here on clients show nothing: something never ends. */
  unclosed?: number;
  /** `<base href>`, decoded. */
  base?: string;
  /** AMP for Email, which allows no <img>. */
  amp: boolean;
  /** Addresses of its images, decoded. */
  images: string[];
}

const BLOCK =
  /^(?:address|article|aside|blockquote|body|center|d[dlt]|div|fieldset|footer|form|h[1-6r]|header|li|main|nav|[ou]l|p|pre|section|table|t[dhr])$/;
/** So many characters are looked at on each side of a link, and of its own. */
const MAX_CONTEXT = 400;
/** One is part of a sentence, two are a paragraph. */
const LINE_BREAK = '\u2028';
/** A question mark is not among them: "Had enough? Click here." */
const SENTENCE_END = /\n|\u2028[ \u2028]*\u2028|[.!](?=\s)/;
const CONDITIONAL = /^\[if\b[^\]]*\]>/i;

interface OpenLink extends Omit<FoundLink, 'words' | 'context'> {
  element: string;
  /** Where its words are in the flow, with what its attributes say to those who cannot see it. */
  flowFrom: number;
  flowTo?: number;
  spoken: string;
}

/** Finds the links of an HTML letter in their order, and its landmarks. */
export function scanHtml(html: string): { links: FoundLink[]; landmarks: Landmarks } {
  const landmarks: Landmarks = { amp: false, images: [] };
  const links: OpenLink[] = [];
  /** Those whose end tag has not come yet. */
  const open: OpenLink[] = [];
  // What a reader reads, with a line break between blocks: the sentence around a link is found in it.
  let flow = '';

  function read(token: Token, conditional: boolean): void {
    switch (token.kind) {
      case 'text':
        flow += decodeHTML(html.slice(token.from, token.to)).replace(/\s+/g, ' ');
        return;
      case 'start':
        if (BLOCK.test(token.name)) flow += '\n';
        if (!conditional) markStart(token);
        readElement(token);
        return;
      case 'end':
        if (BLOCK.test(token.name)) flow += '\n';
        if (!conditional) markEnd(token);
        closeLink(token.name);
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
    const named = (wanted: string) => attributes.find((attribute) => attribute.name === wanted);
    if (name === 'img' || name === 'amp-img') flow += ` ${valueOf(named('alt'))} `;
    if (name === 'br') flow += LINE_BREAK;
    const href = named('href');
    if (name === 'a') closeLink('a');
    if (!href || !(name === 'a' || name === 'area' || name.startsWith('v:'))) return;
    const link: OpenLink = {
      from: href.from,
      to: href.to,
      address: clientAddress(valueOf(href)),
      noTrack: named('data-no-track') !== undefined,
      label: valueOf(named('data-track-label')),
      element: name,
      flowFrom: flow.length,
      spoken: ['title', 'aria-label', 'alt'].map((attribute) => valueOf(named(attribute))).join(' '),
    };
    links.push(link);
    // An <area> has no content, and VML is XML, where an element may end in itself.
    if (name === 'area' || (name !== 'a' && html.charAt(to - 2) === '/' && href.to < to - 1)) link.flowTo = flow.length;
    else open.push(link);
  }

  function closeLink(element: string): void {
    const at = open.findLastIndex((link) => link.element === element);
    // What was opened inside of it and never closed ends here, too.
    for (const link of at < 0 ? [] : open.splice(at)) link.flowTo = flow.length;
  }

  function readConditional({ bodyFrom, bodyTo }: Token & { kind: 'comment' }): void {
    const condition = CONDITIONAL.exec(html.slice(bodyFrom, bodyTo));
    if (!condition) return;
    for (const token of tokenize(html, bodyFrom + condition[0].length, bodyTo)) read(token, true);
  }

  function markStart({ name, to, attributes }: Token & { kind: 'start' }): void {
    const named = (wanted: string) => attributes.find((attribute) => attribute.name === wanted);
    if (name === 'body') landmarks.afterBodyStart ??= to;
    if (name === 'base' && named('href')) landmarks.base ??= clientAddress(valueOf(named('href')));
    if (name === 'img' || name === 'amp-img') landmarks.images.push(clientAddress(valueOf(named('src'))));
    if (name !== 'html') return;
    landmarks.afterHtmlStart ??= to;
    landmarks.amp ||= attributes.some((attribute) => /^(?:⚡4email|amp4email)$/u.test(attribute.name));
  }

  function markEnd({ name, from, to }: Token & { kind: 'end' }): void {
    if (name === 'body') landmarks.beforeBodyEnd = from;
    if (name === 'html') landmarks.beforeHtmlEnd = from;
    if (name === 'head') landmarks.afterHead ??= to;
  }

  // Where the start tag is whose raw text, or end tag, may have no end.
  let rawStart: number | undefined;
  for (const token of tokenize(html)) {
    read(token, false);
    if (token.kind === 'start') rawStart = isRaw(token.name) ? token.from : undefined;
    else if (token.kind !== 'raw' && token.kind !== 'unclosed') rawStart = undefined;
  }
  if (rawStart !== undefined) landmarks.unclosed = rawStart;
  // What follows would be taken for a part of it.
  else if (html.endsWith('</')) landmarks.unclosed ??= html.length - 2;
  return { links: links.map((link) => finish(link, flow)), landmarks };
}

function finish({ from, to: addressTo, address, noTrack, label, flowFrom, flowTo, spoken }: OpenLink, flow: string): FoundLink {
  const to = flowTo ?? flow.length;
  const words = tidy(`${flow.slice(flowFrom, Math.min(to, flowFrom + MAX_CONTEXT))} ${spoken}`);
  const before =
    flow
      .slice(Math.max(0, flowFrom - MAX_CONTEXT), flowFrom)
      .split(SENTENCE_END)
      .at(-1) ?? '';
  const after = flow.slice(to, to + MAX_CONTEXT).split(SENTENCE_END, 1)[0] ?? '';
  // No sentence points to an image without words.
  return { from, to: addressTo, address, noTrack, label, words, context: words === '' ? '' : tidy(`${before} ${words} ${after}`) };
}

const tidy = (text: string): string => text.replace(/\s+/g, ' ').trim();

/** What the URL parser of a client begins with: no control characters or spaces around, no tabs or line breaks inside (WHATWG URL, 4.4). */
export function clientAddress(value: string): string {
  return value.replace(/^[\x00-\x20]+|[\x00-\x20]+$/g, '').replace(/[\t\n\r]/g, '');
}
