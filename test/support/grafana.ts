import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Board, BoardPanel, PostgresTarget, PrometheusTarget } from './grafana-schema.ts';

// Reads the dashboards in examples/grafana, and replaces the variables in their queries as Grafana does.

export const GRAFANA = join(import.meta.dirname, '..', '..', 'examples', 'grafana');

export const BOARDS = ['operators', 'analysts'] as const;

export async function readBoard(name: (typeof BOARDS)[number]): Promise<Board> {
  return JSON.parse(await readFile(join(GRAFANA, `${name}.json`), 'utf8')) as Board;
}

/** Returns the panels of a dashboard without its rows, but with the panels in folded rows. */
export function panelsOf(board: Board): BoardPanel[] {
  return board.panels.flatMap((panel) => (panel.type === 'row' ? panel.panels : [panel]));
}

export const isPrometheus = (target: PrometheusTarget | PostgresTarget): target is PrometheusTarget => 'expr' in target;

/** Puts the values of variables into a text: `$name` and `${name}`. In SQL, Grafana doubles the single quotes of a value. */
export function putIn(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$(?:\{(\w+)\}|(\w+))(?!\w*\()/g, (all, braced: string | undefined, plain: string | undefined) => {
    const value = variables[braced ?? plain ?? ''];
    return value === undefined ? all : value.replaceAll("'", "''");
  });
}

/** Replaces the macro `$__timeFilter(column)`, as the Postgres data source of Grafana does. Throws if the text has another macro. */
export function expandMacros(sql: string, range: { from: Date; to: Date }): string {
  const expanded = sql.replaceAll(
    /\$__timeFilter\(([^)]+)\)/g,
    (_, column: string) => `${column} BETWEEN '${range.from.toISOString()}' AND '${range.to.toISOString()}'`,
  );
  const other = /\$\{?\w+\}?/.exec(expanded);
  if (other) throw new Error(`${other[0]} has no value: ${sql}`);
  return expanded;
}
