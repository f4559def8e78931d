import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify';
import { ClickledgerError } from '../../core/errors.ts';
import { explainDatabaseError, type Pool } from '../../core/postgres.ts';
import { listReports } from '../../reporting/report-file.ts';
import { setHeaders } from '../guard.ts';
import { type AuditDetails, type AuditEntry, createAuditLog } from './audit.ts';
import { type ApiKey, createAuthenticator } from './authenticate.ts';
import { removeUnusedReaders } from './event-reader.ts';
import { createEventSources } from './event-sources.ts';
import { createConcurrencyLimit } from './limits.ts';
import { NDJSON, problemLine } from './ndjson.ts';
import { openApiDocument } from './openapi.ts';
import { ApiError, InputError, PROBLEM_JSON, problemOf } from './problems.ts';
import { type Answer, type ApiDeps, type Context, type Method, type Route, route } from './route.ts';
import { ROUTES } from './routes.ts';
import { validate } from './validate.ts';

export const API_PREFIX = '/api/v1';

export interface ApiOptions extends Omit<ApiDeps, 'events'> {
  /** The URL of the catalog with the credentials of the analyst. Readings of events connect to the shards with them. */
  analystUrl: string;
  /** Connects as the author. It is only for keys and the log, so that long requests cannot delay the check of keys. */
  keys: Pool;
  /** Called with every unexpected error. */
  onError: (error: unknown) => void;
  /** Returns milliseconds. */
  now?: () => number;
  /** Tests may let the feeds of the shards be read more often. */
  feedTimes?: { pollMs?: number; allMs?: number };
}

/** Readings of events that nobody uses are removed so often. */
const UPKEEP_MS = 3_600_000;

const MAX_BODY_BYTES = 65_536;
/**
 * So much of an answer in NDJSON is kept in memory if the client does not read it. Then the next lines of the body are not read. Clients
 * that read the answer only after they have sent everything can have answers of this size.
 */
const ANSWER_BUFFER_BYTES = 8 * 1024 * 1024;
/** The status in the log for a request whose client has gone. */
const CLIENT_GONE = 499;

const ALL_METHODS: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** The description of the document, which needs no key. */
const documentRoute = route({
  method: 'GET',
  path: '/openapi.json',
  operationId: 'readDocument',
  summary: 'This document',
  role: undefined,
  answers: { 200: { description: 'the OpenAPI document', content: { 'application/json': undefined } } },
});

