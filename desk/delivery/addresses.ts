import parseAddresses from 'nodemailer/lib/addressparser';
import { ClickledgerError } from '../../core/errors.ts';
import { withAsciiDomain } from '../../core/hosts.ts';
import { normaliseEmail } from '../../authoring/recipients.ts';

/** A report is sent to at most this many addresses, so that a list of people is not taken for a list of readers. */
const MAX_ADDRESSES = 100;

/**
 * Parses the addresses to which a report goes, e.g. `ann@example.org, Bob <bob@example.org>`. Returns only the addresses, each once, with the domain
 * in ASCII. Throws `bad-input`. The error names no address, because a service logs it.
 */
export function parseMailAddresses(text: string): string[] {
  const found = parseAddresses(text, { flatten: true }).map(({ address }) => address ?? '');
  const wrong = found.findIndex((address) => normaliseEmail(address) === undefined);
  if (found.length === 0 || wrong >= 0 || /[\r\n]/.test(text))
    throw new ClickledgerError(
      'bad-input',
      `${found.length > 1 ? `address ${wrong + 1} of the list` : 'this'} is not a mail address. Write e.g. ann@example.org,bob@example.org.`,
    );
  const addresses = [...new Set(found.map(withAsciiDomain))];
  if (addresses.length > MAX_ADDRESSES)
    throw new ClickledgerError(
      'bad-input',
      `a report can be sent to at most ${MAX_ADDRESSES} addresses. Use the address of a mailing list.`,
    );
  return addresses;
}

/** Parses the sender of reports, e.g. `Reports <reports@example.org>`. Returns its address. Throws `bad-settings`. */
export function parseSender(text: string): string {
  const [first, ...others] = parseAddresses(text);
  if (others.length > 0 || first?.address === undefined || normaliseEmail(first.address) === undefined || /[\r\n]/.test(text))
    throw new ClickledgerError('bad-settings', 'REPORT_FROM must have one mail address: write e.g. Reports <reports@example.org>');
  return withAsciiDomain(first.address);
}
