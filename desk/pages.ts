import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ClickledgerError, codeOf } from '../core/errors.ts';
import { explainErrors, type Pool } from '../core/postgres.ts';
import { toCsv } from '../reporting/format/csv.ts';
import { html } from '../reporting/format/markup.ts';
import { toXlsx } from '../reporting/format/xlsx.ts';
import { readReport } from '../reporting/report-file.ts';
import { type ResultStream, streamReport } from '../reporting/run-report.ts';
import { addAuthorPages } from './author/plugin.ts';
import type { AuthorOptions } from './author/tools.ts';
import { expectedError, statusOf } from './failures.ts';
import { SORT_NAMES } from './figures/campaigns.ts';
import { fileNameOf } from './file-names.ts';
import { createSlowCounts } from './figures/slow-counts.ts';
import { createFormats, localeOf } from './formats.ts';
import { guard } from './guard.ts';
import { FACETS, oneOf, parseState } from './state.ts';
import { campaignPage } from './views/campaign-page.ts';
import { type Content, errorContent, frame } from './views/frame.ts';
import { letterPolicy } from './views/letter-frame.ts';
import { letterPage } from './views/letter-page.ts';
import { linkPage } from './views/link-page.ts';
import { overviewPage } from './views/overview-page.ts';
import { peoplePage } from './views/people-page.ts';
import { personPage } from './views/person-page.ts';
import { propertyPage } from './views/property-page.ts';
import type { Reader } from './views/reader.ts';
import { reportPage } from './views/report-page.ts';
import { requireRole } from './team/access.ts';
import { idOf } from './team/page-tools.ts';
import { accountNav, addTeam, shareLink } from './team/plugin.ts';
import type { TeamOptions } from './team/settings.ts';

type Values = Readonly<Record<string, string>>;

/** The options of the pages. */
export interface PageOptions {
  /** Connects as the analyst. */
  pool: Pool;
  /** The host name or address that the desk listens on. The pages are shown only to requests for this host and for loopback. */
  host: string;
  timeoutSeconds: number;
  /** The time zone of the times on pages, and of reports that are run without a time zone. */
  zone: string;
  /** See RunOptions. */
  countUnsure?: boolean;
  goalDays?: number | undefined;
  refreshSeconds: number;
  /** How long the first view of a page waits for a count that takes long. The next refresh has it. */
  patienceMs?: number;
  /** Accounts and sign-in. Undefined: nobody has to sign in. */
  team?: TeamOptions;
  /** The settings and connections of an author. Undefined: the pages only read. */
  author?: AuthorOptions | undefined;
  /** Called with every unexpected error. */
  onError: (error: unknown) => void;
}

/**
 * Adds the pages about campaigns and reports to an app. They read the data with the database role of `pool`, answer only GET requests except
 * for forms, set no cookies except for sign-in, and load nothing from other hosts. Returns a function that answers with an error page.
 */
