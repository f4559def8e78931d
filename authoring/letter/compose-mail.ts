import MailComposer from 'nodemailer/lib/mail-composer';
import { decode, type Encoding } from './encoding.ts';

// Builds whole mail messages from rendered letters, and entries of mbox files from messages.

/** A letter with its envelope. Each part has its own encoding. */
export interface Mail {
  from: string;
  to: string;
  subject: string;
  /** Further headers, in the order in which the message has them. */
  headers: readonly { key: string; value: string }[];
  html: { bytes: Buffer; encoding: Encoding } | undefined;
  text: { bytes: Buffer; encoding: Encoding } | undefined;
}

/**
 * Returns the whole message (RFC 5322 and MIME). Both parts are alternatives in quoted-printable. Lines end in CRLF, and lines of the body
 * have at most 76 characters. All parts are converted to UTF-8, whatever their encoding was. The charset in the MIME header takes
 * precedence over a charset that the HTML declares.
 */
export async function composeMail({ from, to, subject, headers, html, text }: Mail): Promise<Buffer> {
  const part = (subtype: string, content: Mail['html']) =>
    content && {
      content: Buffer.from(decode(content.bytes, content.encoding)),
      contentType: `text/${subtype}; charset=utf-8`,
      contentTransferEncoding: 'quoted-printable',
    };
  const composer = new MailComposer({
    from,
    to,
    subject,
    headers: [...headers],
    text: part('plain', text),
    html: part('html', html),
    newline: 'win',
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return composer.compile().build();
}

/**
 * Returns a message as an entry of an mbox file (RFC 4155), with the reversible quoting of mboxrd. `at` is the time on the "From " line.
 */
export function mboxEntry(message: Buffer, from: string, at: Date): Buffer {
  const address = /<([^>]*)>/.exec(from)?.[1] ?? from;
  const [weekday, day, month, year, time] = at.toUTCString().replace(',', '').split(' ');
  const body = message
    .toString('latin1')
    .replaceAll('\r\n', '\n')
    .replace(/^(>*From )/gm, '>$1');
  return Buffer.from(`From ${address.trim()} ${weekday} ${month} ${day} ${time} ${year}\n${body.replace(/\n*$/, '\n')}\n`, 'latin1');
}
