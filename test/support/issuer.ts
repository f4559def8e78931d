import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider from 'oidc-provider';
import { onTestFinished } from 'vitest';

// Starts an OpenID Connect provider on loopback, and goes through its sign-in pages as a browser does.

export interface Issuer {
  url: string;
  clientId: string;
  clientSecret: string;
  /** Goes through the pages of the provider as a person with these claims. Returns the path and the query to which it leads in the end. */
  signIn(authorizationUrl: string, claims: Record<string, unknown>): Promise<string>;
  /** The same, but the person cancels. */
  cancel(authorizationUrl: string): Promise<string>;
}

/** Starts a provider for a desk at `deskUrl`. If `inToken`, the claims are in the id token; otherwise only in userinfo. */
export async function startIssuer(deskUrl: string, inToken = false): Promise<Issuer> {
  let handle: RequestListener = () => undefined;
  const server = createServer((request, response) => handle(request, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const people = new Map<string, Record<string, unknown>>();
  const client = { client_id: 'desk', client_secret: 'the secret of the desk' };
  const provider = new Provider(url, {
    clients: [{ ...client, redirect_uris: [`${deskUrl}/sign-in/oidc/callback`] }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['preferred_username'] },
    cookies: { keys: ['a key of the test'] },
    conformIdTokenClaims: !inToken,
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id, ...people.get(id) }) }),
  });
  handle = provider.callback();

  async function walk(
    authorizationUrl: string,
    answer: (page: string, submitUrl: string) => { url: string; body?: string },
  ): Promise<string> {
    const cookies = new Map<string, string>();
    const send = async (target: string, body?: string): Promise<Response> => {
      const response = await fetch(target, {
        redirect: 'manual',
        headers: {
          cookie: Array.from(cookies, ([name, value]) => `${name}=${value}`).join('; '),
          ...(body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
        },
        ...(body === undefined ? {} : { method: 'POST', body }),
      });
      for (const line of response.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
        cookies.set(name, value);
      }
      return response;
    };
    let at = authorizationUrl;
    let body: string | undefined;
    for (let step = 0; step < 12; step++) {
      const response = await send(at, body);
      body = undefined;
      const location = response.headers.get('location');
      const text = await response.text();
      if (location !== null) {
        const next = new URL(location, at);
        if (next.origin !== url) return `${next.pathname}${next.search}`;
        at = next.href;
      } else {
        if (!response.ok) throw new Error(`the provider answers ${response.status}: ${text.slice(0, 300)}`);
        ({ url: at, body } = { body: undefined, ...answer(text, at) });
      }
    }
    throw new Error('the provider leads nowhere');
  }

  return {
    url,
    clientId: client.client_id,
    clientSecret: client.client_secret,
    signIn(authorizationUrl, claims) {
      const id = `person-${people.size}`;
      people.set(id, claims);
      return walk(authorizationUrl, (page, submitUrl) => ({
        url: submitUrl,
        body: page.includes('name="prompt" value="login"') ? `prompt=login&login=${id}&password=x` : 'prompt=consent',
      }));
    },
    cancel: (authorizationUrl) => walk(authorizationUrl, (_page, submitUrl) => ({ url: `${submitUrl}/abort` })),
  };
}
