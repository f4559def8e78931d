import { createHash } from 'node:crypto';
import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { AddressRanges } from '../core/address-ranges.ts';
import { codeOf, messageOf } from '../core/errors.ts';
import type { Pool } from '../core/postgres.ts';
import { VERSION } from '../core/version.ts';
import { readAddresses } from '../feed/addresses.ts';
import { type Item, itemId } from '../feed/event.ts';
import { toJsonText } from '../feed/json-text.ts';
import type { Subscription } from '../feed/subscription.ts';
import { readDelivered, recordAttempt, recordDelivered } from './catalog-ledger.ts';
import { assertPublic, publicLookup } from './public-address.ts';
import { DeliveryError, type Receiver } from './receiver.ts';
import { signatureOf } from './signature.ts';

// Delivers by HTTP, with the headers and the signature of Standard Webhooks. The ledger is in the catalog. It is changed after the receiver has answered
// 2xx. So if the forwarder dies in between, the events are delivered again, with the same ids.

/** The receiver must have answered within this time. */
const TIMEOUT_MS = 20_000;
/** So much of the body of an answer is read, so that the connection can be used again. */
const MOST_ANSWER_BYTES = 65_536;

/** The answer of a receiver. */
export interface Answer {
  readonly status: number;
  readonly retryAfterMs: number | undefined;
}

export interface Webhook {
  /** Sends a body and returns the status of the answer. Throws a DeliveryError if there is no answer. */
  post(id: string, body: Buffer): Promise<Answer>;
  close(): void;
}

export function createWebhook(target: string, secrets: readonly string[], allowed: AddressRanges, timeoutMs = TIMEOUT_MS): Webhook {
  const url = new URL(target);
  const isTls = url.protocol === 'https:';
  const agent = new (isTls ? HttpsAgent : HttpAgent)({ keepAlive: true, maxSockets: 16 });
  const request = isTls ? httpsRequest : httpRequest;
  const lookup = publicLookup(allowed);

  async function post(id: string, body: Buffer, signal: AbortSignal): Promise<Answer> {
    assertPublic(url.hostname, allowed);
    const timestamp = Math.floor(Date.now() / 1000);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent = request(
        url,
        {
          method: 'POST',
          agent,
          lookup,
          signal,
          headers: {
            'content-type': 'application/json',
            'content-length': body.length,
            'user-agent': `clickledger/${VERSION}`,
            'webhook-id': id,
            'webhook-timestamp': timestamp,
            'webhook-signature': signatureOf(secrets, id, timestamp, body),
          },
        },
        resolve,
      );
      sent.on('error', reject);
      // After an answer such as 101, Node closes the connection and emits neither a response nor an error. If there was one, this has no effect.
      sent.on('close', () => reject(new Error('the receiver closed the connection without an answer')));
      sent.end(body);
    });
    await drain(response);
    return { status: response.statusCode ?? 0, retryAfterMs: retryAfterMs(response.headers['retry-after']) };
  }

  return {
    async post(id, body) {
      // The time limit holds for the whole request, so a receiver that sends one byte a second does not extend it.
      const signal = AbortSignal.timeout(timeoutMs);
      try {
        return await post(id, body, signal);
      } catch (error) {
        throw new DeliveryError('retry', signal.aborted ? `no answer within ${timeoutMs / 1000} s` : explain(error), { cause: error });
      }
    },
    close: () => agent.destroy(),
  };
}

/** Reads the rest of an answer, or closes its connection if it is too long. */
async function drain(response: IncomingMessage): Promise<void> {
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_ANSWER_BYTES) break;
  }
}

const explain = (error: unknown): string => {
  const code = codeOf(error);
  return code === undefined || code === 'EPRIVATE' ? messageOf(error) : `${messageOf(error)} (${code})`;
};

/** The milliseconds of a header Retry-After: a number of seconds, or a date (RFC 9110, section 10.2.3). */
function retryAfterMs(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}

/** The id of a message. The same items always have the same id. */
function messageId(subscription: string, items: readonly Item[]): string {
  const hash = createHash('sha256').update(subscription);
  for (const item of items) hash.update(`\n${itemId(item)}`);
  return `msg_${hash.digest('hex').slice(0, 32)}`;
}

/** Throws a DeliveryError unless the answer is 2xx. */
export function assertAccepted({ status, retryAfterMs }: Answer): void {
  if (status >= 200 && status < 300) return;
  if (status === 410) throw new DeliveryError('gone', 'the receiver answered 410: it wants no more deliveries');
  if (status === 413) throw new DeliveryError('too-large', 'the receiver answered 413: the delivery is too large');
  if (status >= 300 && status < 400)
    throw new DeliveryError('retry', `the receiver answered ${status}: redirects are not followed, so give the final URL`);
  throw new DeliveryError('retry', `the receiver answered ${status}`, { retryAfterMs });
}

export function createWebhookReceiver(deps: {
  subscription: Subscription;
  catalog: Pool;
  holder: string;
  allowed: AddressRanges;
}): Receiver {
  const { subscription, catalog, holder, allowed } = deps;
  const { id, name, target, secrets, withAddresses } = subscription;
  const webhook = createWebhook(target, secrets, allowed);
  return {
    read: (shard) => readDelivered(catalog, id, shard),
    async deliver(shard, slice) {
      if (slice.items.length > 0) {
        if (slice.ranges.length > 0) await recordAttempt(catalog, id, holder, shard, slice);
        const addresses = withAddresses ? await readAddresses(catalog, slice.items) : undefined;
        const events = slice.items.map((item) => toJsonText(item, shard, addresses)).join(',');
        const message = `{"type":"events","timestamp":"${new Date().toISOString()}","data":{"subscription":"${name}","events":[${events}]}}`;
        assertAccepted(await webhook.post(messageId(name, slice.items), Buffer.from(message)));
      }
      await recordDelivered(catalog, id, holder, shard, slice);
    },
    async close() {
      webhook.close();
    },
  };
}
