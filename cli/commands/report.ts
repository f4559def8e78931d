import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setFlagsFromString } from 'node:v8';
import { type Command, Option } from 'commander';
import { ClickledgerError, codeOf } from '../../core/errors.ts';
import type { Pool } from '../../core/postgres.ts';
import { parseMailAddresses, parseSender } from '../../desk/delivery/addresses.ts';
import type { Delivery } from '../../desk/delivery/send-mail.ts';
import { isRightAligned } from '../../reporting/column-types.ts';
import { toCsv } from '../../reporting/format/csv.ts';
import { toJson } from '../../reporting/format/json.ts';
import { toMarkdown } from '../../reporting/format/markdown.ts';
import { describeReach } from '../../reporting/format/values.ts';
import { listReports, type Report, readReport } from '../../reporting/report-file.ts';
import { type Reach, type ResultStream, type RunOptions, streamReport, type Value } from '../../reporting/run-report.ts';
import { configOf, type GlobalOptions, withPool } from '../context.ts';
import { note, printJson, printTable } from '../output.ts';
import { printable } from '../printable.ts';
import { tableLines } from '../table.ts';
import { parseTimeout, TIMEOUT_OPTION } from './timeout-option.ts';

// The command `report`: runs a report and writes it to a terminal, a pipe or a file. A pipe and a file get all rows. The rows are written
// as soon as the database sends them, so a long report needs little memory.

const FORMATS = ['table', 'csv', 'json', 'markdown', 'html', 'xlsx'] as const;
type Format = (typeof FORMATS)[number];

/** The format of a file by its extension. */
const FORMAT_BY_EXTENSION: Readonly<Record<string, Format>> = {
  '.csv': 'csv',
  '.json': 'json',
  '.md': 'markdown',
  '.html': 'html',
  '.htm': 'html',
  '.xlsx': 'xlsx',
};

/** A terminal shows at most this many rows, unless a limit is given. */
const TERMINAL_ROWS = 100;
/** A table is printed in sections of this many rows. The column widths are computed for each section. */
const TABLE_ROWS = 2_000;

interface Options {
  format?: Format;
  out?: string;
  mailTo?: string;
  timeout: number;
}

export function addReport(program: Command): void {
  program
    .command('report [name]')
    .description('run a report, or an SQL file of your own, with the rights of the analyst; without a name, list all reports')
    .addOption(new Option('--format <format>', 'the output format (default: by the extension of --out, otherwise table)').choices(FORMATS))
    .option('--out <file>', 'write the report to a file, with all rows')
    .option('--mail-to <addresses>', 'send the report by mail to these addresses, separated by commas (settings SMTP_URL and REPORT_FROM)')
    .option(TIMEOUT_OPTION.flags, TIMEOUT_OPTION.help, parseTimeout, TIMEOUT_OPTION.default)
    .allowUnknownOption()
    .allowExcessArguments()
    .addHelpText(
      'after',
      '\nEach parameter of a report is an option. `clickledger report` lists them. --json is the same as --format json.\n\nExamples:\n  clickledger report campaign-summary --campaign "Spring sale"\n  clickledger report campaign-summary --campaign 1 --out summary.xlsx\n  clickledger report clicks-by-hour --timezone Europe/Berlin --from "7 days ago" --to yesterday\n  clickledger report clicks-by-link --campaign 1 --mail-to ann@example.org\n  clickledger report ./mine.sql',
    )
    .action(async (nameOrPath: string | undefined, options: Options, command: Command) => {
      const format = formatOf(command, options);
      if (nameOrPath === undefined) {
        if ((format !== 'table' && format !== 'json') || options.out !== undefined || options.mailTo !== undefined)
          command.error('error: --format, --out and --mail-to need the name of a report: `clickledger report` lists all reports', {
            exitCode: 2,
          });
        return printReports(format === 'json');
      }
      if (options.mailTo !== undefined && (options.out !== undefined || format !== 'table'))
        command.error('error: --mail-to cannot be combined with --out, --format or --json: a mail has its own form', { exitCode: 2 });
      if (format === 'xlsx' && options.out === undefined && process.stdout.isTTY)
        command.error("error: a terminal cannot show a workbook. Give '--out <file>'.", { exitCode: 2 });
      collectOften();
      const report = await readReport(nameOrPath);
      const values = parseParameters(command.args.slice(1));
      const config = await configOf(command, ['ANALYST_URL', 'TIMEZONE', 'COUNT_UNSURE', 'GOAL_DAYS']);
      const run = {
        report,
        values,
        format,
        options: {
          timeoutSeconds: options.timeout,
          zone: config.TIMEZONE || 'UTC',
          countUnsure: config.COUNT_UNSURE,
          goalDays: config.GOAL_DAYS,
          maxPauseSeconds: 3600,
        },
      };
      if (options.mailTo === undefined) return withPool(config.ANALYST_URL, (pool) => writeReport(pool, run, options.out));
      await mailReport(command, config.ANALYST_URL, run, parseMailAddresses(options.mailTo));
    });
}

