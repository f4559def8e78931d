import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { isAlias, type SlugCodec } from '../core/slug.ts';
import type { LinkStore } from './links.ts';
import { GONE_PAGE, LATER_PAGE, NOT_FOUND_PAGE } from './pages.ts';
import { type Outcome, outcomeOf, type Route } from './routes.ts';

const UNKNOWN: Outcome = { kind: 'unknown' };

/** The HTTP side: `GET|HEAD /u/<slug or alias>`. `onOutcome` is told how each request ended. */
export function createApp(deps: {
  slugs: SlugCodec;
  links: LinkStore;
  now: () => number;
  onOutcome: (kind: Outcome['kind']) => void;
}): FastifyInstance {
  const { slugs, links, now, onOutcome } = deps;
  const app = Fastify({
    // nginx keeps idle connections for 60 s; ours must live longer.
    keepAliveTimeout: 75_000,
    requestTimeout: 10_000,
    bodyLimit: 1024,
    logger: false,
    frameworkErrors: (_error, _request, reply) => send(reply, UNKNOWN),
    routerOptions: { maxParamLength: 128 },
  });

  async function decide(name: string): Promise<Outcome> {
    const checked = slugs.verify(name);
    let route: Route | undefined;
    if (checked.ok) {
      route = links.known(checked.ids.link) ?? (await links.find(checked.ids.link));
    } else if (isAlias(name)) {
      const link = links.knownAlias(name) ?? (await links.findAlias(name));
      if (link !== undefined) route = links.known(link) ?? (await links.find(link));
    } else {
      return UNKNOWN;
    }
    return outcomeOf(route, now());
  }

  async function answer(request: FastifyRequest<{ Params: { name: string } }>, reply: FastifyReply): Promise<FastifyReply> {
    const outcome = await decide(request.params.name).catch((): Outcome => ({ kind: 'later' }));
    onOutcome(outcome.kind);
    return send(reply, outcome);
  }

  app.route({ method: ['GET', 'HEAD'], url: '/u/:name', exposeHeadRoute: false, handler: answer });
  app.setNotFoundHandler((_request, reply) => send(reply, UNKNOWN));
  return app;
}

const IDLE_MS = 50;

/**
 * Answers what has begun and takes nothing new. Idle connections are ended again and again: one that was busy at the first time would stay
 * until nginx lets go of it, a minute later.
 */
export async function closeApp(app: FastifyInstance): Promise<void> {
  const timer = setInterval(() => app.server.closeIdleConnections(), IDLE_MS);
  try {
    await app.close();
  } finally {
    clearInterval(timer);
  }
}

function send(reply: FastifyReply, outcome: Outcome): FastifyReply {
  reply.header('cache-control', 'no-store').header('x-robots-tag', 'noindex').header('referrer-policy', 'no-referrer');
  switch (outcome.kind) {
    case 'redirect':
      return reply.code(302).header('location', asHeader(outcome.location)).header('x-link', outcome.link).send();
    case 'gone':
      return reply.code(410).type('text/html; charset=utf-8').send(GONE_PAGE);
    case 'later':
      return reply.code(503).header('retry-after', '5').type('text/html; charset=utf-8').send(LATER_PAGE);
    case 'unknown':
      return reply.code(404).type('text/html; charset=utf-8').send(NOT_FOUND_PAGE);
  }
}

/** Node writes header values as Latin-1: this makes the bytes on the wire those of the address in UTF-8, as the author wrote it. */
function asHeader(location: string): string {
  return /^[\x20-\x7e]*$/.test(location) ? location : Buffer.from(location, 'utf8').toString('latin1');
}
