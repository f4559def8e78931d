import { Readable } from 'node:stream';
import DKIM from 'nodemailer/lib/dkim';
import { unsubscribeHeaders } from '../authoring/letter/unsubscribe-headers.ts';
import { ClickledgerError, codeOf, messageOf } from '../core/errors.ts';
import { type Header, listIdOf, rawValue, textOf } from './message/header.ts';
import type { IncomingMessage } from './message/read.ts';
import { type PartOutcome, rewriteMessage } from './rewrite.ts';
import type { MessageTracking, Tracking } from './tracking.ts';
import type { Answer, Envelope, Upstream } from './upstream.ts';

// Delivers one message: finds its campaign and recipient, rewrites it, and hands it to the mail server.

/** The header by which a sender names the campaign of a message. It is removed. */
const CAMPAIGN_HEADER = 'x-clickledger-campaign';

/** Why a message passes without tracking. */
export type PassReason = 'no-campaign' | 'null-sender' | 'address' | 'catalog';

/** The reply to the sender, and what became of the message. */
export interface Delivery {
  code: number;
  text: string;
  outcome: 'tracked' | 'passed' | 'refused' | 'deferred' | 'rejected' | 'unknown';
  /** Only for `passed`. */
  reason?: PassReason;
}

export interface DeliverDeps {
  tracking: Tracking;
  upstream: Upstream;
  /** The names of the headers that name the campaign of a message. The first that the message has decides. */
  campaignHeaders: readonly string[];
  /** What happens to a message that cannot be tracked now: the sender tries again later, or it passes without tracking. */
  whenUntrackable: 'defer' | 'pass';
  signer: Signer | undefined;
  onPart: (outcome: PartOutcome) => void;
  onFailure: (what: string, error: unknown) => void;
}

/** Signs a message anew (DKIM, RFC 6376). */
export type Signer = (message: AsyncIterable<Buffer>) => AsyncIterable<Buffer>;

/**
 * The fields that are signed: those that RFC 6376, 5.4.1, recommends, and those of RFC 8058, without whose signature mail programs show no button for
 * unsubscribing.
 */
const SIGNED_FIELDS =
  'From:Sender:Reply-To:Subject:Date:Message-ID:To:Cc:MIME-Version:Content-Type:Content-Transfer-Encoding:Content-ID:Content-Description:' +
  'In-Reply-To:References:List-Id:List-Help:List-Unsubscribe:List-Unsubscribe-Post:List-Subscribe:List-Post:List-Owner:List-Archive';

/** Creates a signer. A body above 2 MiB is kept in a temporary file until its hash is known. */
export function createSigner(key: { domainName: string; keySelector: string; privateKey: string }, cacheDir: string): Signer {
  const dkim = new DKIM({ ...key, headerFieldNames: SIGNED_FIELDS, cacheDir, cacheTreshold: 2 * 1024 * 1024 });
  return (message) => {
    const source = Readable.from(message, { objectMode: false });
    const signed = dkim.sign(source);
    // The signer does not pass on the error of its source.
    source.on('error', (error) => signed.destroy(error));
    return signed as AsyncIterable<Buffer>;
  };
}

/** A message that comes back through the mail server again and again has this many trace fields. */
const MAX_HOPS = 50;

/** Delivers a message. Rejects only with the error of a message that does not arrive completely. */
export async function deliver(message: IncomingMessage, envelope: Envelope, deps: DeliverDeps): Promise<Delivery> {
  const { header } = message;
  if (header.fields.filter(({ name }) => name === 'received').length > MAX_HOPS)
    return { code: 554, text: '5.4.6 the message loops: it has too many Received fields', outcome: 'refused' };
  const found = await findTracking(header, envelope, deps);
  if ('code' in found) return found;
  const { tracking, reason } = found;
  const isSigned = rawValue(header, 'dkim-signature') !== undefined;
  if (tracking && isSigned && !deps.signer)
    return {
      code: 550,
      text: '5.7.7 the message has a DKIM signature, which tracking would break. Send it unsigned and sign behind the relay, or set RELAY_DKIM_KEY.',
      outcome: 'refused',
    };
  const removed = [CAMPAIGN_HEADER, ...(tracking && isSigned ? ['dkim-signature'] : [])];
  const names = header.fields.map(({ name }) => name);
  const added = tracking ? unsubscribeHeaders(tracking.unsubscribe, names).map(({ key, value }) => `${key}: ${value}`) : [];
  const rewrite = () => rewriteMessage(message, { removed, added }, tracking?.track, deps.onPart);
  const mustSign = deps.signer !== undefined && (tracking !== undefined || !isSigned);
  try {
    // The signature is known after the last byte. The mail server is not asked before, because it would wait for the message.
    const ready = mustSign ? await startReading((deps.signer as Signer)(rewrite())) : rewrite;
    const answer = await deps.upstream.send(envelope, ready);
    return toDelivery(answer, tracking ? { outcome: 'tracked' } : { outcome: 'passed', ...(reason ? { reason } : {}) });
  } catch (error) {
    // Only the catalog fails with such an error. All others are errors of the stream.
    if (!(error instanceof ClickledgerError)) throw error;
    // The catalog failed in the middle of the message. The mail server got no end of the message, so it dropped it.
    deps.onFailure('a message could not be tracked', error);
    return deferred(error);
  }
}

