import type { Readable } from 'node:stream';
import type { z } from 'zod';
import type { KeyRole } from '../../core/api-key.ts';
import type { Config } from '../../core/config.ts';
import type { Logger } from '../../core/log.ts';
import type { Pool } from '../../core/postgres.ts';
import type { RunOptions } from '../../reporting/run-report.ts';
import type { AuditDetails } from './audit.ts';
import type { EventSources } from './event-sources.ts';

// A route of the API. The same description checks the requests and is a part of the OpenAPI document.

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

/** What the handlers need. */
export interface ApiDeps {
  config: Config<'BASE_URL' | 'BASE_URLS' | 'AUTHOR_URL' | 'SLUG_KEYS' | 'SHARDS'>;
  /** Connects as the author. */
  author: Pool;
  /** Connects as the analyst. */
  analyst: Pool;
  /** For reports. */
  run: RunOptions;
  /** The shards, for readings of events. */
  events: EventSources;
  log: Logger;
}

export interface Context<P, Q, B> {
  deps: ApiDeps;
  params: P;
  query: Q;
  body: B;
  /** The id of the key of the request. */
  key: string;
  /** Aborts when the client has gone. */
  gone: AbortSignal;
  /** The header `Accept`. */
  accept: string;
  /** Throws `not-authenticated` if the key was revoked in the meantime. */
  readonly recheck: () => Promise<void>;
  /** Adds facts about the change to the log. */
  readonly note: (details: AuditDetails) => void;
}

/** The answer to a request. A stream is sent while it is made. */
export type Answer = { status: number; json: unknown } | { status: 204 } | { status: number; type: string; stream: AsyncIterable<string> };

/** The description of an answer: schemas by content type. Undefined: any content of this type. */
export interface AnswerSpec {
  description: string;
  content?: Readonly<Record<string, z.ZodType | undefined>>;
}

interface RouteOf<P, Q, B> {
  method: Method;
  /** The path below /api/v1, with parameters as in `/campaigns/{campaign}`. */
  path: string;
  operationId: string;
  /** The resource. */
  tag?: string;
  summary: string;
  description?: string;
  /** The role that a key must have. Undefined: the route needs no key. */
  role: KeyRole | undefined;
  params?: z.ZodType<P>;
  query?: z.ZodType<Q>;
  /** Whether the parameters of the query are those of the reports. */
  hasReportQuery?: boolean;
  body?: z.ZodType<B>;
  maxBodyBytes?: number;
  /** The schema of a line, if the route accepts NDJSON. It is only for the document. */
  line?: z.ZodType;
  /** The name of the change in the log. Undefined: the route changes nothing. */
  action?: string;
  /** Whether the route may take long and is limited more. Requests with NDJSON always are. */
  isLong?: boolean;
  answers: Readonly<Record<number, AnswerSpec>>;
  handle?(context: Context<P, Q, B>): Promise<Answer>;
  /** Handles a body in NDJSON. */
  handleLines?(context: Context<P, Q, Readable>): Promise<Answer>;
}

/** A route whose types are no longer known. */
export type Route = RouteOf<never, never, never>;

/** Describes a route. The types of the handler come from the schemas. */
export function route<P = undefined, Q = undefined, B = undefined>(description: RouteOf<P, Q, B>): Route {
  return description as unknown as Route;
}

export const json = (status: number, value: unknown): Answer => ({ status, json: value });
