import { ClickledgerError } from '../../core/errors.ts';
import { decide, type KeepReason, type TrackingRules } from './decide.ts';
import { decode, detectEncoding, type Encoding } from './encoding.ts';
import { type FoundLink, type Landmarks, scanHtml } from './html-links.ts';
import { scanText } from './text-links.ts';

// Plans the changes to one part of a letter without changing it: which links are tracked, which are kept and why, and where the pixel goes.

export type PixelPlace = 'top' | 'bottom' | 'none';

/** A link that will be tracked. `from` to `to` is the position of its URL in the letter. */
export interface PlannedLink extends FoundLink {
  /** The URL that the tracked link redirects to. Links of one letter with the same target and label are one link. */
  readonly target: string;
}

/** A link that stays as it is. */
export interface KeptLink extends FoundLink {
  readonly reason: KeepReason;
}

export interface LetterPlan {
  readonly kind: 'html' | 'text';
  readonly text: string;
  readonly encoding: Encoding;
  readonly tracked: readonly PlannedLink[];
  readonly kept: readonly KeptLink[];
  /** The position at which the pixel is inserted; undefined: no pixel is inserted. */
  readonly pixelAt: number | undefined;
  readonly amp: boolean;
  /** True: the letter already has tracked links, a pixel, or merge tags of an earlier run. */
  readonly hasTracking: boolean;
}

/** The name of the pixel's column in a merged letter. A second run finds the pixel by this name. */
export const PIXEL_COLUMN = 'CL_PIXEL';

/** Matches two header fields at the beginning of a file. Such a file is a whole mail message. */
const MAIL_HEADERS =
  /^\ufeff?(?:(?:Return-Path|Received|Delivered-To|MIME-Version|From|To|Subject|Date|Message-ID|Content-Type|X-[\w-]+):[^\n]*\n(?:[ \t][^\n]*\n)*){2}/i;

/** Reads one part of a letter and decides for each link whether it is tracked. Throws `bad-input` for a whole mail message or UTF-16. */
export function planLetter(
  bytes: Uint8Array,
  kind: 'html' | 'text',
  options: Omit<TrackingRules, 'base'> & { pixel: PixelPlace },
): LetterPlan {
  const encoding = detectEncoding(bytes);
  const text = decode(bytes, encoding);
  if (MAIL_HEADERS.test(text))
    throw new ClickledgerError('bad-input', 'the letter is a whole message with headers. Give only its HTML or its text part.');
  const { links, landmarks } = kind === 'html' ? scanHtml(text) : { links: scanText(text), landmarks: undefined };
  const tracked: PlannedLink[] = [];
  const kept: KeptLink[] = [];
  for (const link of links) {
    const decision = decide(link, { ...options, base: landmarks?.base });
    if (decision.track) tracked.push({ ...link, target: decision.target });
    else kept.push({ ...link, reason: decision.reason });
  }
  const hasPixel = landmarks?.images.some((address) => isPixel(address, options.baseUrl)) ?? false;
  const isMerged = kind === 'html' ? kept.some(({ address }) => /\bCL_\d+\b/.test(address)) : /\bCL_T\d+\b/.test(text);
  return {
    kind,
    text,
    encoding,
    tracked,
    kept,
    pixelAt: landmarks && !hasPixel ? pixelPosition(landmarks, text, options.pixel) : undefined,
    amp: landmarks?.amp ?? false,
    hasTracking: hasPixel || isMerged || kept.some(({ reason }) => reason === 'already-tracked'),
  };
}

/** Returns true if an earlier run prepared the letter: at least one part has tracking, and no part has a link left to track. */
export function isPrepared(plans: readonly LetterPlan[]): boolean {
  return plans.some((plan) => plan.hasTracking) && plans.every((plan) => plan.tracked.length === 0);
}

function isPixel(address: string, baseUrl: string): boolean {
  return address.startsWith(`${baseUrl}/r/`) || address.includes(PIXEL_COLUMN);
}

function pixelPosition(landmarks: Landmarks, text: string, place: PixelPlace): number | undefined {
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