/** Sends the report to each address. Throws `unavailable` if not all messages were sent. */
async function mailReport(command: Command, url: string, run: Run, addresses: readonly string[]): Promise<void> {
  const { SMTP_URL: server, REPORT_FROM: from } = await configOf(command, ['SMTP_URL', 'REPORT_FROM']);
  // A report may take minutes, so a wrong sender address should fail before it runs.
  parseSender(from);
  // Most reports are not mailed, so the libraries for mail are not loaded for them.
  const [{ makeReportMail }, { sendReportMail }] = await Promise.all([
    import('../../desk/delivery/report-mail.ts'),
    import('../../desk/delivery/send-mail.ts'),
  ]);
  const mail = await withPool(url, (pool) => makeReportMail(pool, run.report, run.values, run.options));
  const deliveries: Delivery[] = [];
  for await (const delivery of sendReportMail(mail, addresses, { server, from })) deliveries.push(delivery);
  const sent = deliveries.filter(({ is }) => is === 'sent').length;
  for (const [i, { is, reason }] of deliveries.entries())
    if (is !== 'sent') note(`address ${i + 1}: ${is === 'unknown' ? 'the message may have been sent' : 'not sent'}: ${reason ?? ''}`);
  const addressWord = addresses.length === 1 ? 'address' : 'addresses';
  if (sent < addresses.length)
    throw new ClickledgerError(
      'unavailable',
      `the report was sent to ${sent} of ${addresses.length} ${addressWord}. Give the others again.`,
    );
  note(
    `sent to ${sent} ${addressWord}: ${run.report.title}, ${mail.rows.toLocaleString('en')} rows, ${mail.csv.bytes.length.toLocaleString('en')} bytes of CSV`,
  );
}

/**
 * Makes V8 collect garbage often. By default, V8 lets the heap grow to several hundred MiB before it collects garbage, although rows are
 * garbage as soon as they are written.
 */
function collectOften(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--heap-growing-percent=20');
}

function formatOf(command: Command, { format, out }: Options): Format {
  const { json } = command.optsWithGlobals<GlobalOptions>();
  if (json && format !== undefined && format !== 'json')
    command.error(`error: --json and --format ${format} contradict each other: leave one out`, { exitCode: 2 });
  if (json) return 'json';
  return format ?? FORMAT_BY_EXTENSION[extname(out ?? '').toLowerCase()] ?? 'table';
}

async function printReports(json: boolean): Promise<void> {
  const reports = await listReports();
  if (json) printJson(reports.map(({ name, title, question, parameters }) => ({ name, title, question, parameters })));
  else
    printTable(
      ['report', 'question', 'parameters'],
      reports.map((r) => [r.name, r.question, r.parameters.map((p) => `--${p.name}`).join(' ')]),
    );
}

interface Run {
  report: Report;
  values: Record<string, string>;
  format: Format;
  options: RunOptions;
}

async function writeReport(pool: Pool, { report, values, format, options }: Run, out: string | undefined): Promise<void> {
  // JSON has no notes, because it is for programs. A program can read the view analytics.completeness instead.
  const hasNotes = format !== 'json';
  const withReach = hasNotes && report.hasReach;
  const { notes, bytes } = await streamReport(pool, report, values, { ...options, withReach }, async (stream) => {
    const { reach } = stream;
    const written = { notes: [] as string[], bytes: 0 };
    if (format === 'table') note(report.title);
    for (const message of stream.messages) note(message);
    if (out !== undefined) written.bytes = await writeFileOf(out, formatted(format, stream, reach));
    else if (format === 'table' && process.stdout.isTTY && !values['limit']) written.notes = await printFirstRows(stream);
    else await print(formatted(format, stream, reach));
    if (hasNotes && stream.asked !== undefined) written.notes.push(stream.asked);
    if (reach !== undefined) written.notes.push(describeReach(reach));
    return written;
  });
  for (const line of notes) note(line);
  if (out !== undefined) note(`${out}: ${report.title}, ${bytes.toLocaleString('en')} bytes`);
}