/** Waits for the first chunk. Returns a function that returns all chunks. It can be read once. */
async function startReading(chunks: AsyncIterable<Buffer>): Promise<() => AsyncIterable<Buffer>> {
  const iterator = chunks[Symbol.asyncIterator]();
  let next = await iterator.next();
  return async function* read() {
    for (; !next.done; next = await iterator.next()) yield next.value;
  };
}

const deferred = (error: unknown): Delivery => ({
  code: 451,
  text: `4.3.0 the message cannot be tracked now (${messageOf(error)}). Try again later.`,
  outcome: 'deferred',
});

/** Finds the campaign and the recipient of a message, or the reason why it passes without tracking, or the reply that refuses it. */
async function findTracking(
  header: Header,
  { from, to }: Envelope,
  { tracking, campaignHeaders, whenUntrackable, onFailure }: DeliverDeps,
): Promise<{ tracking: MessageTracking | undefined; reason?: PassReason } | Delivery> {
  // Bounces and automatic answers have no sender.
  if (from === '') return { tracking: undefined, reason: 'null-sender' };
  const campaign = campaignOf(header, campaignHeaders);
  if (campaign === undefined) return { tracking: undefined, reason: 'no-campaign' };
  try {
    const begun = await tracking.begin(campaign, to);
    return begun ? { tracking: begun } : { tracking: undefined, reason: 'address' };
  } catch (error) {
    const code = codeOf(error);
    if (code === 'conflict' || code === 'bad-input') return { code: 550, text: `5.7.1 ${messageOf(error)}`, outcome: 'refused' };
    onFailure('a message could not be tracked', error);
    return whenUntrackable === 'pass' ? { tracking: undefined, reason: 'catalog' } : deferred(error);
  }
}

/** The longest name of a campaign that the relay creates, in characters. */
const MAX_NAME = 200;

/**
 * Returns the campaign of a message. `byNumber` is whether its value may be the number of a campaign: other headers may have numbers of other
 * programs. An empty X-Clickledger-Campaign says that the message is not tracked.
 */
function campaignOf(header: Header, names: readonly string[]): { name: string; byNumber: boolean } | undefined {
  for (const name of names.map((each) => each.toLowerCase())) {
    const text = name === 'list-id' ? listIdOf(header) : textOf(header, name);
    // Postgres refuses some control characters, and terminals obey others.
    const value = text
      ?.replace(/\p{Cc}+/gu, ' ')
      .trim()
      .slice(0, MAX_NAME)
      .toWellFormed();
    const byNumber = name === CAMPAIGN_HEADER;
    if (value) return { name: value, byNumber };
    if (byNumber && value === '') return undefined;
  }
  return undefined;
}

function toDelivery(answer: Answer, success: Pick<Delivery, 'outcome' | 'reason'>): Delivery {
  switch (answer.kind) {
    case 'unreachable':
      return { code: 451, text: `4.4.1 the mail server behind the relay does not answer (${answer.why})`, outcome: 'deferred' };
    case 'unknown':
      return { code: 451, text: '4.4.2 the mail server behind the relay did not answer after the message', outcome: 'unknown' };
    case 'answer':
      // 421 would tell the sender that the relay itself closes the connection.
      if (answer.code === 421) return { code: 451, text: answer.text, outcome: 'rejected' };
      return answer.code < 400
        ? { code: 250, text: answer.text, ...success }
        : { code: answer.code, text: answer.text, outcome: 'rejected' };
  }
}
