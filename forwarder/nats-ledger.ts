import { gunzipSync, gzipSync } from 'node:zlib';
import { formatMultirange } from '../core/ranges.ts';
import { type Ledger, ledgerFrom } from '../feed/due.ts';
import type { ChangePosition } from '../feed/read-events.ts';
import { DeliveryError } from './receiver.ts';

// The messages on the ledger subject of a shard. The last one counts.
//
//   ledger   everything that was delivered: ranges by generation, and the position of the changes of verdicts
//   mark     the sequence of the last ledger, and a newer position

/** The last message on the ledger subject. */
export type LedgerMessage = (LedgerContent | Mark) & {
  readonly subscription: string;
  readonly position: ChangePosition;
  /** No other message has the same. If the stream was replaced by an older copy of itself, another message may have the same sequence. */
  readonly nonce: string;
};

interface LedgerContent {
  readonly delivered: Ledger;
  /** The ledger has all events of the shard that the stream has up to this sequence. */
  readonly sequence: number;
}

interface Mark {
  /** The sequence of the last ledger. 0: there was none yet. */
  readonly ledger: number;
}

/** Larger messages are compressed. */
const COMPRESS_BYTES = 4096;

export function formatLedger(message: LedgerMessage): Buffer {
  const delivered =
    'delivered' in message
      ? { delivered: Object.fromEntries(Array.from(message.delivered, ([gen, r]) => [gen, formatMultirange(r)])) }
      : {};
  const body = Buffer.from(JSON.stringify({ v: 1, ...message, ...delivered }));
  return body.length > COMPRESS_BYTES ? gzipSync(body) : body;
}

/** Throws a DeliveryError `gone` for a message that this version cannot read. */
export function parseLedger(data: Uint8Array): LedgerMessage {
  try {
    const body = data[0] === 0x1f ? gunzipSync(data, { maxOutputLength: 1 << 30 }) : data;
    const { v, subscription, position, nonce, ledger, sequence, delivered } = JSON.parse(Buffer.from(body).toString()) as {
      v: number;
      subscription: string;
      position: ChangePosition;
      nonce: string;
      ledger?: number;
      sequence?: number;
      delivered?: Record<string, string>;
    };
    if (v !== 1) throw new Error(`version ${v}`);
    const both = { subscription, nonce, position: { id: position.id, changedAt: position.changedAt } };
    if (ledger !== undefined) return { ...both, ledger };
    if (sequence === undefined || delivered === undefined) throw new Error('fields are missing');
    return { ...both, sequence, delivered: ledgerFrom(Object.entries(delivered)) };
  } catch (cause) {
    throw new DeliveryError(
      'gone',
      'the stream has a ledger that this version cannot read: upgrade, or deliver with another subject prefix',
      {
        cause,
      },
    );
  }
}
