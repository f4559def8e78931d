import MailComposer from 'nodemailer/lib/mail-composer';
import { ClickledgerError } from '../../core/errors.ts';
import type { Pool } from '../../core/postgres.ts';
import { toCsv } from '../../reporting/format/csv.ts';
import { toMailHtml, toMailText } from '../../reporting/format/mail.ts';
import type { Report } from '../../reporting/report-file.ts';
import { type ResultStream, type RunOptions, streamReport, type Value } from '../../reporting/run-report.ts';

// Makes a mail of a report: an HTML part with the chart and the first rows, a text part, and a CSV file with all rows.

/**
 * The largest CSV file of a mail. Mail servers usually refuse messages of more than 20 or 25 MB, and a file grows by a third in a message. The file
 * is in memory, because SMTP servers want to know the size of a message first.
 */
const MAX_CSV_BYTES = 10 * 1024 * 1024;
/** The chart is drawn from at most this many rows. */
const CHART_ROWS = 10_000;

export interface ReportMail {
  subject: string;
  html: string;
  text: string;
  csv: { name: string; bytes: Buffer };
  /** The number of rows. */
  rows: number;
}

/** Runs a report and makes the mail. Throws the errors of `streamReport`, and `bad-input` if the CSV file would be too large. */
export async function makeReportMail(
  pool: Pool,
  report: Report,
  values: Readonly<Record<string, string>>,
  options: RunOptions,
): Promise<ReportMail> {
  return streamReport(pool, report, values, { ...options, withReach: report.hasReach }, async (stream) => {
    const rows: Value[][] = [];
    let total = 0;
    async function* counted(): ResultStream['batches'] extends AsyncIterable<infer T> ? AsyncGenerator<T> : never {
      for await (const batch of stream.batches) {
        total += batch.length;
        if (rows.length < CHART_ROWS) rows.push(...batch.slice(0, CHART_ROWS - rows.length));
        yield batch;
      }
    }
    const bytes = await csvOf(report, toCsv({ columns: stream.columns, batches: counted() }));
    const { report: ran, values: given, asked, messages, columns, reach } = stream;
    const name = `${report.name}.csv`;
    const content = { result: { report: ran, values: given, asked, messages, columns, rows }, total, reach, attachment: name };
    return {
      subject: subjectOf(report, given),
      html: toMailHtml(content),
      text: await toMailText(content),
      csv: { name, bytes },
      rows: total,
    };
  });
}

async function csvOf(report: Report, pieces: AsyncIterable<string>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const piece of pieces) {
    const chunk = Buffer.from(piece);
    length += chunk.length;
    if (length > MAX_CSV_BYTES)
      throw new ClickledgerError(
        'bad-input',
        `the report ${report.name} is larger than ${MAX_CSV_BYTES / 1024 / 1024} MiB, which is too large for a mail. Ask for less, e.g. for one campaign or with --limit, or write it to a file with --out.`,
      );
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The subject has the title and the campaign. Other values may be personal data, and a subject is shown in many places. */
function subjectOf({ title, parameters }: Report, values: Readonly<Record<string, string>>): string {
  const campaigns = parameters.filter(({ type, name }) => (type === 'campaign' || type === 'campaigns') && values[name]);
  const named = campaigns.map(({ name }) => `${name.replaceAll('_', ' ')} ${values[name]}`);
  return [title, ...(named.length > 0 ? [named.join(', ')] : [])].join(': ').replace(/\s+/g, ' ').slice(0, 200);
}

/** Returns the whole message to one address. */
export async function composeReportMail(
  { subject, html, text, csv }: ReportMail,
  { from, to, messageId }: { from: string; to: string; messageId?: string | undefined },
): Promise<Buffer> {
  const composer = new MailComposer({
    from,
    to,
    subject,
    messageId,
    // Programs that answer mails, e.g. of people on holiday, do not answer these (RFC 3834).
    headers: [{ key: 'Auto-Submitted', value: 'auto-generated' }],
    alternatives: [
      { content: text, contentType: 'text/plain; charset=utf-8', contentTransferEncoding: 'quoted-printable' },
      { content: html, contentType: 'text/html; charset=utf-8', contentTransferEncoding: 'quoted-printable' },
    ],
    // Base64 keeps the bytes of the file, also its line ends.
    attachments: [{ filename: csv.name, content: csv.bytes, contentType: 'text/csv; charset=utf-8', contentTransferEncoding: 'base64' }],
    newline: 'win',
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return composer.compile().build();
}
