import { STATUS_CODES } from 'node:http';
import { ClickledgerError, codeOf, type ErrorCode } from '../../core/errors.ts';

// Errors of the API as problem details (RFC 9457).

export const PROBLEM_JSON = 'application/problem+json';

/** The codes of errors that only the API has, with their HTTP status. */
const OWN_STATUS = {
  'not-authenticated': 401,
  'not-allowed': 403,
  'wrong-method': 405,
  gone: 410,
  'too-large': 413,
  'wrong-media-type': 415,
  'too-many-requests': 429,
} as const;
type OwnCode = keyof typeof OWN_STATUS;

/** The codes of a ClickledgerError that the API answers, with their HTTP status. All others are `server-failed`. */
const STATUS = {
  'not-found': 404,
  'bad-input': 400,
  conflict: 409,
  unavailable: 503,
  'bad-settings': 503,
  'wrong-database': 503,
} as const satisfies Partial<Record<ErrorCode, number>>;
type SharedCode = keyof typeof STATUS;

export const PROBLEM_CODES = [
  ...(Object.keys(STATUS) as SharedCode[]),
  ...(Object.keys(OWN_STATUS) as OwnCode[]),
  'server-failed',
] as const;
export type ProblemCode = (typeof PROBLEM_CODES)[number];

/** A mistake in the input. `pointer` is a JSON Pointer to the field in the body, or the name of a parameter. */
export interface InputMistake {
  pointer: string;
  message: string;
}

/** The body of an error. `type` is always `about:blank`: `code` says which error it is. */
export interface Problem {
  type: 'about:blank';
  title: string;
  status: number;
  detail: string;
  code: ProblemCode;
  errors?: InputMistake[];
}

/** An expected failure that only the API has. */
export class ApiError extends Error {
  readonly apiCode: OwnCode;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: OwnCode, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = 'ApiError';
    this.apiCode = code;
    this.headers = headers;
  }
}

/** A failure of the validation. */
export class InputError extends Error {
  readonly mistakes: InputMistake[];

  constructor(message: string, mistakes: InputMistake[]) {
    super(message);
    this.name = 'InputError';
    this.mistakes = mistakes;
  }
}

/** Errors of Fastify, by their HTTP status. */
const OF_FASTIFY: Readonly<Record<number, { code: ProblemCode; detail: string }>> = {
  400: { code: 'bad-input', detail: 'the body or the URL is malformed: send valid JSON' },
  413: { code: 'too-large', detail: 'the body is too long: see docs/api.md for the limits' },
  415: { code: 'wrong-media-type', detail: 'this content type is not accepted here: the OpenAPI document says which are' },
};

/** Returns the problem for an error, and headers of the answer. `isUnexpected` says that the error must be reported to the operator. */
export function problemOf(error: unknown): { problem: Problem; headers: Readonly<Record<string, string>>; isUnexpected: boolean } {
  const make = (status: number, code: ProblemCode, detail: string, more: Partial<Problem> = {}): Problem => ({
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail,
    code,
    ...more,
  });
  const known = (problem: Problem, headers: Readonly<Record<string, string>> = {}) => ({ problem, headers, isUnexpected: false });
  if (error instanceof InputError) return known(make(400, 'bad-input', error.message, { errors: error.mistakes }));
  if (error instanceof ApiError) return known(make(OWN_STATUS[error.apiCode], error.apiCode, error.message), error.headers);
  if (error instanceof ClickledgerError) {
    // SQLSTATE class 22 means a data exception. The usual reason is that a value of the request cannot be used.
    if (error.code === 'server-failed' && codeOf(error.cause)?.startsWith('22')) return known(make(400, 'bad-input', error.message));
    if (error.code in STATUS) {
      const code = error.code as SharedCode;
      return known(make(STATUS[code], code, error.message), STATUS[code] === 503 ? { 'retry-after': String(RETRY_AFTER_SECONDS) } : {});
    }
  }
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  if (typeof status === 'number' && status >= 400 && status < 500) {
    const sent = OF_FASTIFY[status] === undefined ? 400 : status;
    const { code, detail } = OF_FASTIFY[sent] as { code: ProblemCode; detail: string };
    return known(make(sent, code, detail));
  }
  return {
    problem: make(500, 'server-failed', 'an unexpected error occurred: the log of the desk has it'),
    headers: {},
    isUnexpected: true,
  };
}

/** After this time, a client should repeat a request that failed because a database did not answer. */
const RETRY_AFTER_SECONDS = 5;
