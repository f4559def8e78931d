import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { parseAccountName } from '../../core/account.ts';
import { ClickledgerError } from '../../core/errors.ts';
import { deriveKey, newParameters } from '../../core/password.ts';
import { explainErrors, type Pool } from '../../core/postgres.ts';
import { html } from '../../reporting/format/markup.ts';
import { createFailureLimit } from '../api/limits.ts';
import { ApiError } from '../api/problems.ts';
import { type Content, errorNote } from '../views/frame.ts';
import { needSession, requireRole, SESSION_COOKIE, type SendPage, takeForm } from './access.ts';
import { createAttempts } from './attempts.ts';
import { readCookie, setCookie } from './cookie.ts';
import { fieldsOf } from './forms.ts';
import { localPath } from './local-path.ts';
import { createOidc, OidcError } from './oidc.ts';
import { endSession, openExternalSession, openSession, SESSION_SECONDS } from './sessions.ts';
import type { SignInPolicy, TeamOptions } from './settings.ts';

// The sign-in with a password or with OpenID Connect, and the sign-out.

const OIDC_COOKIE = 'clickledger-oidc';
/** A person has so much time for the sign-in at the issuer. */
const OIDC_SECONDS = 600;
/** More passwords that wait for their check are refused. Each check takes some tenths of a second. */
const MAX_WAITING = 16;

const WRONG = 'the name or the password is wrong';

/** Checks the password of an account. Other pages use it to let a person confirm a change. */
export interface PasswordCheck {
  /** Derives the key of a password for `use`. Throws an ApiError if there were too many attempts. `use` returns whether the key was right. */
  run(name: string, password: string, address: string, use: (key: Buffer) => Promise<boolean>): Promise<boolean>;
}

export interface SignInOptions {
  team: TeamOptions;
  policy: SignInPolicy;
  sendPage: SendPage;
  onError: (error: unknown) => void;
}

