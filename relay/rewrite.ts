import type { Edit } from '../authoring/letter/template.ts';
import { createGate } from '../core/gate.ts';
import type { TextKind, UntouchedReason } from './message/classify.ts';
import { changeHeader, type Header, rawValue } from './message/header.ts';
import type { IncomingMessage } from './message/read.ts';
import { type Body, hasTooLongLine, openBody, toQuotedPrintable, withoutSoftBreaks } from './message/transfer.ts';

// Rewrites a message while it streams through the relay: its header, and its text parts.

/** The changes of the header of the message. */
export interface HeaderChange {
  /** The names of the fields to remove, in lower case. */
  removed: readonly string[];
  /** The fields to add at its end, each as `Name: value`. */
  added: readonly string[];
}

/** Returns the changes of a decoded text part, or the reason why the part passes untouched. */
export type TrackPart = (bytes: Buffer, is: TextKind) => Promise<readonly Edit[] | 'pgp' | 'unreadable'>;

/** What became of a text part: it was changed, it has nothing to change, or why it passed untouched. */
export type PartOutcome = 'changed' | 'unchanged' | 'pgp' | 'unreadable' | UntouchedReason;

/** Yields the bytes of the message after the changes. Without `track`, only the header changes. */
export async function* rewriteMessage(
  message: IncomingMessage,
  change: HeaderChange,
  track: TrackPart | undefined,
  onPart: (outcome: PartOutcome) => void = () => {},
): AsyncGenerator<Buffer> {
  const headOf = (header: Header, isMessage: boolean, more: HeaderChange = NONE): Buffer =>
    isMessage
      ? changeHeader(header, [...change.removed, ...more.removed], [...change.added, ...more.added])
      : changeHeader(header, more.removed, more.added);
  if (!message.isText) yield headOf(message.header, true);
  for await (const piece of message.pieces()) {
    switch (piece.kind) {
      case 'message':
        break;
      case 'bytes':
        yield piece.bytes;
        break;
      case 'large':
        yield headOf(piece.header, piece.isMessage);
        break;
      case 'untouched':
        if (track) onPart(piece.reason);
        break;
      case 'text': {
        const { header, body, is, isMessage } = piece;
        const run = (): Promise<Changed> => changePart(body, is, track as TrackPart);
        const changed = !track ? { outcome: undefined } : await (body.length > LARGE_BYTES ? largeParts(run) : run());
        if (changed.outcome !== undefined) onPart(changed.outcome);
        if (changed.outcome !== 'changed') yield* [headOf(header, isMessage), body];
        else yield* [headOf(header, isMessage, changed.becameQuotedPrintable ? quotedPrintable(header, isMessage) : NONE), changed.bytes];
      }
    }
  }
}

/** A part above this size needs some ten times its size while it is changed. So only a few are changed at the same time. */
const LARGE_BYTES = 65_536;
const largeParts = createGate(4);

const NONE: HeaderChange = { removed: [], added: [] };

/** Without MIME-Version, a mail program may not decode a message. */
const quotedPrintable = (header: Header, isMessage: boolean): HeaderChange => ({
  removed: ['content-transfer-encoding'],
  added: [
    ...(isMessage && rawValue(header, 'mime-version') === undefined ? ['MIME-Version: 1.0'] : []),
    'Content-Transfer-Encoding: quoted-printable',
  ],
});

type Changed = { outcome: 'changed'; bytes: Buffer; becameQuotedPrintable: boolean } | { outcome: Exclude<PartOutcome, 'changed'> };

async function changePart(encoded: Buffer, is: TextKind, track: TrackPart): Promise<Changed> {
  const opened = openBody(encoded, is.transfer);
  if (!opened) return { outcome: 'encoding' };
  const body: Body = is.delSp ? withoutSoftBreaks(opened) : opened;
  const edits = await track(body.bytes, is);
  if (typeof edits === 'string') return { outcome: edits };
  if (edits.length === 0) return { outcome: 'unchanged' };
  const bytes = body.apply(edits);
  // A tracked URL may be longer than the original. A line that is too long for mail servers would be broken by them, also inside a URL.
  const becameQuotedPrintable = is.transfer === 'identity' && hasTooLongLine(bytes) && !hasTooLongLine(encoded);
  return { outcome: 'changed', bytes: becameQuotedPrintable ? toQuotedPrintable(bytes) : bytes, becameQuotedPrintable };
}
