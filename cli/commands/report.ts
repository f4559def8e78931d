import type { Command } from 'commander';
import { ClickledgerError } from '../../core/errors.ts';
import { configOf, type Globals, withPool } from '../context.ts';
import { note, printJson, printTable } from '../output.ts';
import { fillIn, listReports, readReport } from '../reports.ts';

const STATEMENT_TIMEOUT_MS = 60_000;

export function addReport(program: Command): void {
  program
    .command('report [name]')
    .description('run a report of reports/*.sql as the analyst; without a name: list them')
    .allowUnknownOption()
    .allowExcessArguments()
    .addHelpText(
      'after',
      '\nEvery parameter of a report is an option; `clickledger report` shows them.\n\nExample:\n  clickledger report campaign-summary --campaign 1',
    )
    .action(async (wanted: string | undefined, _options: object, command: Command) => {
      const { json } = command.optsWithGlobals<Globals>();
      if (wanted === undefined) {
        const reports = await listReports();
        if (json) printJson(reports.map(({ name, title, question, parameters }) => ({ name, title, question, parameters })));
        else
          printTable(
            ['report', 'question', 'parameters'],
            reports.map((r) => [r.name, r.question, r.parameters.map((p) => `--${p.name}`).join(' ')]),
          );
        return;
      }
      const report = await readReport(wanted);
      const sql = fillIn(report, parametersOf(command.args.slice(1)));
      const config = await configOf(command, ['ANALYST_URL']);
      const { fields, rows } = await withPool(config.ANALYST_URL, async (pool) => {
        const client = await pool.connect();
        try {
          await client.query(`BEGIN READ ONLY; SET LOCAL statement_timeout = ${STATEMENT_TIMEOUT_MS}`);
          return await client.query<Record<string, unknown>>(sql);
        } finally {
          client.release(true);
        }
      });
      if (json) printJson(rows);
      else {
        note(report.title);
        printTable(
          fields.map((field) => field.name),
          rows.map((row) => fields.map((field) => cell(row[field.name]))),
        );
      }
    });
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

function cell(value: unknown): string | number | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'number') return value;
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'string' ? value : JSON.stringify(value);
}