/** Adds the routes of the sign-in to an app. Returns the check of passwords. */
export function addSignIn(app: FastifyInstance, { team, policy, sendPage, onError }: SignInOptions): PasswordCheck {
  const { pool, config, now = () => performance.now() } = team;
  const failures = createFailureLimit(now, 'too many attempts to sign in from this address have failed: wait a minute');
  const attempts = createAttempts(now);
  const oidc = config.OIDC_ISSUER === '' ? undefined : createOidc(config);
  let waiting = 0;

  const passwordCheck: PasswordCheck = {
    async run(name, password, address, use) {
      const users = needPool(pool);
      failures.check(address);
      if (waiting >= MAX_WAITING) throw tooMany('too many people sign in at the moment: try again in a few seconds', 5);
      const pause = attempts.begin(name, address);
      if (pause > 0) throw tooMany(`too many wrong passwords: wait ${pause} ${pause === 1 ? 'second' : 'seconds'}`, pause);
      waiting++;
      try {
        // An unknown name goes the same way with random parameters, so that the time does not tell which names exist.
        const { rows } = await explainErrors(() =>
          users.query<{ parameters: string | null }>('SELECT catalog.password_parameters($1) AS parameters', [name]),
        );
        const isRight = await use(await deriveKey(password, rows[0]?.parameters ?? newParameters()));
        if (isRight) attempts.succeed(name, address);
        else failures.add(address);
        return isRight;
      } finally {
        waiting--;
      }
    },
  };

  async function signInPage(to: string, message?: string): Promise<Content> {
    const problem = await policy.problem();
    const shown = problem ?? message;
    const query = to === '/' ? '' : `?to=${encodeURIComponent(to)}`;
    return {
      title: 'Sign in',
      breadcrumbs: [],
      isFinal: true,
      body: html`<h1>Sign in</h1>
${shown !== undefined && errorNote(shown)}
${oidc && html`<p><a href="/sign-in/oidc${query}">Sign in with ${new URL(config.OIDC_ISSUER).host}</a></p>`}
<form action="/sign-in" method="post"><input type="hidden" name="to" value="${to}">
<div><label for="name">Name</label><input id="name" name="name" autocomplete="username" autocapitalize="none" required maxlength="254"></div>
<div><label for="password">Password</label><input id="password" name="password" type="password" autocomplete="current-password" required></div>
<div><button>Sign in</button></div></form>`,
    };
  }

  /** Answers an attempt that was refused with the sign-in page. Throws unexpected errors. */
  async function refuse(reply: FastifyReply, to: string, error: unknown): Promise<FastifyReply> {
    if (error instanceof ApiError && error.apiCode === 'too-many-requests')
      return sendPage(reply.headers(error.headers), 429, await signInPage(to, error.message));
    throw error;
  }

  /** Ends the session that the browser had before, and gives it the new one. So nobody can prepare a session for somebody else. */
  async function enter(request: FastifyRequest, reply: FastifyReply, token: string, to: string): Promise<FastifyReply> {
    await endSession(needPool(pool), readCookie(request, SESSION_COOKIE));
    setCookie(request, reply, SESSION_COOKIE, token, SESSION_SECONDS);
    return reply.redirect(to, 303);
  }

  app.get<{ Querystring: { to?: unknown } }>('/sign-in', requireRole('anyone'), async (request, reply) => {
    if (!(await policy.isRequired())) return reply.redirect('/', 303);
    const { to } = request.query;
    return sendPage(reply, 200, await signInPage(localPath(typeof to === 'string' ? to : undefined)));
  });

  app.post('/sign-in', takeForm('anyone'), async (request, reply) => {
    const fields = fieldsOf(request);
    const to = localPath(fields.get('to'));
    if (pool === undefined || !(await policy.isRequired())) return reply.redirect('/sign-in', 303);
    const name = nameOf(fields.get('name') ?? '');
    let token: string | undefined;
    try {
      await passwordCheck.run(name, fields.get('password') ?? '', request.ip, async (key) => {
        token = await openSession(pool, name, key);
        return token !== undefined;
      });
    } catch (error) {
      return refuse(reply, to, error);
    }
    return token === undefined ? sendPage(reply, 403, await signInPage(to, WRONG)) : enter(request, reply, token, to);
  });

  app.post('/sign-out', takeForm('analyst'), async (request, reply) => {
    needSession(request);
    await endSession(needPool(pool), readCookie(request, SESSION_COOKIE));
    setCookie(request, reply, SESSION_COOKIE, '', 0);
    return reply.redirect('/sign-in', 303);
  });

  if (oidc) {
    app.get<{ Querystring: { to?: unknown } }>('/sign-in/oidc', requireRole('anyone'), async (request, reply) => {
      const { to } = request.query;
      const begun = await oidc.begin(localPath(typeof to === 'string' ? to : undefined));
      setCookie(request, reply, OIDC_COOKIE, begun.cookie, OIDC_SECONDS);
      return reply.redirect(begun.url, 303);
    });

    app.get('/sign-in/oidc/callback', requireRole('anyone'), async (request, reply) => {
      const cookie = readCookie(request, OIDC_COOKIE) ?? '';
      setCookie(request, reply, OIDC_COOKIE, '', 0);
      let to = '/';
      try {
        failures.check(request.ip);
        const result = await oidc.finish(request.url, cookie);
        to = localPath(result.to);
        const name = nameOf(result.name);
        const token = await openExternalSession(needPool(pool), name, 'oidc');
        if (token !== undefined) return await enter(request, reply, token, to);
        const message = `there is no account '${name}' that signs in this way: ask an owner for \`clickledger user add ${name} --no-password\``;
        return await sendPage(reply, 403, await signInPage(to, message));
      } catch (error) {
        if (!(error instanceof OidcError)) return refuse(reply, to, error);
        failures.add(request.ip);
        if (error.cause !== undefined) onError(error.cause);
        return sendPage(reply, 403, await signInPage(to, error.message));
      }
    });
  }
  return passwordCheck;
}

const tooMany = (message: string, seconds: number): ApiError =>
  new ApiError('too-many-requests', message, { 'retry-after': String(seconds) });

function needPool(pool: Pool | undefined): Pool {
  if (pool === undefined) throw new ClickledgerError('unavailable', 'the desk has no AUTHOR_URL, so nobody can sign in');
  return pool;
}

/** Returns the name in its stored form. A text that cannot be a name becomes an empty one, which no account has. */
function nameOf(text: string): string {
  try {
    return parseAccountName(text);
  } catch {
    return '';
  }
}
