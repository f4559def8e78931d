import { isUtf8 } from 'node:buffer';
import { ClickledgerError } from '../../core/errors.ts';
import { decide, type Decide, type KeepReason, type TrackingRules } from './decide.ts';
import { decode, type DecodedText, detectEncoding, type DetectedEncoding, encodeQuery, type Encoding, isValidAt } from './encoding.ts';
import { type FoundLink, type Landmarks, scanHtml } from './html-links.ts';
import { hasHoneypotTag } from './inserted-tags.ts';
import { isMailMessage } from './recognise-file.ts';
import { scanText } from './text-links.ts';

// Plans the changes to one part of a letter without changing it: which links are tracked, which links are kept and for which reason, and
// where the pixel is inserted.

export type PixelPlace = 'top' | 'bottom' | 'none';

/** A link that will be tracked. `from` to `to` is the position of its URL in the letter. */
export interface PlannedLink extends FoundLink {
  /** The URL that the tracked link redirects to. Links of one letter with the same target and label are one link. */
  readonly target: string;
}

/** A link that is not changed. */
export interface KeptLink extends FoundLink {
  readonly reason: KeepReason;
}

export interface LetterPlan extends DecodedText {
  readonly kind: 'html' | 'text';
  /** True if the letter itself or the user gave the encoding. */
  readonly isDeclared: boolean;
  /** The sorted positions of all addresses. These are addresses of links, images and forms. */
  readonly addresses: readonly { readonly from: number; readonly to: number }[];
  readonly tracked: readonly PlannedLink[];
  readonly kept: readonly KeptLink[];
  /** The position at which the pixel is inserted. Undefined if no pixel is inserted. */
  readonly pixelAt: number | undefined;
  /** The position at which a link is inserted that no person sees. Undefined if none is inserted. */
  readonly honeypotAt: number | undefined;
  readonly amp: boolean;
  /** `<base href>` of an HTML letter. */
  readonly base?: string | undefined;
  /** True if the letter has the tag `{{unsubscribe}}`. */
  readonly hasUnsubscribe: boolean;
  /** True if the letter already has tracked links, a pixel, or merge tags of an earlier run. */
  readonly hasTracking: boolean;
  /** Messages to the author about the encoding of the letter. */
  readonly warnings: readonly string[];
}

export interface PlanOptions extends Omit<TrackingRules, 'base'> {
  pixel: PixelPlace;
  /** True if the HTML part gets a hidden link to the target of its first tracked link. Without a tracked link it gets none. */
  honeypot?: boolean;
  /** The encoding that the user gives. It takes precedence over a declaration in the letter. */
  charset?: Encoding | undefined;
  /** The encoding of a letter that is not UTF-8 and declares no encoding. */
  fallback?: Encoding | undefined;
  /** A function that decides as `decide` does. The default is `decide`. */
  decide?: Decide;
  /** True if the bytes are known to be the body of a part. It may begin like a whole message, e.g. if it quotes one. */
  isBody?: boolean;
}

/**
 * `{{unsubscribe}}` in a letter stands for the URL at which the recipient unsubscribes. A column of the list with this name is not inserted,
 * because exports of mail services have it as a flag.
 */
export const UNSUBSCRIBE = 'unsubscribe';
/** A pattern for `{{unsubscribe}}` or `{{{unsubscribe}}}` that an editor has percent-encoded in an address. */
export const ENCODED_UNSUBSCRIBE = String.raw`(?:%7[Bb]){2,3}(?:%20|\+|\s)*unsubscribe(?:%20|\+|\s)*(?:%7[Dd]){2,3}`;
/** Returns true if a text has the tag `{{unsubscribe}}`. */
export const hasUnsubscribeTag = (text: string): boolean => UNSUBSCRIBE_TAG.test(text);
/** Returns true if a plain text has merge tags of an earlier run. */
export const hasMergedLinks = (text: string): boolean => /\bCL_T\d+\b/.test(text);
const UNSUBSCRIBE_TAG = new RegExp(String.raw`\{\{\s*unsubscribe\s*\}\}|${ENCODED_UNSUBSCRIBE}`);
/** The name of the column with this URL in a merged letter. */
export const UNSUBSCRIBE_COLUMN = 'CL_UNSUB';
/** The name of the pixel's column in a merged letter. A second run finds the pixel by this name. */
export const PIXEL_COLUMN = 'CL_PIXEL';
/** The name of the hidden link's column in a merged letter. */
export const HONEYPOT_COLUMN = 'CL_HIDDEN';

/**
 * Reads one part of a letter and decides for each link whether it is tracked. Throws `bad-input` for a whole mail message, and for a link
 * whose address has bytes that are not valid in the encoding of the letter.
 */
