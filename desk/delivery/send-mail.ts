import type { SmtpServer } from '../../core/smtp-url.ts';
import { createSmtpClient, type Outcome } from '../../authoring/send/smtp-client.ts';
import { parseSender } from './addresses.ts';
import { composeReportMail, type ReportMail } from './report-mail.ts';

/** What became of the message to one address. `reason` has no mail address. */
export interface Delivery {
  to: string;
  is: Outcome['is'];
  reason: string | undefined;
}

export interface SendOptions {
  server: SmtpServer;
  /** The sender, e.g. `Reports <reports@example.org>`. */
  from: string;
  /** Returns the Message-ID for an address. By default it is random. */
  messageIdOf?: (to: string) => string;
  /** Is called before the first byte of the message to an address. If it rejects, the message is not sent. */
  beforeContent?: (to: string) => Promise<void>;
}

/**
 * Sends the mail of a report to each address in its own message, so that a fault at one address does not affect the others, and nobody sees the
 * other addresses. Yields what became of each message. If the server takes no messages, the others are not tried. Throws `bad-settings` if `from` is
 * not an address, and the error of `beforeContent`.
 */
export async function* sendReportMail(
  mail: ReportMail,
  addresses: readonly string[],
  { server, from, messageIdOf, beforeContent }: SendOptions,
): AsyncGenerator<Delivery> {
  const sender = parseSender(from);
  const client = createSmtpClient(server);
  let failure: Outcome | undefined;
  try {
    for (const to of addresses) {
      const outcome: Outcome =
        failure ??
        (await client.send({
          from: sender,
          to,
          message: await composeReportMail(mail, { from, to, messageId: messageIdOf?.(to) }),
          beforeContent: async () => beforeContent?.(to),
        }));
      if (outcome.is === 'unavailable' || outcome.is === 'rejected') failure = outcome;
      yield { to, is: outcome.is, reason: 'reason' in outcome ? withoutAddresses(outcome.reason) : undefined };
    }
  } finally {
    client.close();
  }
}

/** Removes mail addresses from a text that is logged, e.g. an answer of a mail server. */
export const withoutAddresses = (text: string): string => text.replace(/[^\s<>"'(),;:]+@[^\s<>"'(),;:]+/g, '(address)');
