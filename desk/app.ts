import { randomBytes } from 'node:crypto';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { ClickledgerError } from '../core/errors.ts';
import { explainErrors, type Pool } from '../core/postgres.ts';
import { toCsv } from '../reporting/format/csv.ts';
import { readReport } from '../reporting/report-file.ts';
import { runReport } from '../reporting/run-report.ts';
import { campaignPage } from './campaign-page.ts';
import { expectedError, statusOf } from './failures.ts';
import { type Content, errorContent, frame } from './frame.ts';
import { guard, setHeaders } from './guard.ts';
import { overviewPage } from './overview-page.ts';
import { reportPage } from './report-page.ts';

/** The options of the dashboard. */
export interface Dashboard {
  pool: Pool;
  /** The host name or address to listen on. Only requests for it or for loopback are answered. */
  host: string;
  timeoutSeconds: number;
  refreshSeconds: number;
  /** Called with every unexpected error. */
  onError: (error: unknown) => void;
}

/**
 * Creates the dashboard: pages about campaigns and reports, read with the role of the pool. It answers only GET, sets no cookies and loads
 * nothing from other hosts.
 */
export function createDashboard(dashboard: Dashboard): FastifyInstance {
  const { pool, timeoutSeconds, refreshSeconds, onError } = dashboard;
  const app = Fastify({
    logger: false,
    bodyLimit: 1024,
    routerOptions: { maxParamLength: 200 },
    exposeHeadRoutes: false,
    // Browsers keep their connections open. The shutdown must not wait for them.
    forceCloseConnections: true,
    // A malformed URL: Fastify runs no hooks for it, so the headers are set here.
    frameworkErrors: (error, _request, reply) => {
      setHeaders(reply);
      fail(reply, error);
    },
  });
  const limits = { timeoutSeconds };

  function send(reply: FastifyReply, status: number, content: Content): FastifyReply {
    const nonce = randomBytes(16).toString('base64');
    return reply
      .code(status)
      .header(
        'content-security-policy',
        `default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'; connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
      )
      .type('text/html; charset=utf-8')
      .send(frame(content, { nonce, refreshSeconds }));
  }

  function fail(reply: FastifyReply, error: unknown): FastifyReply {
    const expected = expectedError(error);
    if (expected === undefined) onError(error);
    const shown =
      expected ?? new ClickledgerError('server-failed', 'an unexpected error occurred: see the terminal of `clickledger dashboard`');
    return send(reply, statusOf(shown), errorContent(TITLES[statusOf(shown)] ?? 'Error', shown));
  }

  app.addHook('onRequest', guard(dashboard.host));

  app.get('/', async (_request, reply) => send(reply, 200, await overviewPage(pool, limits)));

  app.get<{ Params: { id: string } }>('/campaign/:id', async ({ params }, reply) =>
    send(reply, 200, await campaignPage(pool, params.id, limits)),
  );

  app.get<{ Params: { name: string } }>('/report/:name', async (request, reply) => {
    const { name } = request.params;
    const values = valuesOf(request);
    if (name.endsWith('.csv')) return sendCsv(reply, name.slice(0, -'.csv'.length), values);
    const { status, content } = await reportPage(pool, name, values, limits);
    return send(reply, status, content);
  });

  async function sendCsv(reply: FastifyReply, name: string, values: Record<string, string>): Promise<FastifyReply> {
    const report = await readReport(name);
    const result = await explainErrors(() => runReport(pool, report, values, limits));
    const campaign = /^\d+$/.test(values['campaign'] ?? '') ? `-${values['campaign']}` : '';
    return reply
      .type('text/csv; charset=utf-8')
      .header('content-disposition', `attachment; filename="${name}${campaign}.csv"`)
      .send(toCsv(result));
  }

  app.setNotFoundHandler((_request, reply) =>
    send(reply, 404, errorContent('Not found', new ClickledgerError('not-found', 'this page does not exist'))),
  );
  app.setErrorHandler((error, _request, reply) => fail(reply, error));
  return app;
}

const TITLES: Readonly<Record<number, string>> = { 400: 'Invalid request', 404: 'Not found', 503: 'Not available now' };

/** Returns the parameters of the URL. An empty field of the form counts as not given. Throws `bad-input` for a repeated parameter. */
function valuesOf(request: FastifyRequest): Record<string, string> {
  const entries = Object.entries(request.query as Record<string, string | string[]>).filter(([, value]) => value !== '');
  for (const [name, value] of entries)
    if (typeof value !== 'string') throw new ClickledgerError('bad-input', `the parameter '${name}' is given more than once: give it once`);
  return Object.fromEntries(entries) as Record<string, string>;
}
