import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { MAX_WAIT_SECONDS } from './api/events.ts';
import { addApi, API_PREFIX, type ApiOptions } from './api/plugin.ts';
import { problemOf, PROBLEM_JSON } from './api/problems.ts';
import { setHeaders } from './guard.ts';
import { addPages, type PageOptions } from './pages.ts';

/** A request that was answered, or whose client has gone. `route` is the pattern of its path. */
export interface AnsweredRequest {
  method: string;
  route: string;
  status: number;
  seconds: number;
}

/** The options of the desk. */
export interface Desk extends PageOptions {
  /** Undefined: there is no API. */
  api?: Omit<ApiOptions, 'onError' | 'run' | 'analyst'> | undefined;
  onAnswered?: (request: AnsweredRequest) => void;
}

/** A connection without traffic is closed after the longest time of a report or of waiting for events, and this additional time. */
const IDLE_MS = 30_000;

/** Creates the web server of clickledger: the pages about campaigns and reports, and the HTTP API. */
export function createDesk(desk: Desk): FastifyInstance {
  const { api, onAnswered, ...pages } = desk;
  const app = Fastify({
    logger: false,
    bodyLimit: 1024,
    routerOptions: { maxParamLength: 200 },
    exposeHeadRoutes: false,
    // A proxy on this machine says from which address a request came. Failed authentications are counted by this address.
    trustProxy: 'loopback',
    connectionTimeout: Math.max(desk.timeoutSeconds, MAX_WAIT_SECONDS) * 1000 + IDLE_MS,
    // Browsers keep their connections open. The shutdown must not wait for them.
    forceCloseConnections: 'idle',
    // Fastify runs no hooks for a request with a malformed URL, so the headers are set here.
    frameworkErrors: (error, request, anyReply) => {
      const reply = anyReply as FastifyReply;
      setHeaders(reply);
      if (request.raw.url?.startsWith(`${API_PREFIX}/`) !== true) return fail(reply, error);
      const { problem } = problemOf(error);
      return reply.code(problem.status).type(PROBLEM_JSON).send(JSON.stringify(problem));
    },
  });
  if (onAnswered)
    app.addHook('onRequest', async (request, reply) => {
      const startedMs = performance.now();
      reply.raw.once('close', () =>
        onAnswered({
          method: request.method,
          route: request.routeOptions.url ?? 'none',
          status: reply.raw.statusCode,
          seconds: (performance.now() - startedMs) / 1000,
        }),
      );
    });
  const { onError, timeoutSeconds, zone, countUnsure = false, goalDays } = pages;
  if (api) {
    const options = { ...api, analyst: pages.pool, run: { timeoutSeconds, zone, countUnsure, goalDays }, onError };
    app.register((scope) => addApi(scope, options), { prefix: API_PREFIX });
  }
  let fail: ReturnType<typeof addPages>;
  app.register(async (scope) => void (fail = addPages(scope, pages)));
  return app;
}

const CLOSE_IDLE_EVERY_MS = 100;
/** Requests that still run after this time are ended, e.g. an import of many people. The client can send it again. */
const FINISH_MS = 5_000;

/** Stops accepting requests, and finishes the running ones for a short time. */
export async function closeDesk(app: FastifyInstance): Promise<void> {
  const idle = setInterval(() => app.server.closeIdleConnections(), CLOSE_IDLE_EVERY_MS);
  const late = setTimeout(() => app.server.closeAllConnections(), FINISH_MS);
  try {
    await app.close();
  } finally {
    clearInterval(idle);
    clearTimeout(late);
  }
}