/** Adds the HTTP API to an app. Register it with the prefix API_PREFIX. */
export async function addApi(app: FastifyInstance, options: ApiOptions): Promise<void> {
  const { keys, onError, now = () => performance.now() } = options;
  const authenticator = createAuthenticator(keys, now);
  const concurrency = createConcurrencyLimit();
  const audit = createAuditLog(keys, onError);
  const admitted = new WeakMap<FastifyRequest, Admitted>();
  const { analystUrl, feedTimes, config, author, log } = options;
  const events = createEventSources(config.SHARDS, analystUrl, log, feedTimes);
  const deps: ApiDeps = { ...options, events };
  const document = openApiDocument([...ROUTES, documentRoute], API_PREFIX, await listReports());

  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, app.getDefaultJsonParser('error', 'error'));
  app.addContentTypeParser(NDJSON, (_request, payload, done) => done(null, payload));
  // Requests that wait for events are answered at once.
  app.addHook('preClose', async () => events.stop());
  const upkeep = setInterval(() => {
    removeUnusedReaders(author).catch((err: unknown) =>
      log.warn({ err }, 'cannot remove old readings of events; the next attempt is in an hour'),
    );
  }, UPKEEP_MS).unref();
  // This hook runs after the last connection is closed.
  app.addHook('onClose', async () => {
    clearInterval(upkeep);
    await Promise.all([audit.settled(), events.close()]);
  });
  app.addHook('onRequest', async (_request, reply) => setHeaders(reply));
  app.setErrorHandler((error, request, reply) => sendProblem(request, reply, error));
  app.setNotFoundHandler((_request, _reply) => {
    throw new ClickledgerError('not-found', `there is no such resource: GET ${API_PREFIX}/openapi.json lists all`);
  });

  function sendProblem(request: FastifyRequest, reply: FastifyReply, error: unknown): FastifyReply {
    const { problem, headers, isUnexpected } = problemOf(error);
    if (isUnexpected) onError(error);
    // The rest of a body that is not read would have to be received before the next request on this connection.
    if (!request.raw.complete) reply.header('connection', 'close');
    return reply.code(problem.status).headers(headers).type(PROBLEM_JSON).send(JSON.stringify(problem));
  }

  /** Checks the key before the body is read. */
  async function admit(each: Route, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const encoding = request.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity') throw new ApiError('wrong-media-type', 'send the body without Content-Encoding');
    if (each.role === undefined) return;
    const key = await authenticator.check(request.headers.authorization, request.ip).catch((error: unknown) => {
      throw explained(error);
    });
    if (key.role !== each.role)
      throw new ApiError('not-allowed', `this key has the role ${key.role}, and this request needs the role ${each.role}`);
    if (reply.raw.destroyed) throw new ClickledgerError('unavailable', 'the client has gone');
    const leave = concurrency.enter(key.id, each.isLong === true || isLines(request));
    const entered: Admitted = { key, isWorking: false, release: once(leave) };
    admitted.set(request, entered);
    // Work goes on for a while after its client has gone, so it keeps its place until it ends.
    reply.raw.once('close', () => {
      if (!entered.isWorking) entered.release();
    });
  }

  async function answer(each: Route, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const hasLines = isLines(request);
    if (hasLines ? each.handleLines === undefined : each.handle === undefined)
      throw new ApiError('wrong-media-type', `send the body as ${each.handleLines === undefined ? 'application/json' : NDJSON}`);
    const details: AuditDetails = {};
    const entered = admitted.get(request);
    const key = entered?.key;
    const params = each.params && validate(each.params, request.params, 'the URL');
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    const context = {
      deps,
      key: key?.id ?? '',
      gone: gone.signal,
      params,
      query: each.query === undefined ? refuseQuery(request.query) : validate(each.query, request.query, 'the query'),
      body: hasLines ? request.body : each.body && validate(each.body, request.body ?? undefined, 'the body'),
      accept: request.headers.accept ?? '',
      recheck: () => (key === undefined ? Promise.resolve() : authenticator.recheck(key)),
      note: (more: AuditDetails) => void Object.assign(details, more),
    } as unknown as Context<never, never, never>;
    let entry: AuditEntry | undefined;
    const end = once(async (status: number): Promise<void> => {
      entered?.release();
      await entry?.end(status, details);
    });
    if (entered) entered.isWorking = true;
    try {
      if (each.action !== undefined && key !== undefined) entry = await audit.begin({ key: key.id }, each.action, objectOf(params));
      const result = await (hasLines ? each.handleLines?.(context) : each.handle?.(context));
      if (result !== undefined && 'stream' in result) return await sendStream(reply, result, end);
      const { status } = result as Answer;
      await end(status);
      return 'json' in (result as Answer)
        ? reply
            .code(status)
            .type('application/json; charset=utf-8')
            .send(JSON.stringify((result as { json: unknown }).json))
        : reply.code(status).send();
    } catch (error) {
      const failure = explained(error);
      await end(reply.raw.destroyed ? CLIENT_GONE : problemOf(failure).problem.status);
      throw failure;
    }
  }

  /** Sends a stream. An error before its first part is answered with a problem. After it, NDJSON ends with a line that has the problem. */
  async function sendStream(
    reply: FastifyReply,
    { status, type, stream }: Extract<Answer, { stream: unknown }>,
    end: (status: number) => Promise<void>,
  ): Promise<FastifyReply> {
    const parts = stream[Symbol.asyncIterator]();
    const first = await parts.next();
    // A client may go before the body is read, and an iteration that has not begun has no clean-up.
    const finish = once(async (outcome: number): Promise<void> => {
      await parts.return?.();
      await end(outcome);
    });
    reply.raw.once('close', () => void finish(CLIENT_GONE).catch(onError));
    if (reply.raw.destroyed) {
      await finish(CLIENT_GONE);
      return reply.hijack();
    }
    async function* rest(): AsyncGenerator<string> {
      let outcome = CLIENT_GONE;
      try {
        for (let part = first; part.done !== true; part = await parts.next()) yield part.value;
        outcome = status;
      } catch (error) {
        if (reply.raw.destroyed) return;
        const { problem, isUnexpected } = problemOf(explained(error));
        if (isUnexpected) onError(error);
        outcome = problem.status;
        if (type !== NDJSON) throw error;
        yield problemLine(problem);
      } finally {
        await finish(outcome);
      }
    }
    const body = Readable.from(rest(), { objectMode: false, ...(type === NDJSON ? { highWaterMark: ANSWER_BUFFER_BYTES } : {}) });
    return reply.code(status).type(type).send(body);
  }

  for (const each of ROUTES)
    app.route({
      method: each.method,
      url: urlOf(each),
      bodyLimit: each.maxBodyBytes ?? MAX_BODY_BYTES,
      onRequest: (request, reply) => admit(each, request, reply),
      handler: (request, reply) => answer(each, request, reply),
    });
  app.get(urlOf(documentRoute), async (_request, reply) => reply.type('application/json; charset=utf-8').send(JSON.stringify(document)));
  refuseOtherMethods(app, [...ROUTES, documentRoute]);
}

