import type { FastifyInstance, InjectOptions } from 'fastify';
import { onTestFinished, vi } from 'vitest';
import type { AccountRole } from '../../core/account.ts';
import { parseConfig } from '../../core/config.ts';
import { createPool, type Pool } from '../../core/postgres.ts';
import type { AuthorOptions } from '../../desk/author/tools.ts';
import { createDesk } from '../../desk/app.ts';
import { TEAM_SETTINGS } from '../../desk/team/settings.ts';
import { authorSettings } from './authors.ts';
import { createAccount } from '../../operating/accounts.ts';
import type { Databases } from './databases.ts';

// Runs the pages of the desk with accounts, on the databases of a test.

export const PASSWORD = 'correct horse battery';

export interface TestDesk {
  app: FastifyInstance;
  onError: ReturnType<typeof vi.fn<(error: unknown) => void>>;
  /** Patterns and options of all routes of the pages. */
  routes: { method: string; url: string; config: Record<string, unknown> }[];
  /** Moves the clock of the limits. */
  passMs(ms: number): void;
}

/** Returns the options of the pages for authors, with a pool. */
export function authorOptionsFor(databases: Databases, pool: Pool): AuthorOptions {
  const config = parseConfig(['BASE_URL', 'BASE_URLS', 'AUTHOR_URL', 'SLUG_KEYS', 'SHARDS'], authorSettings(databases));
  return { config, author: pool, keys: pool };
}

/** Creates a desk with these settings of sign-in. */
export async function startTestDesk(databases: Databases, settings: Record<string, string> = {}, host = '127.0.0.1'): Promise<TestDesk> {
  const analyst = createPool(databases.roleUrls.analyst, { max: 4, name: 'test' });
  const author = createPool(databases.roleUrls.author, { max: 4, name: 'test' });
  const onError = vi.fn<(error: unknown) => void>();
  let nowMs = 0;
  const app = createDesk({
    pool: analyst,
    host,
    timeoutSeconds: 30,
    zone: 'UTC',
    refreshSeconds: 10,
    onError,
    author: authorOptionsFor(databases, author),
    team: { pool: author, config: parseConfig(TEAM_SETTINGS, settings), now: () => nowMs },
  });
  const routes: TestDesk['routes'] = [];
  app.addHook('onRoute', ({ method, url, config }) => {
    routes.push({ method: String(method), url, config: { ...config } });
  });
  app.addHook('onClose', async () => void (await Promise.all([analyst.end(), author.end()])));
  await app.ready();
  return { app, onError, routes, passMs: (ms) => (nowMs += ms) };
}

/** Adds an account with the password PASSWORD. Null: without a password. */
export async function addAccount(
  databases: Databases,
  name: string,
  role: AccountRole,
  password: string | null = PASSWORD,
): Promise<number> {
  const owner = createPool(databases.ownerUrl, { max: 1, name: 'test' });
  try {
    return (await createAccount(owner, name, role, password ?? undefined)).id;
  } finally {
    await owner.end();
  }
}

/** A browser: it keeps cookies, sends Origin with POST, and does not follow redirects. */
export interface Visitor {
  cookies: Map<string, string>;
  get(url: string, options?: InjectOptions): Promise<Answer>;
  /** Sends a form with the token of the session, which it reads from a page. */
  post(url: string, fields?: Record<string, string>, options?: InjectOptions): Promise<Answer>;
  signIn(name: string, password?: string, options?: InjectOptions): Promise<Answer>;
}

export interface Answer {
  status: number;
  location: string | undefined;
  body: string;
  headers: Record<string, unknown>;
  setCookies: string[];
}

const ORIGIN = 'http://127.0.0.1';

export function visit({ app }: Pick<TestDesk, 'app'>, base: InjectOptions = {}): Visitor {
  const cookies = new Map<string, string>();
  const send = async (options: InjectOptions): Promise<Answer> => {
    const cookie = Array.from(cookies, ([name, value]) => `${name}=${value}`).join('; ');
    const headers = { host: '127.0.0.1', ...(cookie === '' ? {} : { cookie }), ...base.headers, ...options.headers };
    const response = await app.inject({
      ...base,
      ...options,
      // A header that is undefined is left out.
      headers: Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined)),
    });
    const setCookies = [response.headers['set-cookie'] ?? []].flat();
    for (const line of setCookies) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '') cookies.delete(name);
      else cookies.set(name, value);
    }
    return {
      status: response.statusCode,
      location: response.headers.location,
      body: response.body,
      headers: response.headers,
      setCookies,
    };
  };
  const visitor: Visitor = {
    cookies,
    get: (url, options = {}) => send({ ...options, method: 'GET', url }),
    async post(url, fields = {}, options = {}) {
      const token = url === '/sign-in' || 'form_token' in fields ? undefined : await formTokenOf(visitor);
      return send({
        ...options,
        method: 'POST',
        url,
        headers: { origin: ORIGIN, 'content-type': 'application/x-www-form-urlencoded', ...options.headers },
        payload: new URLSearchParams({ ...(token === undefined ? {} : { form_token: token }), ...fields }).toString(),
      });
    },
    signIn: (name, password = PASSWORD, options = {}) => visitor.post('/sign-in', { name, password }, options),
  };
  return visitor;
}

/** Reads the token of forms from the page of the account. */
async function formTokenOf(visitor: Visitor): Promise<string | undefined> {
  return /name="form_token" value="([^"]+)"/.exec((await visitor.get('/account')).body)?.[1];
}

/** Creates a desk that is closed after the test. */
export async function deskForTest(...options: Parameters<typeof startTestDesk>): Promise<TestDesk> {
  const desk = await startTestDesk(...options);
  onTestFinished(() => desk.app.close());
  return desk;
}
