import type { Report } from '../../reporting/report-file.ts';
import type { Result, Value } from '../../reporting/run-report.ts';

/** The result of a report that is no file. */
export function resultOf(columns: string[], rows: Value[][], chart: Report['chart'] = { kind: 'none', x: [], y: [] }): Result {
  const report: Report = {
    name: 'mine',
    title: 'Mine',
    question: 'What is it?',
    parameters: [],
    chart,
    remarks: '',
    hasReach: true,
    sql: '',
  };
  return { report, values: {}, columns, rows, cut: false };
}
