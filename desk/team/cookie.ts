import type { FastifyReply, FastifyRequest } from 'fastify';

/**
 * Returns the name of a cookie for this request. Over https, the prefix __Host- makes browsers refuse a cookie that another host of the same
 * domain has set.
 */
function nameOf(request: FastifyRequest, name: string): string {
  return request.protocol === 'https' ? `__Host-${name}` : name;
}

/** Returns the value of a cookie, or undefined. */
export function readCookie(request: FastifyRequest, name: string): string | undefined {
  const wanted = `${nameOf(request, name)}=`;
  for (const part of (request.headers.cookie ?? '').split(';')) {
    const pair = part.trim();
    if (pair.startsWith(wanted)) return pair.slice(wanted.length);
  }
  return undefined;
}

/** Sets a cookie. `value` must consist of characters that need no encoding. An empty value removes the cookie. */
export function setCookie(request: FastifyRequest, reply: FastifyReply, name: string, value: string, maxAgeSeconds: number): void {
  const secure = request.protocol === 'https' ? '; Secure' : '';
  reply.header(
    'set-cookie',
    `${nameOf(request, name)}=${value}; Path=/; Max-Age=${value === '' ? 0 : maxAgeSeconds}; HttpOnly; SameSite=Lax${secure}`,
  );
}
