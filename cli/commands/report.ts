import { writeFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { type Command, Option } from 'commander';
import { ClickledgerError } from '../../core/errors.ts';
import { configOf, type GlobalOptions, withPool } from '../context.ts';
import { toCsv } from '../../reporting/format/csv.ts';
import { toMarkdown } from '../../reporting/format/markdown.ts';
import { describeReach, machineText } from '../../reporting/format/values.ts';
import { note, printJson, printTable, table } from '../output.ts';
import { listReports, readReport } from '../../reporting/report-file.ts';
import { type Reach, type Result, readReach, runReport } from '../../reporting/run-report.ts';
import { parseTimeout, TIMEOUT_OPTION } from './timeout-option.ts';

const FORMATS = ['table', 'csv', 'json', 'markdown', 'html'] as const;
type Format = (typeof FORMATS)[number];

/** The format of a file by its extension. */
const FORMAT_BY_EXTENSION: Readonly<Record<string, Format>> = {
  '.csv': 'csv',
  '.json': 'json',
  '.md': 'markdown',
  '.html': 'html',
  '.htm': 'html',
};

interface Options {
  format?: Format;
  out?: string;
  timeout: number;
}

export function addReport(program: Command): void {
  program
    .command('report [name]')
    .description('run a report, or an SQL file of your own, with the rights of the analyst; without a name, list all reports')
    .addOption(new Option('--format <format>', 'the output format (default: by the extension of --out, otherwise table)').choices(FORMATS))
    .option('--out <file>', 'write the report to a file')
    .option(TIMEOUT_OPTION.flags, TIMEOUT_OPTION.help, parseTimeout, TIMEOUT_OPTION.default)
    .allowUnknownOption()
    .allowExcessArguments()
    .addHelpText(
      'after',
      '\nEach parameter of a report is an option. `clickledger report` lists them. --json is the same as --format json.\n\nExamples:\n  clickledger report campaign-summary --campaign 1\n  clickledger report campaign-summary --campaign 1 --out summary.html\n  clickledger report ./mine.sql',
    )
    .action(async (nameOrPath: string | undefined, options: Options, command: Command) => {
      const format = formatOf(command, options);
      if (nameOrPath === undefined) {
        if ((format !== 'table' && format !== 'json') || options.out !== undefined)
          command.error('error: --format and --out need the name of a report: `clickledger report` lists all reports', { exitCode: 2 });
        return printReports(format === 'json');
      }
      const report = await readReport(nameOrPath);
      const values = parseParameters(command.args.slice(1));
      const config = await configOf(command, ['ANALYST_URL']);
      const { out, timeout } = options;
      const text = await withPool(config.ANALYST_URL, async (pool) => {
        const limits = { timeoutSeconds: timeout };
        const result = await runReport(pool, report, values, limits);
        // JSON is for programs, which can read analytics.completeness.
        const reach = format === 'json' || !report.hasReach ? undefined : await readReach(pool, limits);
        const formatted = await formatResult(format, result, reach);
        if (out !== undefined) await writeFile(out, formatted);
        if (format === 'table') note(report.title);
        if (out === undefined) process.stdout.write(formatted);
        if (reach !== undefined) note(describeReach(reach));
        return formatted;
      });
      if (out !== undefined) note(`${out}: ${report.title}, ${Buffer.byteLength(text).toLocaleString('en')} bytes`);
    });
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

async function formatResult(format: Format, result: Result, reach: Reach | undefined): Promise<string> {
  switch (format) {
    case 'table':
      return `${table(
        result.columns,
        result.rows.map((row) => row.map((value) => (value === null || typeof value === 'number' ? value : machineText(value)))),
      )}\n`;
    case 'csv':
      return toCsv(result);
    case 'json':
      return `${JSON.stringify(
        result.rows.map((row) => Object.fromEntries(result.columns.map((column, i) => [column, row[i]]))),
        null,
        2,
      )}\n`;
    case 'markdown':
      return toMarkdown(result, reach);
    case 'html':
      // The chart library is large, so it is loaded only for HTML.
      return (await import('../../reporting/format/html.ts')).toHtml(result, reach);
  }
}

/** Parses the options that commander does not define: `--name value` and `--name=value`. Throws `bad-input` for anything else. */
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