/** Prints as many rows as a terminal shows. Returns a note about the rows that are left out. */
async function printFirstRows({ columns, batches, countRest }: ResultStream): Promise<string[]> {
  let shown: Value[][] = [];
  let read = 0;
  for await (const rows of batches) {
    read += rows.length;
    if (shown.length < TERMINAL_ROWS) shown = [...shown, ...rows].slice(0, TERMINAL_ROWS);
    if (read > TERMINAL_ROWS) break;
  }
  for (const line of linesOf(columns, shown)) process.stdout.write(`${line}\n`);
  if (read <= TERMINAL_ROWS) return [];
  const total = read + (await countRest());
  const number = (count: number): string => count.toLocaleString('en');
  return [`${number(shown.length)} of ${number(total)} rows; --limit N shows more of them, --out FILE writes all.`];
}

function linesOf(columns: ResultStream['columns'], rows: readonly Value[][]): Generator<string> {
  return tableLines(
    columns.map(({ name }) => printable(name)),
    rows,
    columns.map(({ type }) => isRightAligned(type)),
  );
}

async function* toTable({ columns, batches }: ResultStream): AsyncGenerator<string> {
  let rows: Value[][] = [];
  let hasHead = false;
  const flush = (): string => {
    const lines = [...linesOf(columns, rows)].slice(hasHead ? 1 : 0);
    rows = [];
    hasHead = true;
    return lines.map((line) => `${line}\n`).join('');
  };
  for await (const batch of batches) {
    rows.push(...batch);
    if (rows.length >= TABLE_ROWS) yield flush();
  }
  if (rows.length > 0 || !hasHead) yield flush();
}

async function* formatted(format: Format, stream: ResultStream, reach: Reach | undefined): AsyncGenerator<string | Uint8Array> {
  switch (format) {
    case 'table':
      return yield* toTable(stream);
    case 'csv':
      return yield* toCsv(stream);
    case 'json':
      return yield* toJson(stream);
    case 'markdown':
      return yield* toMarkdown(stream, reach);
    case 'html':
      // The libraries for charts and workbooks are large, so they are loaded only when they are needed.
      return yield* (await import('../../reporting/format/html.ts')).toHtml(stream, reach);
    case 'xlsx':
      return yield* (await import('../../reporting/format/xlsx.ts')).toXlsx(stream);
  }
}

async function print(pieces: AsyncIterable<string | Uint8Array>): Promise<void> {
  const { stdout } = process;
  for await (const piece of pieces) {
    // On a terminal, control characters are replaced by escapes. A program gets the values unchanged.
    const text = stdout.isTTY && typeof piece === 'string' ? piece.split('\n').map(printable).join('\n') : piece;
    if (!stdout.write(text)) await once(stdout, 'drain');
  }
}

/** Writes a file and returns its length in bytes. If writing fails, an existing file stays unchanged. */
async function writeFileOf(path: string, pieces: AsyncIterable<string | Uint8Array>): Promise<number> {
  const isSpecial = await stat(path).then(
    (found) => !found.isFile(),
    (error: unknown) => codeOf(error) !== 'ENOENT',
  );
  // A device or a pipe cannot be replaced.
  const target = isSpecial ? path : `${path}.part`;
  const stream = createWriteStream(target);
  try {
    await pipeline(Readable.from(pieces, { objectMode: true, highWaterMark: 1 }), stream);
    if (!isSpecial) await rename(target, path);
  } catch (error) {
    if (!isSpecial) await rm(target, { force: true });
    throw error;
  }
  return stream.bytesWritten;
}

/** Parses the parameters of a report, which are written `--name value` or `--name=value`. Throws `bad-input` for any other argument. */
function parseParameters(args: readonly string[]): Record<string, string> {
  const values: Record<string, string> = {};
  for (let i = 0; i < args.length; i++) {
    const match = /^--([\w-]+)(?:=(.*))?$/s.exec(args[i] as string);
    if (!match) throw new ClickledgerError('bad-input', `'${args[i]}' is not a parameter: write each parameter as --name value`);
    const value = match[2] ?? args[++i];
    if (value === undefined) throw new ClickledgerError('bad-input', `the parameter --${match[1]} has no value: write --${match[1]} value`);
    values[match[1] as string] = value;
  }
  return values;
}