export function planLetter(bytes: Uint8Array, kind: 'html' | 'text', options: PlanOptions): LetterPlan {
  const { charset, fallback } = options;
  const detected = detectEncoding(bytes, { charset, html: kind === 'html', ...(fallback === undefined ? {} : { fallback }) });
  const decoded = decode(bytes, detected.encoding);
  const { text } = decoded;
  if (options.isBody !== true && isMailMessage(text))
    throw new ClickledgerError('bad-input', 'the letter is a whole message with headers. Give only its HTML or its text part.');
  const { links, landmarks } = kind === 'html' ? scanHtml(text) : { links: scanText(text), landmarks: undefined };
  const decideLink = options.decide ?? decide;
  const rules = { ...options, base: landmarks?.base };
  const tracked: PlannedLink[] = [];
  const kept: KeptLink[] = [];
  for (const found of links) {
    const link = { ...found, address: encodeQuery(found.address, detected.encoding) };
    const decision = decideLink(link, rules);
    if (decision.track) tracked.push({ ...link, target: decision.target });
    else kept.push({ ...link, reason: decision.reason });
  }
  const damaged = tracked.find(({ from, to }) => !isValidAt(decoded, from, to));
  if (damaged)
    throw new ClickledgerError(
      'bad-input',
      `${placeOf(text, damaged.from)}: the address '${damaged.address}' has bytes that are not valid ${detected.encoding}. Correct the address, or give the charset of the letter with --charset.`,
    );
  const hasPixel = landmarks?.images.some((address) => isPixel(address, options.baseUrls)) ?? false;
  const isMerged = kind === 'html' ? kept.some(({ address }) => /\bCL_\d+\b/.test(address)) : hasMergedLinks(text);
  return {
    ...decoded,
    kind,
    isDeclared: detected.source !== 'bytes' && detected.source !== 'fallback',
    addresses: landmarks?.addresses ?? links,
    tracked,
    kept,
    pixelAt: landmarks && !hasPixel ? pixelPosition(landmarks, text, options.pixel) : undefined,
    honeypotAt: options.honeypot && landmarks && tracked.length > 0 && !hasHoneypotTag(text) ? startOfBody(landmarks, text) : undefined,
    amp: landmarks?.amp ?? false,
    base: landmarks?.base,
    hasUnsubscribe: hasUnsubscribeTag(text),
    hasTracking: hasPixel || isMerged || kept.some(({ reason }) => reason === 'already-tracked'),
    warnings: encodingWarnings(bytes, decoded, detected, kind),
  };
}

/** Returns the place of a position for a message: its line and column, both counted from 1. */
function placeOf(text: string, position: number): string {
  const lines = text.slice(0, position).split('\n');
  return `line ${lines.length}, column ${(lines.at(-1) ?? '').length + 1}`;
}

function encodingWarnings(
  bytes: Uint8Array,
  decoded: DecodedText,
  { encoding, source }: DetectedEncoding,
  kind: 'html' | 'text',
): string[] {
  const { text } = decoded;
  const part = kind === 'html' ? 'the letter' : 'the text part';
  const warnings: string[] = [];
  if (source === 'fallback')
    warnings.push(
      `${part} is not UTF-8 and declares no charset. It was read as ${encoding}. If this is wrong, give its charset with --charset.`,
    );
  if (source === 'meta' && encoding !== 'utf-8' && isUtf8(bytes) && bytes.some((byte) => byte > 0x7f))
    warnings.push(
      `${part} declares the charset ${encoding}, but its bytes are UTF-8. It was read as ${encoding}, as browsers do. If this is wrong, give --charset utf-8.`,
    );
  const damagedAt = Array.from(text.matchAll(/\ufffd+/g))
    .filter(({ 0: run, index }) => !isValidAt(decoded, index, index + run.length))
    .map(({ index }) => index);
  if (damagedAt.length > 0)
    warnings.push(
      `${part} has bytes in ${damagedAt.length} ${damagedAt.length === 1 ? 'place' : 'places'} that are not valid ${encoding}, the first at ${placeOf(text, damagedAt[0] as number)}. They stay as they are.`,
    );
  return warnings;
}

/**
 * Returns true if an earlier run prepared the letter. Then at least one part has tracking, and no part has a link that must still be
 * tracked or a place for the link for unsubscribing.
 */
export function isPrepared(plans: readonly LetterPlan[]): boolean {
  return plans.some((plan) => plan.hasTracking) && plans.every((plan) => plan.tracked.length === 0 && !plan.hasUnsubscribe);
}

function isPixel(address: string, baseUrls: readonly string[]): boolean {
  return baseUrls.some((baseUrl) => address.startsWith(`${baseUrl}/r/`)) || address.includes(PIXEL_COLUMN);
}

function pixelPosition(landmarks: Landmarks, text: string, place: PixelPlace): number | undefined {
  switch (place) {
    case 'none':
      return undefined;
    case 'top':
      return startOfBody(landmarks, text);
    case 'bottom':
      return landmarks.beforeBodyEnd ?? landmarks.beforeHtmlEnd ?? landmarks.unclosed ?? text.length;
  }
}

function startOfBody(landmarks: Landmarks, text: string): number {
  const start = landmarks.afterHtmlStart ?? landmarks.afterDoctype ?? (text.startsWith('\ufeff') ? 1 : 0);
  return landmarks.afterBodyStart ?? landmarks.afterHead ?? start;
}
