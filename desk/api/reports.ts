import { z } from 'zod';
import { explainErrors } from '../../core/postgres.ts';
import { ClickledgerError } from '../../core/errors.ts';
import { toCsv } from '../../reporting/format/csv.ts';
import { toJson } from '../../reporting/format/json.ts';
import { listReports, readReport } from '../../reporting/report-file.ts';
import { readReach, type ResultStream, streamReport } from '../../reporting/run-report.ts';
import { type Answer, type ApiDeps, json, route } from './route.ts';
import { named, text, timeOut } from './schemas.ts';

// The resource `reports`: the reports of `clickledger report`, as JSON or CSV.

const ReportList = named(
  'ReportList',
  z.object({
    reports: z.array(
      z.object({
        name: z.string(),
        title: z.string(),
        question: z.string(),
        parameters: z.array(z.object({ name: z.string(), type: z.string(), help: z.string(), default: z.string() })),
      }),
    ),
  }),
);
const ReportRows = named('ReportRows', z.array(z.record(z.string(), z.unknown())).describe('an object for each row'));
const Reach = named(
  'Reach',
  z.object({
    last_at: timeOut.nullable().describe('up to which time hits are counted'),
    holes: z.int().describe('how many ranges of the logs are missing'),
    missing_bytes: z.int(),
  }),
);

const FORMATS = {
  json: { type: 'application/json; charset=utf-8', write: toJson },
  csv: { type: 'text/csv; charset=utf-8', write: toCsv },
} as const;

export const reportRoutes = [
  route({
    method: 'GET',
    path: '/reports',
    operationId: 'listReports',
    summary: 'List the reports and their parameters',
    role: 'analyst',
    answers: { 200: { description: 'all reports', content: { 'application/json': ReportList } } },
    async handle() {
      const reports = await listReports();
      return json(200, { reports: reports.map(({ name, title, question, parameters }) => ({ name, title, question, parameters })) });
    },
  }),
  route({
    method: 'GET',
    path: '/reports/{name}',
    operationId: 'runReport',
    summary: 'Run a report',
    description:
      'Each parameter of the report is a parameter of the query. The answer is CSV if the name ends in .csv or the header Accept prefers text/csv. If the connection ends before the answer does, the rows are incomplete.',
    role: 'analyst',
    params: z.object({ name: text(200, 1).describe('the name of a report, e.g. campaign-summary or campaign-summary.csv') }),
    query: z.record(text(100), text(4000)),
    hasReportQuery: true,
    isLong: true,
    answers: {
      200: { description: 'the rows of the report', content: { 'application/json': ReportRows, 'text/csv': undefined } },
    },
    async handle({ deps, params, query, accept }) {
      const [, name = params.name, ending] = /^(.*)\.(csv|json)$/s.exec(params.name) ?? [];
      const format = ending === undefined ? (prefersCsv(accept) ? 'csv' : 'json') : (ending as keyof typeof FORMATS);
      // `readReport` would also read the file of a path.
      if (!/^[a-z0-9-]+$/.test(name)) throw new ClickledgerError('not-found', 'there is no such report: GET /api/v1/reports lists all');
      return streamed(deps, name, Object.fromEntries(Object.entries(query).filter(([, value]) => value !== '')), format);
    },
  }),
  route({
    method: 'GET',
    path: '/reach',
    operationId: 'readReach',
    summary: 'Read up to which time hits are counted, and how much of the logs is missing',
    role: 'analyst',
    answers: { 200: { description: 'the reach', content: { 'application/json': Reach } } },
    async handle({ deps }) {
      const { lastAt, holes, missingBytes } = await explainErrors(() => readReach(deps.analyst, deps.run));
      return json(200, { last_at: lastAt, holes, missing_bytes: missingBytes });
    },
  }),
];

/** Whether the first of these types in a header `Accept` is CSV. */
const prefersCsv = (accept: string): boolean => /text\/csv|application\/json|\*\/\*/.exec(accept)?.[0] === 'text/csv';

/**
 * Runs a report and returns its rows as a stream. `streamReport` calls a function with the rows, and the answer needs a stream that is read
 * later. So the rows are passed on one batch at a time, and the report waits until the batch is taken.
 */
async function streamed(deps: ApiDeps, name: string, values: Record<string, string>, format: keyof typeof FORMATS): Promise<Answer> {
  const report = await readReport(name);
  const { type, write } = FORMATS[format];
  const started = Promise.withResolvers<ResultStream>();
  const ended = Promise.withResolvers<void>();
  const running = explainErrors(() =>
    streamReport(deps.analyst, report, values, deps.run, async (stream) => {
      started.resolve(stream);
      await ended.promise;
    }),
  );
  running.catch(started.reject);
  const stream = await started.promise;
  async function* rows(): AsyncGenerator<string> {
    try {
      yield* write(stream);
    } finally {
      ended.resolve();
    }
    await running;
  }
  return { status: 200, type, stream: rows() };
}
