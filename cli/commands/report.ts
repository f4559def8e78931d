import { writeFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { type Command, Option } from 'commander';
import { ClickledgerError } from '../../core/errors.ts';
import { configOf, type Globals, withPool } from '../context.ts';
import { toCsv } from '../../reporting/format/csv.ts';
import { toMarkdown } from '../../reporting/format/markdown.ts';
import { describeReach, exact } from '../../reporting/format/values.ts';
import { note, printJson, printTable, table } from '../output.ts';
import { listReports, readReport } from '../../reporting/report-file.ts';
import { type Reach, type Result, readReach, runReport } from '../../reporting/run-report.ts';
import { parseTimeout, TIMEOUT_OPTION } from './timeout-option.ts';

const FORMATS = ['table', 'csv', 'json', 'markdown', 'html'] as const;
type Format = (typeof FORMATS)[number];

/** The format that the name of a file asks for. */
const BY_ENDING: Readonly<Record<string, Format>> = { '.csv': 'csv', '.json': 'json', '.md': 'markdown', '.html': 'html', '.htm': 'html' };

interface Options {
  format?: Format;
  out?: string;
  timeout: number;
}

export function addReport(program: Command): void {
  program
    .command('report [name]')
    .description('run a report of reports/*.sql, or a file.sql of your own, as the analyst; without a name: list them')
    .addOption(new Option('--format <format>', 'how to write it (default: what the file of --out is called, or a table)').choices(FORMATS))
    .option('--out <file>', 'write it to a file')
    .option(TIMEOUT_OPTION.flags, TIMEOUT_OPTION.help, parseTimeout, TIMEOUT_OPTION.default)
    .allowUnknownOption()
    .allowExcessArguments()
    .addHelpText(
      'after',
      '\nEvery parameter of a report is an option; `clickledger report` shows them. --json is the same as --format json.\n\nExamples:\n  clickledger report campaign-summary --campaign 1\n  clickledger report campaign-summary --campaign 1 --out summary.html\n  clickledger report ./mine.sql',
    )
    .action(async (wanted: string | undefined, options: Options, command: Command) => {
      const format = formatOf(command, options);
      if (wanted === undefined) {
        if ((format !== 'table' && format !== 'json') || options.out !== undefined)
          command.error('error: say which report: `clickledger report` lists them', { exitCode: 2 });
        return list(format === 'json');
      }
      const report = await readReport(wanted);
      const values = parametersOf(command.args.slice(1));
      const config = await configOf(command, ['ANALYST_URL']);
      const { out, timeout } = options;
      const text = await withPool(config.ANALYST_URL, async (pool) => {
        const limits = { timeoutSeconds: timeout };
        const result = await runReport(pool, report, values, limits);
        // JSON is for programs, and they find this in analytics.completeness.
        const reach = format === 'json' || !report.hasReach ? undefined : await readReach(pool, limits);
        const written = await write(format, result, reach);
        if (out !== undefined) await writeFile(out, written);
        if (format === 'table') note(report.title);
        if (out === undefined) process.stdout.write(written);
        if (reach !== undefined) note(describeReach(reach));
        return written;
      });
      if (out !== undefined) note(`${out}: ${report.title}, ${Buffer.byteLength(text).toLocaleString('en')} bytes`);
    });
}

function formatOf(command: Command, { format, out }: Options): Format {
  const { json } = command.optsWithGlobals<Globals>();
  if (json && format !== undefined && format !== 'json')
    command.error(`error: --json and --format ${format} contradict each other`, { exitCode: 2 });
  if (json) return 'json';
  return format ?? BY_ENDING[extname(out ?? '').toLowerCase()] ?? 'table';
}

async function list(json: boolean): Promise<void> {
  const reports = await listReports();
  if (json) printJson(reports.map(({ name, title, question, parameters }) => ({ name, title, question, parameters })));
  else
    printTable(
      ['report', 'question', 'parameters'],
      reports.map((r) => [r.name, r.question, r.parameters.map((p) => `--${p.name}`).join(' ')]),
    );
}

async function write(format: Format, result: Result, reach: Reach | undefined): Promise<string> {
  switch (format) {
    case 'table':
      return `${table(
        result.columns,
        result.rows.map((row) => row.map((value) => (value === null || typeof value === 'number' ? value : exact(value)))),
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
      // The library that draws is loaded by whoever wants drawings.
      return (await import('../../reporting/format/html.ts')).toHtml(result, reach);
  }
}

/** `--name value` and `--name=value` of what commander did not know. */
function parametersOf(args: readonly string[]): Record<string, string> {
  const values: Record<string, string> = {};
  for (let i = 0; i < args.length; i++) {
    const match = /^--([\w-]+)(?:=(.*))?$/s.exec(args[i] as string);
    if (!match) throw new ClickledgerError('bad-input', `'${args[i]}' is no parameter: write --name value`);
    const value = match[2] ?? args[++i];
    if (value === undefined) throw new ClickledgerError('bad-input', `the parameter --${match[1]} has no value`);
    values[match[1] as string] = value;
  }
  return values;
}
