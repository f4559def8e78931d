import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { isOfHosts } from '../core/hosts.ts';
import { isAlias, type SlugCodec } from '../core/slug.ts';
import type { LinkStore } from './links.ts';
import { GONE_PAGE, LATER_PAGE, NOT_FOUND_PAGE } from './pages.ts';
import { withQuery } from './pass-query.ts';
import { type Outcome, outcomeOf } from './routes.ts';
import { cutAfterName, isPathOf, queryOf } from './tracked-path.ts';

const UNKNOWN: Outcome = { kind: 'unknown' };
const FORGED: Outcome = { kind: 'forged' };
const LATER: Outcome = { kind: 'later' };

/** A slug or an alias that was found in a request, and its link. */
interface Found {
  name: string;
  link: number;
}

/**
 * Creates the HTTP server for `GET|HEAD /u/<slug or alias>`. `onOutcome` gets the outcome of each click and its duration in milliseconds.
 */
export function createApp(deps: {
  slugs: SlugCodec;
  links: LinkStore;
  now: () => number;
  onOutcome: (kind: Outcome['kind'], ms: number) => void;
}): FastifyInstance {
  const { slugs, links, now, onOutcome } = deps;
  const app = Fastify({
    // nginx keeps idle connections for 60 s. The backend must keep them longer. Otherwise nginx could send a request on a connection that
    // the backend is closing.
    keepAliveTimeout: 75_000,
    requestTimeout: 10_000,
    bodyLimit: 1024,
    logger: false,
    frameworkErrors: (_error, _request, reply) => send(reply, UNKNOWN),
    routerOptions: { maxParamLength: 128 },
    rewriteUrl: ({ url = '' }) => cutAfterName(url),
  });

  /**
   * Finds a slug or alias that is equal to `name` or to its beginning, without a query. Returns undefined if there is neither a signed slug
   * nor an alias in memory.
   */
  function findKnown(name: string): Found | undefined {
    const end = name.search(/[^0-9A-Za-z]/);
    const slug = end < 0 ? name : name.slice(0, end);
    if (end >= 0) {
      const link = links.cachedAlias(name);
      if (link !== undefined) return { name, link };
    }
    const checked = slugs.verify(slug);
    if (checked.ok) return { name: slug, link: checked.ids.link };
    // A mail client may have added `-` or `_` to the end of an alias. These characters are also allowed in an alias.
    const alias = name.replace(/[-_]+$/, '');
    const link = isAlias(alias) ? links.cachedAlias(alias) : undefined;
    return link === undefined ? undefined : { name: alias, link };
  }

  /** Finds an alias that may be new. Waits for the next poll of the catalog. */
  async function findNew(name: string): Promise<Found | undefined> {
    const link = await links.findAlias(name);
    return link === undefined ? findKnown(name) : { name, link };
  }

  /** Returns the slug of a click. An alias stands for the shared slug of its link. */
  const slugOf = ({ name, link }: Found): string => (isAlias(name) ? slugs.encode({ link, recipient: 0 }) : name);

  /** Decides the outcome of a click. `found` is undefined if the name is neither a signed slug nor an alias of a link. */
  async function decide(name: string, url: string): Promise<{ outcome: Outcome; found?: Found }> {
    const found = findKnown(name) ?? (isAlias(name) ? await findNew(name) : undefined);
    if (!found) return { outcome: isAlias(name) ? UNKNOWN : FORGED };
    const route = links.cachedRoute(found.link) ?? (await links.findRoute(found.link));
    const outcome = outcomeOf(route, now());
    if (!route || (outcome.kind !== 'redirect' && outcome.kind !== 'fallback')) return { outcome, found };
    let { location } = outcome;
    // withQuery adds no parameter that the address has already. So the slug is added before the query of the request, which may have a `cl`.
    if (route.followHosts && URL.canParse(location) && isOfHosts(new URL(location).hostname, route.followHosts))
      location = withQuery(location, `cl=${slugOf(found)}`);
    if (route.passQuery) location = withQuery(location, queryOf(url));
    return { outcome: { ...outcome, location }, found };
  }

  async function handleClick(request: FastifyRequest<{ Params: { name: string } }>, reply: FastifyReply): Promise<FastifyReply> {
    const startedMs = performance.now();
    const url = request.originalUrl;
    const { outcome, found } = await decide(request.params.name, url).catch((): Awaited<ReturnType<typeof decide>> => ({ outcome: LATER }));
    // nginx logs this name instead of the path, so that the log contains only the slug or alias.
    if (found && !isPathOf(url, found.name)) reply.header('x-slug', found.name);
    send(reply, outcome);
    onOutcome(outcome.kind, performance.now() - startedMs);
    return reply;
  }

  app.route({ method: ['GET', 'HEAD'], url: '/u/:name', exposeHeadRoute: false, handler: handleClick });
  app.setNotFoundHandler((_request, reply) => send(reply, UNKNOWN));
  return app;
}

const CLOSE_IDLE_EVERY_MS = 50;

/**
 * Stops accepting requests and finishes the running requests. Idle connections are closed repeatedly, because a connection that was busy
 * the first time would stay open until nginx closes it a minute later.
 */
export async function closeApp(app: FastifyInstance): Promise<void> {
  const timer = setInterval(() => app.server.closeIdleConnections(), CLOSE_IDLE_EVERY_MS);
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
    case 'fallback':
      return reply.code(302).header('location', headerValue(outcome.location)).header('x-link', outcome.link).send();
    case 'gone':
      return reply.code(410).type('text/html; charset=utf-8').send(GONE_PAGE);
    case 'later':
      return reply.code(503).header('retry-after', '5').type('text/html; charset=utf-8').send(LATER_PAGE);
    case 'unknown':
    case 'forged':
      return reply.code(404).type('text/html; charset=utf-8').send(NOT_FOUND_PAGE);
  }
}

/**
 * Encodes a URL for a header. Node writes header values as Latin-1, so this function returns the UTF-8 bytes of the URL as Latin-1
 * characters. The client then receives the UTF-8 bytes of the author's URL.
 */
function headerValue(location: string): string {
  return /^[\x20-\x7e]*$/.test(location) ? location : Buffer.from(location, 'utf8').toString('latin1');
}
