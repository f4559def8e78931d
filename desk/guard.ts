import { isIP } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];
const EVERYWHERE = ['0.0.0.0', '::', '[::]'];

/**
 * A hook that lets nothing in but GET under a name of ours. A page elsewhere can make its own name lead to 127.0.0.1 and ask as if it were
 * the same site (DNS rebinding); its name is then in the Host header, which no script can change.
 */
export function guard(host: string): (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply | undefined> {
  return async (request, reply) => {
    setHeaders(reply);
    if (!isOurs(request.headers.host ?? '', host))
      return reply.code(421).type('text/plain').send('clickledger: not a name of this dashboard\n');
    if (request.method !== 'GET') return reply.code(405).header('allow', 'GET').type('text/plain').send('clickledger: only GET\n');
    return undefined;
  };
}

/** What every answer has. */
export function setHeaders(reply: FastifyReply): void {
  reply
    .header('x-content-type-options', 'nosniff')
    .header('referrer-policy', 'no-referrer')
    .header('cross-origin-resource-policy', 'same-origin')
    .header('cross-origin-opener-policy', 'same-origin')
    .header('x-robots-tag', 'noindex')
    .header('cache-control', 'no-store');
}

/** Whether a Host header is a name of loopback or what we listen on; where that is every address, any address is. */
export function isOurs(header: string, host: string): boolean {
  const name = header.toLowerCase().replace(/:\d*$/, '');
  const bare = name.replace(/^\[(.*)\]$/, '$1');
  return (
    LOOPBACK.includes(name) || bare === host.toLowerCase().replace(/^\[(.*)\]$/, '$1') || (EVERYWHERE.includes(host) && isIP(bare) !== 0)
  );
}
