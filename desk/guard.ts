import { isIP } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];
const EVERYWHERE = ['0.0.0.0', '::', '[::]'];

/**
 * Creates a hook that accepts only GET requests, and POST requests to routes that take a form, whose Host header names the dashboard or the
 * host of `deskUrl`. This prevents DNS rebinding. In this attack, a
 * foreign site makes its own host name resolve to 127.0.0.1, and the browser then allows the scripts of the foreign site to read the
 * dashboard. The Host header of such a request has the name of the foreign site, and a script cannot change this header.
 */
export function guard(host: string, deskUrl = ''): (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply | undefined> {
  const publicHost = deskUrl === '' ? undefined : new URL(deskUrl).host;
  return async (request, reply) => {
    setHeaders(reply);
    const named = request.headers.host ?? '';
    if (!isOwnHost(named, host) && named.toLowerCase() !== publicHost)
      return reply
        .code(421)
        .type('text/plain')
        .send('clickledger: the dashboard does not serve this host name; open the address that `clickledger dashboard` printed\n');
    const takesForm = request.method === 'POST' && request.routeOptions.config.isForm === true;
    if (request.method !== 'GET' && !takesForm)
      return reply.code(405).header('allow', 'GET').type('text/plain').send('clickledger: the dashboard answers only GET requests\n');
    return undefined;
  };
}

/** Sets the headers of every response. */
export function setHeaders(reply: FastifyReply): void {
  reply
    .header('x-content-type-options', 'nosniff')
    .header('referrer-policy', 'no-referrer')
    .header('cross-origin-resource-policy', 'same-origin')
    .header('cross-origin-opener-policy', 'same-origin')
    .header('x-robots-tag', 'noindex')
    .header('cache-control', 'no-store');
}

/**
 * Returns whether a Host header names loopback or the address that the dashboard listens on. If the dashboard listens on all addresses,
 * every IP address is accepted, and `localhost` is the only host name that is accepted.
 */
export function isOwnHost(header: string, host: string): boolean {
  const name = header.toLowerCase().replace(/:\d*$/, '');
  const bare = name.replace(/^\[(.*)\]$/, '$1');
  return (
    LOOPBACK.includes(name) || bare === host.toLowerCase().replace(/^\[(.*)\]$/, '$1') || (EVERYWHERE.includes(host) && isIP(bare) !== 0)
  );
}
