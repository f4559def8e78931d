import { ClickledgerError } from '../../core/errors.ts';
import { type Encoding, parseCharset } from '../../authoring/letter/encoding.ts';
import { type Header, rawValue, type StructuredValue, structuredValue, withoutComments } from './header.ts';

// Decides by the header of a message or of a MIME part whether its body may change.

/** The reasons for which a part passes untouched although it has text. Parts such as images have no reason. */
export const UNTOUCHED = [
  'signed',
  'encrypted',
  'calendar',
  'amp',
  'attached-text',
  'attached-message',
  'report',
  'charset',
  'encoding',
  'malformed',
  'too-large',
  'too-deep',
] as const;
export type UntouchedReason = (typeof UNTOUCHED)[number];

export type TransferEncoding = 'identity' | 'quoted-printable' | 'base64';

/** The body of a part that is shown as a letter. */
export interface TextKind {
  readonly kind: 'text';
  readonly subtype: 'html' | 'plain';
  /** Undefined if the header names no charset. */
  readonly charset: Encoding | undefined;
  readonly transfer: TransferEncoding;
  /** True if a space before a line break is not part of the text (RFC 3676, DelSp). */
  readonly delSp: boolean;
}

export type Kind =
  | TextKind
  | { readonly kind: 'multipart'; readonly boundary: string; readonly isDigest: boolean }
  | { readonly kind: 'untouched'; readonly reason: UntouchedReason | undefined };

const untouched = (reason?: UntouchedReason): Kind => ({ kind: 'untouched', reason });

/** The content type of a part without a valid one (RFC 2045, 5.2). */
const PLAIN: StructuredValue = { value: 'text/plain', params: {} };

export function classify(header: Header, { inDigest }: { inDigest: boolean }): Kind {
  const declared = structuredValue(header, 'content-type');
  if (inDigest && declared === undefined) return untouched('attached-message');
  const type = declared === undefined || declared.value === '' ? PLAIN : declared;
  const transfer = transferOf(header);
  if (type.value.startsWith('multipart/')) {
    const locked = LOCKED_MULTIPARTS.get(type.value.slice('multipart/'.length));
    if (locked !== undefined) return untouched(locked);
    const { boundary } = type.params;
    // A multipart has no transfer encoding of its own (RFC 2045, 6.4).
    if (boundary === undefined || boundary === '' || transfer !== 'identity') return untouched('malformed');
    return { kind: 'multipart', boundary, isDigest: type.value === 'multipart/digest' };
  }
  const reason = LOCKED_TYPES.find(([pattern]) => pattern.test(type.value))?.[1];
  if (reason !== undefined) return untouched(reason);
  if (type.value !== 'text/html' && type.value !== 'text/plain') return untouched();
  const disposition = structuredValue(header, 'content-disposition');
  const hasFileName = [type.params['name'], disposition?.params['filename']].some((name) => name !== undefined && name !== '');
  if (hasFileName || (disposition !== undefined && disposition.value !== 'inline' && disposition.value !== ''))
    return untouched('attached-text');
  if (transfer === undefined) return untouched('encoding');
  const label = type.params['charset']?.trim();
  const charset = label ? charsetOf(label) : undefined;
  if (label && charset === undefined) return untouched('charset');
  return {
    kind: 'text',
    subtype: type.value === 'text/html' ? 'html' : 'plain',
    charset,
    transfer,
    delSp: type.params['format']?.toLowerCase() === 'flowed' && type.params['delsp']?.toLowerCase() === 'yes',
  };
}

/** Multiparts whose content must not change. */
const LOCKED_MULTIPARTS: ReadonlyMap<string, UntouchedReason> = new Map([
  ['signed', 'signed'],
  ['encrypted', 'encrypted'],
  ['report', 'report'],
]);

const LOCKED_TYPES: readonly (readonly [RegExp, UntouchedReason])[] = [
  [/^application\/(?:x-)?pkcs7-mime$|^application\/pgp-encrypted$/, 'encrypted'],
  [/^text\/calendar$/, 'calendar'],
  [/^text\/x-amp-html$/, 'amp'],
  [/^message\//, 'attached-message'],
];

function transferOf(header: Header): TransferEncoding | undefined {
  const name = withoutComments(rawValue(header, 'content-transfer-encoding') ?? '')
    .replace(/[;"]/g, '')
    .trim()
    .toLowerCase();
  if (/^(?:|7bit|8bit|binary|7-bit|8-bit)$/.test(name)) return 'identity';
  return name === 'quoted-printable' || name === 'base64' ? name : undefined;
}

/** Returns the encoding of a label. Returns undefined if browsers do not know it. */
function charsetOf(label: string): Encoding | undefined {
  try {
    return parseCharset(label);
  } catch (error) {
    if (error instanceof ClickledgerError) return undefined;
    throw error;
  }
}
