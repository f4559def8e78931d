import type { FastifyInstance } from 'fastify';
import { expect, vi } from 'vitest';
import { parseConfig } from '../../core/config.ts';
import { createLogger } from '../../core/log.ts';
import { createPool, type Pool } from '../../core/postgres.ts';
import type { KeyRole } from '../../core/api-key.ts';
import { createKey } from '../../operating/api-keys.ts';
import { createDesk } from '../../desk/app.ts';
import { ROUTES } from '../../desk/api/routes.ts';
import type { Problem } from '../../desk/api/problems.ts';
import { authorSettings } from './authors.ts';
import type { Databases } from './databases.ts';

// Runs the HTTP API on the databases of a test.

/** An answer of the API. `json` is its body, if it is JSON. `lines` are the values of NDJSON. */
export interface ApiAnswer {
  status: number;
  headers: Record<string, unknown>;
  body: string;
  // The tests know the shape of each answer.
  // oxlint-disable-next-line typescript/no-explicit-any
  json: any;
  // oxlint-disable-next-line typescript/no-explicit-any
  lines: any[];
}

export interface TestApi {
  app: FastifyInstance;
  author: string;
  analyst: string;
  owner: Pool;
  onError: ReturnType<typeof vi.fn<(error: unknown) => void>>;
  newKey(role: KeyRole, rate?: number): Promise<{ id: string; key: string; name: string }>;
  /** Sends a request. A body that is an object is sent as JSON, and a list as NDJSON. The answer must have the shape of the document. */
  call(
    method: string,
    path: string,
    body?: object | string,
    options?: { key?: string | null; headers?: Record<string, string> },
  ): Promise<ApiAnswer>;
}

let keyNumber = 0;

/** Creates the desk with an API whose keys may make `rate` requests per second. `now` is the clock of the limits. */
export function createTestApi(
  databases: Databases,
  options: { now?: () => number; changes?: Record<string, string> } = {},
): {
  app: FastifyInstance;
  onError: ReturnType<typeof vi.fn<(error: unknown) => void>>;
} {
  const settings = { ...authorSettings(databases), ANALYST_URL: databases.roleUrls.analyst, ...options.changes };
  const config = parseConfig(['BASE_URL', 'BASE_URLS', 'AUTHOR_URL', 'SLUG_KEYS', 'SHARDS'], settings);
  const pool = createPool(settings.ANALYST_URL, { max: 4, name: 'test' });
  const author = createPool(config.AUTHOR_URL, { max: 4, name: 'test' });
  const keys = createPool(config.AUTHOR_URL, { max: 2, name: 'test' });
  const onError = vi.fn<(error: unknown) => void>();
  const app = createDesk({
    pool,
    host: '127.0.0.1',
    timeoutSeconds: 30,
    zone: 'UTC',
    refreshSeconds: 10,
    onError,
    api: {
      config,
      author,
      keys,
      analystUrl: settings.ANALYST_URL,
      log: createLogger('test', 'silent'),
      feedTimes: { pollMs: 20, allMs: 200 },
      ...(options.now === undefined ? {} : { now: options.now }),
    },
  });
  app.addHook('onClose', async () => void (await Promise.all([pool.end(), author.end(), keys.end()])));
  return { app, onError };
}

export async function startTestApi(databases: Databases, options: Parameters<typeof createTestApi>[1] = {}): Promise<TestApi> {
  const { app, onError } = createTestApi(databases, options);
  const owner = createPool(databases.ownerUrl, { max: 2, name: 'test' });
  app.addHook('onClose', () => owner.end());
  const newKey = async (role: KeyRole, rate = 10_000) => {
    const name = `key-${++keyNumber}`;
    return { name, ...(await createKey(owner, name, role, rate)) };
  };
  const author = (await newKey('author')).key;
  const analyst = (await newKey('analyst')).key;
  await app.ready();
  return {
    app,
    author,
    analyst,
    owner,
    onError,
    newKey,
    async call(method, path, body, { key, headers = {} } = {}) {
      const used = key === undefined ? (/^\/(?:reports|reach|events)/.test(path) ? analyst : author) : key;
      const isLines = Array.isArray(body);
      const response = await app.inject({
        method: method as 'GET',
        url: path.startsWith('/api/') ? path : `/api/v1${path}`,
        headers: {
          ...(used === null ? {} : { authorization: `Bearer ${used}` }),
          ...(body === undefined ? {} : { 'content-type': isLines ? 'application/x-ndjson' : 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { payload: typeof body === 'string' ? body : isLines ? ndjson(body) : JSON.stringify(body) }),
      });
      const type = String(response.headers['content-type'] ?? '');
      const answer: ApiAnswer = {
        status: response.statusCode,
        headers: response.headers,
        body: response.body,
        json: /json\b/.test(type) && !type.includes('ndjson') ? JSON.parse(response.body) : undefined,
        lines: type.includes('ndjson') ? linesOf(response.body) : [],
      };
      expectDocumented(method, path, answer);
      return answer;
    },
  };
}

export const ndjson = (values: readonly unknown[]): string =>
  values.map((value) => `${typeof value === 'string' ? value : JSON.stringify(value)}\n`).join('');

export const linesOf = (text: string): unknown[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown);

/** Expects that an answer has a status and a shape that its route describes. */
function expectDocumented(method: string, path: string, { status, headers, json, lines }: Omit<ApiAnswer, 'body'>): void {
  const pathname = path.replace('/api/v1', '').replace(/\?.*$/s, '');
  const found = ROUTES.find(
    (route) => route.method === method && new RegExp(`^${route.path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(pathname),
  );
  const type = ((headers['content-type'] as string | undefined) ?? '').replace(/;.*/, '');
  if (status >= 400) {
    expect(type).toBe('application/problem+json');
    expect(json).toMatchObject({
      type: 'about:blank',
      status,
      title: expect.any(String),
      detail: expect.any(String),
      code: expect.any(String),
    });
    return;
  }
  if (found === undefined) return;
  const described = found.answers[status];
  expect(described, `${method} ${path} answers ${status}`).toBeDefined();
  if (described?.content === undefined) return;
  expect(Object.keys(described.content)).toContain(type);
  const schema = described.content[type];
  for (const value of type === 'application/x-ndjson' ? lines : [json]) {
    const parsed = schema?.safeParse(value);
    expect(parsed?.success ?? true, `${method} ${path}: ${JSON.stringify(value)} ${parsed?.error?.message}`).toBe(true);
  }
}

/** Expects a problem with a status and a code, and returns it. */
export function expectProblem(answer: ApiAnswer, status: number, code: Problem['code']): Problem {
  expect({ status: answer.status, code: answer.json?.code }).toEqual({ status, code });
  return answer.json as Problem;
}
