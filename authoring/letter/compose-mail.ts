import MailComposer from 'nodemailer/lib/mail-composer';
import { decode, type Encoding } from './encoding.ts';

/** One letter with what it is sent with. Parts are in `encoding`, each its own. */
export interface Mail {
  from: string;
  to: string;
  subject: string;
  /** Further headers, in their order. */
  headers: readonly { key: string; value: string }[];
  html: { bytes: Buffer; encoding: Encoding } | undefined;
  text: { bytes: Buffer; encoding: Encoding } | undefined;
}

/**
 * The whole message (RFC 5322 and MIME): both parts as alternatives in quoted-printable, lines of at most 76 characters, CRLF. Parts are
 * sent as UTF-8, whatever they were written in: what the message says of its encoding goes before what the letter says.
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

/** A message as an entry of an mbox file (RFC 4155, with the quoting of mboxrd, which can be undone). */
export function mboxEntry(message: Buffer, from: string, at: Date): Buffer {
  const address = /<([^>]*)>/.exec(from)?.[1] ?? from;
  const [weekday, day, month, year, time] = at.toUTCString().replace(',', '').split(' ');
  const body = message
    .toString('latin1')
    .replaceAll('\r\n', '\n')
    .replace(/^(>*From )/gm, '>$1');
  return Buffer.from(`From ${address.trim()} ${weekday} ${month} ${day} ${time} ${year}\n${body.replace(/\n*$/, '\n')}\n`, 'latin1');
}
