import { ClickledgerError } from '../../core/errors.ts';
import { decide, type KeepReason, type TrackingRules } from './decide.ts';
import { decode, detectEncoding, type Encoding } from './encoding.ts';
import { type FoundLink, type Landmarks, scanHtml } from './html-links.ts';
import { scanText } from './text-links.ts';

// What will be done to a letter, before anything is done: which links are tracked, which are kept and why, where the pixel goes.

export type PixelPlace = 'top' | 'bottom' | 'none';

/** A link of the letter: `from` to `to` is where its address stands. */
export interface PlannedLink extends FoundLink {
  /** Where it leads when tracked; links of one letter with the same target and label are one link. */
  readonly target: string;
}

export interface KeptLink extends FoundLink {
  readonly reason: KeepReason;
}

export interface LetterPlan {
  readonly kind: 'html' | 'text';
  readonly text: string;
  readonly encoding: Encoding;
  readonly tracked: readonly PlannedLink[];
  readonly kept: readonly KeptLink[];
  /** Where the pixel is put in; undefined for none. */
  readonly pixelAt: number | undefined;
  readonly amp: boolean;
  /** It has tracked links or a pixel of ours already. */
  readonly hasOurs: boolean;
}

/** How the pixel of a merged letter is called, so that a second run finds it. */
export const PIXEL_COLUMN = 'CL_PIXEL';

/** Two lines of a mail header, at the very beginning. */
const MESSAGE =
  /^\ufeff?(?:(?:Return-Path|Received|Delivered-To|MIME-Version|From|To|Subject|Date|Message-ID|Content-Type|X-[\w-]+):[^\n]*\n(?:[ \t][^\n]*\n)*){2}/i;

/** Reads a letter and decides about each of its links. */
export function planLetter(
  bytes: Uint8Array,
  kind: 'html' | 'text',
  options: Omit<TrackingRules, 'base'> & { pixel: PixelPlace },
): LetterPlan {
  const encoding = detectEncoding(bytes);
  const text = decode(bytes, encoding);
  if (MESSAGE.test(text))
    throw new ClickledgerError('bad-input', 'this is a whole message with its headers: give its HTML or text part alone');
  const { links, landmarks } = kind === 'html' ? scanHtml(text) : { links: scanText(text), landmarks: undefined };
  const tracked: PlannedLink[] = [];
  const kept: KeptLink[] = [];
  for (const link of links) {
    const decision = decide(link, { ...options, base: landmarks?.base });
    if (decision.track) tracked.push({ ...link, target: decision.target });
    else kept.push({ ...link, reason: decision.reason });
  }
  const hasPixel = landmarks?.images.some((address) => isOurPixel(address, options.baseUrl)) ?? false;
  const merged = kind === 'html' ? kept.some(({ address }) => /\bCL_\d+\b/.test(address)) : /\bCL_T\d+\b/.test(text);
  return {
    kind,
    text,
    encoding,
    tracked,
    kept,
    pixelAt: landmarks && !hasPixel ? pixelPlace(landmarks, text, options.pixel) : undefined,
    amp: landmarks?.amp ?? false,
    hasOurs: hasPixel || merged || kept.some(({ reason }) => reason === 'already-tracked'),
  };
}

/** Nothing is left to do, because it has been done. */
export function isPrepared(plans: readonly LetterPlan[]): boolean {
  return plans.some((plan) => plan.hasOurs) && plans.every((plan) => plan.tracked.length === 0);
}

function isOurPixel(address: string, baseUrl: string): boolean {
  return address.startsWith(`${baseUrl}/r/`) || address.includes(PIXEL_COLUMN);
}

function pixelPlace(landmarks: Landmarks, text: string, place: PixelPlace): number | undefined {
  const start = landmarks.afterHtmlStart ?? landmarks.afterDoctype ?? (text.startsWith('\ufeff') ? 1 : 0);
  switch (place) {
    case 'none':
      return undefined;
    case 'top':
      return landmarks.afterBodyStart ?? landmarks.afterHead ?? start;
    case 'bottom':
      return landmarks.beforeBodyEnd ?? landmarks.beforeHtmlEnd ?? landmarks.unclosed ?? text.length;
  }
}