export function addPages(app: FastifyInstance, options: PageOptions): (reply: FastifyReply, error: unknown) => FastifyReply {
  const { pool, timeoutSeconds, zone, countUnsure = false, goalDays, refreshSeconds, patienceMs = 50, onError } = options;
  const slowCounts = createSlowCounts(patienceMs);
  const limits = { timeoutSeconds, zone, countUnsure, goalDays };
  const { host, team } = options;

  function send(reply: FastifyReply, status: number, content: Content): FastifyReply {
    const nonce = randomBytes(16).toString('base64');
    return reply
      .code(status)
      .header(
        'content-security-policy',
        `default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'; connect-src 'self'; img-src data:; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
      )
      .type('text/html; charset=utf-8')
      .send(frame(content, { nonce, refreshSeconds, nav: accountNav(reply.request) }));
  }

  function fail(reply: FastifyReply, error: unknown): FastifyReply {
    const expected = expectedError(error);
    if (expected === undefined) onError(error);
    const shown =
      expected ?? new ClickledgerError('server-failed', 'an unexpected error occurred: see the terminal or the log of the desk');
    return send(reply, statusOf(shown), errorContent(TITLES[statusOf(shown)] ?? 'Error', shown));
  }

  app.addHook('onRequest', guard(host, team?.config.DESK_URL));
  addTeam(app, { host, team, analyst: pool, limits, sendPage: send, onError });
  const authorParts = addAuthorPages(app, { options: options.author, host, team, zone, sendPage: send, onError });

  /** What the reader has chosen is in the query. Parameters of one page are read by its route. */
  function readerOf(request: FastifyRequest, query: Values): Reader {
    const state = parseState(query);
    const chosen = { ...limits, zone: state.zone ?? zone };
    return { pool, state, slowCounts, formats: createFormats(localeOf(request.headers['accept-language']), chosen.zone), limits: chosen };
  }

  /** Adds a page about what the path names. */
  function addPage<Path>(
    path: string,
    build: (reader: Reader, params: Path, query: Values, request: FastifyRequest) => Promise<Content>,
  ): void {
    app.get<{ Params: Path }>(path, requireRole('analyst'), async (request, reply) => {
      const query = valuesOf(request);
      return send(reply, 200, await build(readerOf(request, query), request.params as Path, query, request));
    });
  }

  addPage('/', (reader, _params, query, request) => {
    const page = query['page'] === undefined ? 1 : numberOf(query['page']);
    const sort = oneOf('sort', SORT_NAMES, query['sort'], 'newest');
    return overviewPage(reader, { search: query['q'] ?? '', sort, page }, authorParts.ofOverview(request));
  });
  addPage<{ id: string }>('/campaign/:id', (reader, { id }, _query, request) =>
    campaignPage(
      reader,
      id,
      ({ campaign_id }) => html`${shareLink(request, String(campaign_id))}${authorParts.ofCampaign(request, campaign_id)}`,
    ),
  );
  addPage<{ id: string; link: string }>('/campaign/:id/link/:link', (reader, { id, link }) => linkPage(reader, id, numberOf(link)));
  addPage<{ id: string; link: string }>('/campaign/:id/link/:link/people', (reader, { id, link }, { mailable }) =>
    peoplePage(reader, id, { segment: 'clicked', link: numberOf(link), isMailable: mailable === 'only' }),
  );
  addPage<{ id: string; segment: string }>('/campaign/:id/people/:segment', (reader, { id, segment }, { mailable }) =>
    peoplePage(reader, id, { segment, link: undefined, isMailable: mailable === 'only' }),
  );
  addPage<{ id: string; property: string }>('/campaign/:id/by/:property', (reader, { id, property }, { value }) =>
    propertyPage(reader, id, oneOf('property', FACETS, property, 'country'), value ?? ''),
  );
  addPage<{ id: string }>('/person/:id', (reader, { id }, _query, request) =>
    personPage(reader, numberOf(id), (person) => authorParts.ofPerson(request, person)),
  );

  app.get<{ Params: { id: string; letter: string; part: string } }>(
    '/campaign/:id/letter/:letter/:part',
    requireRole('analyst'),
    async (request, reply) => {
      const { id, letter, part } = request.params;
      const reader = readerOf(request, valuesOf(request));
      const document = await letterPage(reader, id, letter, part);
      return reply.header('content-security-policy', letterPolicy(reader.state.images)).type('text/html; charset=utf-8').send(document);
    },
  );

  app.get<{ Params: { name: string } }>('/report/:name', requireRole('analyst'), async (request, reply) => {
    const { name } = request.params;
    const values = valuesOf(request);
    const [, reportName, ending] = /^(.*)\.(csv|xlsx)$/s.exec(name) ?? [];
    if (reportName !== undefined) return sendFile(reply, reportName, ending as keyof typeof FILES, values);
    const { status, content } = await reportPage(pool, name, values, limits);
    return send(reply, status, content);
  });

  /**
   * Sends all rows as a file while the database produces them. An error before the first row is shown as a page. A later error closes the
   * connection, and the file is incomplete.
   */
  async function sendFile(reply: FastifyReply, name: string, ending: keyof typeof FILES, values: Values): Promise<FastifyReply> {
    const report = await readReport(name);
    const send = async (stream: ResultStream): Promise<void> => {
      const { type, write } = FILES[ending];
      const file = Readable.from(write(stream));
      reply
        .type(type)
        .header('content-disposition', `attachment; filename="${fileNameOf(report, values)}.${ending}"`)
        .send(file);
      await finished(file);
    };
    try {
      await explainErrors(() => streamReport(pool, report, values, limits, send));
    } catch (error) {
      if (!reply.sent) throw error;
      // Fastify has already closed the connection. It is not an error if a browser cancels a download.
      if (codeOf((error as Error).cause ?? error) !== 'ERR_STREAM_PREMATURE_CLOSE' && expectedError(error) === undefined) onError(error);
    }
    return reply;
  }

  app.setNotFoundHandler((_request, reply) =>
    send(reply, 404, errorContent('Not found', new ClickledgerError('not-found', 'this page does not exist'))),
  );
  app.setErrorHandler((error, _request, reply) => fail(reply, error));
  return fail;
}

/** Reads a number in a URL. No page has an address with any other text in its place. */
const numberOf = (text: string): number => idOf(text, 'this page does not exist');

/** The file formats in which a report can be downloaded. */
const FILES = {
  csv: { type: 'text/csv; charset=utf-8', write: (stream: ResultStream): AsyncIterable<string | Uint8Array> => toCsv(stream) },
  xlsx: {
    type: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
    write: (stream: ResultStream): AsyncIterable<string | Uint8Array> => toXlsx(stream),
  },
} as const;

const TITLES: Readonly<Record<number, string>> = { 400: 'Invalid request', 404: 'Not found', 503: 'Not available now' };

/**
 * Returns the parameters of the URL. Leaves out empty values, because the form also sends its empty fields. Throws `bad-input` if a
 * parameter is repeated.
 */
function valuesOf(request: FastifyRequest): Values {
  const entries = Object.entries(request.query as Record<string, string | string[]>).filter(([, value]) => value !== '');
  for (const [name, value] of entries)
    if (typeof value !== 'string')
      throw new ClickledgerError('bad-input', `the parameter '${name}' is in the URL more than once. Leave one of them.`);
  return Object.fromEntries(entries) as Values;
}
