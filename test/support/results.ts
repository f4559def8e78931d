import type { Report } from '../../reporting/report-file.ts';
import type { Result, Value } from '../../reporting/run-report.ts';

/** A result of a made-up report, which has no file. */
export function createResult(columns: string[], rows: Value[][], chart: Report['chart'] = { kind: 'none', x: [], y: [] }): Result {
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
  return { report, values: {}, columns, rows, truncated: false };
}
