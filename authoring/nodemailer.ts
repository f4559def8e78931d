import { callbackify } from 'node:util';
import type { PluginFunction } from 'nodemailer/lib/mailer';
import MailComposer from 'nodemailer/lib/mail-composer';
import { ClickledgerError } from '../core/errors.ts';
import { unsubscribeHeaders } from './letter/unsubscribe-headers.ts';
import type { PreparedLetter, Tracker, TrackerPrepareOptions } from './tracker.ts';

// The plugin for Nodemailer: `import { trackMail } from "clickledger/nodemailer"`. It tracks the links of each message that a transport sends.

/** What a message may have in its field `clickledger`, next to `to` and `html`. */
export interface MailTracking {
  /** The campaign of this message, by name or number. It takes precedence over the campaign of the plugin. */
  campaign?: string | number;
  /** Your own id of the person. */
  id?: string;
  /** Values for `{{name}}` in the letter. Without them, `{{name}}` stays in the letter, except `{{unsubscribe}}`. */
  columns?: Readonly<Record<string, string | number>>;
  /** If false, the message is sent as it is. */
  track?: boolean;
}

export type TrackMailOptions = Omit<TrackerPrepareOptions, 'html' | 'text' | 'fill' | 'campaign'> & { campaign?: string | number };

type Data = Parameters<PluginFunction>[0]['data'] & { clickledger?: MailTracking };

/**
 * The plugin keeps the last prepared letters, because the messages of one mailing often have the same letter with other columns. After a minute
 * it prepares a letter again, because `prepare` checks that the campaign is open and that no request to unsubscribe is missing.
 */
const REMEMBERED = 20;
const REMEMBERED_MS = 60_000;
/** Fields of a message whose letters the plugin does not read. */
const UNREAD = ['raw', 'amp', 'watchHtml'] as const;

/**
 * Returns a plugin for the step `compile`: `transport.use('compile', trackMail(tracker, { campaign: 'Spring sale' }))`. The campaign must exist.
 * A message must have one recipient, because each person gets other URLs. If the letter has `{{unsubscribe}}`, the message gets the headers of
 * RFC 8058. `sendMail` rejects with `bad-input` if there are several recipients or no campaign, and with `conflict` if the person has unsubscribed.
 */
export function trackMail(tracker: Pick<Tracker, 'prepare'>, options: TrackMailOptions = {}): PluginFunction {
  const prepared = new Map<string, { letter: Promise<PreparedLetter>; until: number }>();

  function prepare(letter: TrackerPrepareOptions): Promise<PreparedLetter> {
    const key = JSON.stringify([letter.campaign, letter.fill, letter.html, letter.text]);
    const found = prepared.get(key);
    const now = performance.now();
    const known = found && found.until > now ? found : { letter: tracker.prepare(letter), until: now + REMEMBERED_MS };
    // A letter that was used is moved to the end, and the first one is forgotten.
    prepared.delete(key);
    prepared.set(key, known);
    known.letter.catch(() => prepared.delete(key));
    for (const oldest of prepared.keys()) if (prepared.size > REMEMBERED) prepared.delete(oldest);
    return known.letter;
  }

  async function track(mail: Parameters<PluginFunction>[0]): Promise<void> {
    const data = mail.data as Data;
    const { campaign = options.campaign, id, columns, track: isTracked = true } = data.clickledger ?? {};
    if (!isTracked) return;
    assertReadable(data);
    const read = async (part: 'html' | 'text'): Promise<string | undefined> =>
      isMissing(data[part]) ? undefined : String(await mail.resolveContent(data, part)) || undefined;
    const [html, text] = [await read('html'), await read('text')];
    if (html === undefined && text === undefined) return;
    if (campaign === undefined)
      throw new ClickledgerError(
        'bad-input',
        'the message has no campaign: give it in the options of trackMail, or in `clickledger` of the message',
      );
    const email = recipientOf(data);
    const letter = await prepare({
      ...options,
      campaign,
      ...(html === undefined ? {} : { html }),
      ...(text === undefined ? {} : { text }),
      fill: columns !== undefined,
    });
    const made = await letter.for({
      email,
      ...(id === undefined ? {} : { id }),
      ...(columns === undefined
        ? {}
        : { columns: Object.fromEntries(Object.entries(columns).map(([name, value]) => [name, String(value)])) }),
    });
    if (made.html !== undefined) data.html = made.html;
    if (made.text !== undefined) data.text = made.text;
    if (made.unsubscribe !== undefined) addUnsubscribe(data, made.unsubscribe);
  }

  return callbackify(track);
}

const isMissing = (part: unknown): boolean => part === undefined || part === null || part === '';

/** Throws `bad-input` if a message has a letter that would be sent untracked. */
function assertReadable(data: Data): void {
  const isLetter = ({ contentType }: { contentType?: unknown }): boolean =>
    typeof contentType !== 'string' || /^text\/(?!calendar)/i.test(contentType);
  const unread = UNREAD.find((name) => !isMissing(data[name])) ?? (data.alternatives?.some(isLetter) ? 'alternatives' : undefined);
  if (unread)
    throw new ClickledgerError(
      'bad-input',
      `the links in \`${unread}\` of a message are not tracked. Give the letter as \`html\` and \`text\`, or set clickledger.track to false.`,
    );
}

/** Returns the only address to which Nodemailer will send a message. Throws `bad-input` if there are several or none. */
function recipientOf({ to, cc, bcc, headers, envelope }: Data): string {
  // A message can name recipients in many fields and headers, so Nodemailer itself computes the envelope.
  const sent = new MailComposer({ to, cc, bcc, headers, envelope }).compile().getEnvelope();
  const addresses = new Set([sent.to || []].flat().map((address) => address.toLowerCase()));
  const [only, ...others] = addresses;
  if (only === undefined || others.length > 0)
    throw new ClickledgerError(
      'bad-input',
      `a tracked message must have one recipient, because each person gets other URLs, but this one has ${addresses.size}. Send one message to each person, or set clickledger.track to false.`,
    );
  return only;
}

/** Adds the headers of RFC 8058, unless the message has such a header. */
function addUnsubscribe(data: Data, url: string): void {
  const existing = headersOf(data.headers).filter(({ value }) => !isMissing(value));
  const names = [
    ...existing.map(({ key }) => key),
    ...Object.entries(data.list ?? {}).flatMap(([key, value]) => (isMissing(value) ? [] : `list-${key}`)),
  ];
  const added = unsubscribeHeaders(url, names);
  if (added.length > 0) data.headers = [...existing, ...added];
}

type Header = { key: string; value: string };

/** Returns the headers of a message as a list. Nodemailer accepts a list, one header with `key` and `value`, or an object with a field for each. */
function headersOf(headers: Data['headers']): Header[] {
  if (Array.isArray(headers)) return headers as Header[];
  const isOne = headers !== undefined && 'key' in headers && 'value' in headers;
  return isOne ? [headers as Header] : Object.entries(headers ?? {}).map(([key, value]) => ({ key, value: value as string }));
}
