import { callbackify } from 'node:util';
import type { PluginFunction } from 'nodemailer/lib/mailer';
import addressparser from 'nodemailer/lib/addressparser';
import { ClickledgerError } from '../core/errors.ts';
import type { PreparedLetter, Tracker, TrackerPrepareOptions } from './tracker.ts';

// The plugin for Nodemailer: `import { trackMail } from "clickledger/nodemailer"`. It tracks the links of each message that a transport sends.

/** What a message may have in its field `clickledger`, next to `to` and `html`. */
export interface MailTracking {
  /** The campaign of this message, by name or number. It takes precedence over the campaign of the plugin. */
  campaign?: string | number;
  /** Your own id of the person. */
  id?: string;
  /** Values for `{{name}}` in the letter. Without them, `{{name}}` stays in the letter, except `{{unsubscribe}}`. */
  columns?: Readonly<Record<string, string>>;
  /** If false, the message is sent as it is. */
  track?: boolean;
}

export type TrackMailOptions = Omit<TrackerPrepareOptions, 'html' | 'text' | 'fill' | 'campaign'> & { campaign?: string | number };

type Data = Parameters<PluginFunction>[0]['data'] & { clickledger?: MailTracking };

/** Letters of one mailing are the same for all people if columns are filled in, so the last letters are prepared once. */
const REMEMBERED = 20;

/**
 * Returns a plugin for the step `compile`: `transport.use('compile', trackMail(tracker, { campaign: 'Spring sale' }))`. The campaign must exist.
 * A message must have one recipient, because each person gets other URLs. If the letter has `{{unsubscribe}}`, the message gets the headers of
 * RFC 8058. `sendMail` rejects with `bad-input` if there are several recipients or no campaign, and with `conflict` if the person has unsubscribed.
 */
export function trackMail(tracker: Pick<Tracker, 'prepare'>, options: TrackMailOptions = {}): PluginFunction {
  const prepared = new Map<string, Promise<PreparedLetter>>();

  function prepare(letter: TrackerPrepareOptions): Promise<PreparedLetter> {
    const key = JSON.stringify([letter.campaign, letter.fill, letter.html, letter.text]);
    const known = prepared.get(key) ?? tracker.prepare(letter);
    // A letter that was used is moved to the end, and the first one is forgotten.
    prepared.delete(key);
    prepared.set(key, known);
    known.catch(() => prepared.delete(key));
    for (const oldest of prepared.keys()) if (prepared.size > REMEMBERED) prepared.delete(oldest);
    return known;
  }

  async function track(mail: Parameters<PluginFunction>[0]): Promise<void> {
    const data = mail.data as Data;
    const { campaign = options.campaign, id, columns, track: isTracked = true } = data.clickledger ?? {};
    if (!isTracked || (data.html === undefined && data.text === undefined)) return;
    if (campaign === undefined)
      throw new ClickledgerError(
        'bad-input',
        'the message has no campaign: give it in the options of trackMail, or in `clickledger` of the message',
      );
    const email = recipientOf(data);
    const read = async (part: 'html' | 'text'): Promise<string | undefined> =>
      data[part] === undefined ? undefined : String(await mail.resolveContent(data, part));
    const [html, text] = [await read('html'), await read('text')];
    const letter = await prepare({
      ...options,
      campaign,
      ...(html === undefined ? {} : { html }),
      ...(text === undefined ? {} : { text }),
      fill: columns !== undefined,
    });
    const made = await letter.for({ email, ...(id === undefined ? {} : { id }), ...(columns === undefined ? {} : { columns }) });
    if (made.html !== undefined) data.html = made.html;
    if (made.text !== undefined) data.text = made.text;
    if (made.unsubscribe !== undefined) addUnsubscribe(data, made.unsubscribe);
  }

  return callbackify(track);
}

/** Returns the only address of a message. Throws `bad-input` if there are several or none. */
function recipientOf({ to, cc, bcc, envelope }: Data): string {
  const fields = envelope?.to === undefined ? [to, cc, bcc] : [envelope.to];
  const addresses = new Set(fields.flatMap(addressesOf));
  const [only, ...others] = addresses;
  if (only === undefined || others.length > 0)
    throw new ClickledgerError(
      'bad-input',
      `a tracked message must have one recipient, because each person gets other URLs, but this one has ${addresses.size}. Send one message to each person, or set clickledger.track to false.`,
    );
  return only;
}

/** Returns the addresses of a field: a text with one or more addresses, an object with `address`, or a list of both. */
function addressesOf(field: unknown): string[] {
  if (Array.isArray(field)) return field.flatMap(addressesOf);
  if (typeof field === 'string') return addressparser(field, { flatten: true }).flatMap(({ address }) => address?.toLowerCase() || []);
  const { address } = (field ?? {}) as { address?: unknown };
  return typeof address === 'string' && address !== '' ? [address.toLowerCase()] : [];
}

/** Adds the headers of RFC 8058, unless the message has such a header. */
function addUnsubscribe(data: Data, url: string): void {
  const existing = Array.isArray(data.headers)
    ? data.headers
    : Object.entries(data.headers ?? {}).map(([key, value]) => ({ key, value: value as string }));
  if (data.list?.unsubscribe !== undefined || existing.some(({ key }) => /^list-unsubscribe(?:-post)?$/i.test(key))) return;
  data.headers = [
    ...existing,
    { key: 'List-Unsubscribe', value: `<${url}>` },
    { key: 'List-Unsubscribe-Post', value: 'List-Unsubscribe=One-Click' },
  ];
}
