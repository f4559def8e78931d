import { decode, type Encoding } from './encoding.ts';

// Builds whole mail messages from rendered letters, and entries of mbox files from messages.

/** A letter with its envelope. Each part has its own encoding. */
export interface Mail {
  from: string;
  to: string;
  subject: string;
  /** The Message-ID in angle brackets. By default it is random. */
  messageId?: string | undefined;
  /** Additional headers, in the order in which the message has them. */
  headers: readonly { key: string; value: string }[];
  html: { bytes: Buffer; encoding: Encoding } | undefined;
  text: { bytes: Buffer; encoding: Encoding } | undefined;
}

/**
 * Returns the whole message (RFC 5322 and MIME). Both parts are alternatives in quoted-printable. Lines end in CRLF, and lines of the body
 * have at most 76 characters. Each part keeps its encoding, which the MIME header names. UTF-16 becomes UTF-8, because mail programs do
 * not support it.
 */
export async function composeMail({ from, to, subject, messageId, headers, html, text }: Mail): Promise<Buffer> {
  const part = (subtype: string, content: Mail['html']) => {
    if (!content) return undefined;
    const isUtf16 = content.encoding.startsWith('utf-16');
    return {
      content: isUtf16 ? Buffer.from(decode(content.bytes, content.encoding).text.replace(/^\ufeff/, '')) : content.bytes,
      contentType: `text/${subtype}; charset=${isUtf16 ? 'utf-8' : content.encoding}`,
      contentTransferEncoding: 'quoted-printable' as const,
    };
  };
  // Most letters are not written as whole messages, so the library is not loaded for them.
  const { default: MailComposer } = await import('nodemailer/lib/mail-composer');
  const composer = new MailComposer({
    from,
    to,
    subject,
    messageId,
    headers: [...headers],
    // The library also has the options `text` and `html`, but they would declare UTF-8.
    alternatives: [part('plain', text), part('html', html)].filter((each) => each !== undefined),
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
