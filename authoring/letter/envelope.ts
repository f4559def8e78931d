import parseAddresses from 'nodemailer/lib/addressparser';
import { ClickledgerError } from '../../core/errors.ts';
import { withAsciiDomain } from '../../core/hosts.ts';
import { normaliseEmail } from '../recipients.ts';

// Checks the headers that the author gives for the messages of `prepare`. Refuses headers that clickledger or mail servers write.

/** The headers of a message. `subject` and the values of `headers` may have `{{column}}`. */
export interface Envelope {
  from: string;
  subject: string;
  headers: readonly { key: string; value: string }[];
}

/** The headers that an author cannot give, with the advice for the error message. */
const OWN_HEADERS: readonly { name: RegExp; toDo: string }[] = [
  { name: /^from$/i, toDo: 'Give the sender with --from.' },
  { name: /^subject$/i, toDo: 'Give the subject with --subject.' },
  { name: /^(?:to|cc|bcc)$/i, toDo: 'Each message goes to one person of the list.' },
  { name: /^(?:mime-version|content-.*)$/i, toDo: 'clickledger writes it, because it depends on the letter.' },
  { name: /^(?:date|message-id)$/i, toDo: 'clickledger writes it, because each message has its own.' },
  { name: /^(?:received|return-path|delivered-to|dkim-signature|arc-.*|bcc|resent-.*)$/i, toDo: 'Mail servers write it.' },
];
/** Headers whose value is a list of addresses (RFC 5322). */
const ADDRESS_HEADERS = /^(?:reply-to|sender|errors-to|disposition-notification-to|return-receipt-to)$/i;

/** Checks the sender, the subject and the additional headers of the messages. Throws `bad-input` with the reason. */
export function parseEnvelope(from: string, subject: string, lines: readonly string[]): Envelope {
  const bad = (message: string) => new ClickledgerError('bad-input', message);
  if (!isOneAddress(from)) throw bad(`--from '${from}' must have exactly one mail address. Write e.g. --from "Shop <news@shop.example>".`);
  if (/[\r\n]/.test(subject)) throw bad('--subject must be one line');
  const seen = new Set<string>();
  const headers = lines.map((line) => {
    const [, key, value] = /^([!-9;-~]+):[ \t]*(.*)$/.exec(line) ?? [];
    if (key === undefined || value === undefined || /[\r\n]/.test(line)) throw bad(`'${line}' is not a header. Write "Name: value".`);
    const own = OWN_HEADERS.find(({ name }) => name.test(key));
    if (own) throw bad(`--header cannot give '${key}'. ${own.toDo}`);
    if (value.trim() === '') throw bad(`the header '${key}' has no value`);
    if (ADDRESS_HEADERS.test(key)) {
      if (seen.has(key.toLowerCase())) throw bad(`the header '${key}' is given twice`);
      if (!value.includes('{{') && !areAddresses(value)) throw bad(`the header '${key}' must have a mail address, not '${value}'`);
    }
    seen.add(key.toLowerCase());
    return { key, value };
  });
  return { from, subject, headers };
}

/** Returns the mail address of a sender such as `Shop <news@shop.example>`, with the domain in ASCII, as mail servers expect it. */
export function senderAddress(from: string): string {
  return withAsciiDomain(parseAddresses(from)[0]?.address ?? from);
}

function isOneAddress(text: string): boolean {
  const [first, ...others] = parseAddresses(text);
  return others.length === 0 && isAddress(first) && !/[\r\n]/.test(text);
}

function areAddresses(text: string): boolean {
  const all = parseAddresses(text);
  return all.length > 0 && all.every(isAddress);
}

function isAddress(parsed: { address?: string | undefined } | undefined): boolean {
  return parsed?.address !== undefined && normaliseEmail(parsed.address) !== undefined;
}
