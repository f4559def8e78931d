import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { AccountRole } from '../../core/account.ts';
import { ClickledgerError } from '../../core/errors.ts';
import { type Content, errorContent } from '../views/frame.ts';
import { readCookie, setCookie } from './cookie.ts';
import { hasFormToken, isSameOrigin, MAX_FORM_BYTES } from './forms.ts';
import { type Account, findSession, openExternalSession, type Session, SESSION_SECONDS } from './sessions.ts';
import { createSignInPolicy, isLoopback, type SignInPolicy, type TeamOptions } from './settings.ts';

// Who may see and change what. Each route of the pages declares it, and a hook checks it before each request:
//
//   not required (settings.ts) ──► everything is open, and `request.account` is undefined
//   required, no session       ──► GET: redirect to the sign-in. POST: the same, without coming back to it
//   required, a session        ──► the role of the account must be that of the route or a higher one

/** Who may use a route. `anyone` needs no account. */
export type Access = AccountRole | 'anyone';

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
    /** Whether the route takes a form. All other routes answer only GET. */
    isForm?: true;
  }
  interface FastifyRequest {
    /** The account that has signed in. Undefined: nobody has to sign in, or the route is for anyone. */
    account: Account | undefined;
  }
}

/** The options of a page: who may see it. */
export const requireRole = (access: Access): { config: { access: Access } } => ({ config: { access } });

/** The options of a POST route that takes a form: who may send it. */
export const takeForm = (access: Access): { config: { access: Access; isForm: true }; bodyLimit: number } => ({
  config: { access, isForm: true },
  bodyLimit: MAX_FORM_BYTES,
});

export const SESSION_COOKIE = 'clickledger';

const RANK = { analyst: 1, author: 2, owner: 3 } as const satisfies Record<AccountRole, number>;

/** Returns whether an account may do what needs `role`. If nobody has to sign in, there is no account, and everything is allowed. */
export function mayUse(account: Account | undefined, role: AccountRole): boolean {
  return account === undefined || RANK[account.role] >= RANK[role];
}

// The session has the token of forms. It is not a property of the request, so that no log of requests can contain it.
const sessions = new WeakMap<FastifyRequest, Session>();

/** Returns the session of a request, or undefined if nobody has signed in. */
export const sessionOf = (request: FastifyRequest): Session | undefined => sessions.get(request);

/** Returns the session of a request to a page that is about accounts. Throws `not-found` if nobody has to sign in. */
export function needSession(request: FastifyRequest): Session {
  const session = sessions.get(request);
  if (session === undefined)
    throw new ClickledgerError(
      'not-found',
      'this page is for accounts, and nobody has to sign in here: `clickledger user add <name> --role owner` adds the first account. With SIGN_IN=off there is no sign-in at all',
    );
  return session;
}

export type SendPage = (reply: FastifyReply, status: number, content: Content) => FastifyReply;

/** Makes every route of an app declare who may use it. A route without it is a mistake in the code, which is found at the start. */
export function requireDeclarations(app: FastifyInstance): void {
  app.decorateRequest('account', undefined);
  app.addHook('onRoute', ({ url, method, config }) => {
    if (config?.access === undefined)
      throw new Error(`${String(method)} ${url} does not declare who may use it: add requireRole or takeForm`);
  });
}

const refuse = (sendPage: SendPage, reply: FastifyReply, message: string): FastifyReply =>
  sendPage(reply, 403, errorContent('Not allowed', new ClickledgerError('bad-input', message)));

/** Refuses forms that do not come from a page of this origin, also if nobody has to sign in. */
export function addOriginCheck(app: FastifyInstance, deskUrl: string, sendPage: SendPage): void {
  app.addHook('onRequest', async (request, reply) => {
    // With the policy `no-referrer`, browsers send `Origin: null` with every form, and the check below would refuse it. With `same-origin`, they send the
    // real origin. Other sites get no referrer with either policy.
    reply.header('referrer-policy', 'same-origin');
    if (request.routeOptions.config.isForm && !isSameOrigin(request, deskUrl))
      return refuse(
        sendPage,
        reply,
        'this form does not come from a page of the desk: open the page again. Behind a proxy with https, set DESK_URL to the address in your browser',
      );
    return undefined;
  });
}

/** Checks the account and the role of every request to the pages of an app. `host` is the address on which the desk listens. */
export function addAccess(app: FastifyInstance, host: string, team: TeamOptions, sendPage: SendPage): SignInPolicy {
  const { pool, config } = team;
  const policy = createSignInPolicy(host, team);
  /** Finds the session of a request. With the header of a proxy, opens one. Returns a text if the person may not sign in. */
  async function identify(
    request: FastifyRequest,
    reply: FastifyReply,
    proxyName: string | undefined,
  ): Promise<Session | string | undefined> {
    if (pool === undefined) return undefined;
    const session = await findSession(pool, readCookie(request, SESSION_COOKIE));
    if (proxyName === undefined) return session;
    if (session !== undefined && !session.hasPassword && foldName(session.account.name) === foldName(proxyName))
      return { ...session, isByProxy: true };
    const token = await openExternalSession(pool, proxyName, 'header');
    if (token === undefined)
      return 'there is no account with your name that signs in by the proxy: ask an owner for `clickledger user add <name> --no-password`';
    setCookie(request, reply, SESSION_COOKIE, token, SESSION_SECONDS);
    const opened = await findSession(pool, token);
    return opened && { ...opened, isByProxy: true };
  }

  app.addHook('onRequest', async (request, reply) => {
    const { access = 'analyst' } = request.routeOptions.config;
    const header = config.TRUSTED_HEADER === '' ? undefined : request.headers[config.TRUSTED_HEADER];
    // The address of the connection counts, and not X-Forwarded-For, because a client chooses the latter.
    if (header !== undefined && !isLoopback(request.socket.remoteAddress ?? ''))
      return refuse(sendPage, reply, `the header ${config.TRUSTED_HEADER} is accepted only from a proxy on the machine of the desk`);
    if (access === 'anyone' || !(await policy.isRequired())) return undefined;
    const found = await identify(request, reply, header === undefined ? undefined : Buffer.from(String(header), 'latin1').toString());
    if (typeof found === 'string') return refuse(sendPage, reply, found);
    if (found === undefined) {
      const to = request.method === 'GET' && request.url !== '/' ? `?to=${encodeURIComponent(request.url)}` : '';
      return reply.redirect(`/sign-in${to}`, 303);
    }
    sessions.set(request, found);
    request.account = found.account;
    if (!mayUse(found.account, access))
      return refuse(sendPage, reply, `this needs the role ${access}, and your account has the role ${found.account.role}: ask an owner`);
    return undefined;
  });

  app.addHook('preHandler', async (request, reply) => {
    const session = sessions.get(request);
    if (request.routeOptions.config.isForm && session !== undefined && !hasFormToken(request, session))
      return refuse(sendPage, reply, 'this form is too old, or was made for another session: open the page again and repeat your input');
    return undefined;
  });
  return policy;
}

/** Folds the case of ASCII letters only, as the catalog does with names. */
const foldName = (name: string): string => name.normalize('NFC').replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