interface Admitted {
  key: ApiKey;
  /** Whether the handler has begun. */
  isWorking: boolean;
  /** Gives up the place of the request among those of its key. */
  release: () => void;
}

/** Returns a function whose first call calls `work`. Further calls return the result of the first. */
function once<A extends unknown[], R>(work: (...args: A) => R): (...args: A) => R {
  let result: { value: R } | undefined;
  return (...args) => (result ??= { value: work(...args) }).value;
}

/** Answers 405 to all methods that the routes do not have. */
function refuseOtherMethods(app: FastifyInstance, routes: readonly Route[]): void {
  for (const [url, same] of Map.groupBy(routes, urlOf)) {
    const allowed = same.map(({ method }) => method);
    app.route({
      method: ALL_METHODS.filter((method) => !allowed.includes(method as Method)),
      url,
      config: { isRefusal: true },
      onRequest: async () => {
        throw new ApiError('wrong-method', `this resource has only the methods ${allowed.join(', ')}`, { allow: allowed.join(', ') });
      },
      handler: () => undefined,
    });
  }
}

/** The path in the syntax of Fastify. */
const urlOf = ({ path }: Route): string => path.replaceAll(/\{(\w+)\}/g, ':$1');

const isLines = (request: FastifyRequest): boolean => /^application\/x-ndjson\s*(?:;|$)/i.test(request.headers['content-type'] ?? '');

/** The object of a change in the log: `campaign 17`. */
function objectOf(params: unknown): string {
  return Object.entries((params ?? {}) as Record<string, unknown>)
    .map(([name, value]) => `${name} ${String(value)}`)
    .join(', ');
}

/** A parameter that a route does not know is a mistake, as an unknown field of a body is. */
function refuseQuery(query: unknown): undefined {
  const names = Object.keys(query as object);
  if (names.length > 0)
    throw new InputError(
      'the query has unknown parameters',
      names.map((name) => ({ pointer: `/${name}`, message: 'this parameter is unknown' })),
    );
}

/**
 * Explains an error of a database. Errors of this project stay, and so do mistakes in its code, such as a TypeError, which are not errors of
 * a database.
 */
function explained(error: unknown): unknown {
  if (error instanceof ClickledgerError || error instanceof ApiError || error instanceof InputError) return error;
  const isBug = !(error instanceof Error) || (error.constructor !== Error && !('code' in error));
  return isBug ? error : explainDatabaseError(error);
}
