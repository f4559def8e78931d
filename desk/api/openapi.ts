import { z } from 'zod';
import type { Report } from '../../reporting/report-file.ts';
import { VERSION } from '../../core/version.ts';
import { PROBLEM_JSON } from './problems.ts';
import type { AnswerSpec, Route } from './route.ts';
import { COMPONENTS, ProblemBody } from './schemas.ts';

// Makes the OpenAPI 3.1 document from the routes. OpenAPI 3.1 uses JSON Schema 2020-12, which zod writes.

type Json = Record<string, unknown>;

const DIALECT = {
  target: 'draft-2020-12',
  unrepresentable: 'any',
  io: 'input',
  /** Removes keywords that say nothing: the range of all whole numbers, and the expression that zod uses for a format. */
  override: ({ jsonSchema }: { jsonSchema: Json }) => {
    if (jsonSchema['format'] !== undefined) delete jsonSchema['pattern'];
    if (jsonSchema['maximum'] === Number.MAX_SAFE_INTEGER) delete jsonSchema['maximum'];
    if (jsonSchema['minimum'] === Number.MIN_SAFE_INTEGER) delete jsonSchema['minimum'];
    if (jsonSchema['minLength'] === 0) delete jsonSchema['minLength'];
  },
} as const;

/** Returns the document. `reports` are the reports whose parameters a route may have. */
export function openApiDocument(routes: readonly Route[], prefix: string, reports: readonly Report[]): Json {
  const reportParameters = reportQuery(reports);
  const paths: Record<string, Json> = {};
  for (const each of routes) {
    paths[each.path] ??= {};
    (paths[each.path] as Json)[each.method.toLowerCase()] = operationOf(each, reportParameters);
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'clickledger',
      version: VERSION,
      description:
        'Campaigns, links, recipients, letters, reports and events of clickledger. docs/api.md explains keys, limits, errors and bodies with many lines.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: prefix }],
    security: [{ key: [] }],
    paths,
    components: {
      securitySchemes: { key: { type: 'http', scheme: 'bearer', description: 'a key of `clickledger key create`' } },
      schemas: componentSchemas(),
      responses: {
        Problem: {
          description: 'an error, as problem details (RFC 9457)',
          content: { [PROBLEM_JSON]: { schema: reference(ProblemBody) } },
        },
      },
    },
  };
}

/** The schemas with a name. References between them lead to their place in the document. */
function componentSchemas(): Json {
  const { schemas } = z.toJSONSchema(COMPONENTS, { ...DIALECT, uri: (id) => `#/components/schemas/${id}` });
  return Object.fromEntries(
    Object.entries(schemas)
      .toSorted(([a], [b]) => a.localeCompare(b))
      .map(([name, schema]) => [name, withoutKeys(schema as Json)]),
  );
}

/** Removes keywords that only a schema in a file of its own has. */
function withoutKeys({ $schema: _schema, $id: _id, ...rest }: Json): Json {
  return rest;
}

function schemaOf(schema: z.ZodType | undefined, io: 'input' | 'output' = 'input'): Json {
  if (schema === undefined) return { type: 'string' };
  if (COMPONENTS.has(schema)) return reference(schema);
  return withoutKeys(z.toJSONSchema(schema, { ...DIALECT, io }) as Json);
}

const reference = (schema: z.ZodType): Json => ({ $ref: `#/components/schemas/${COMPONENTS.get(schema)?.id}` });

function operationOf(each: Route, reportParameters: readonly Json[]): Json {
  const content = {
    ...(each.body === undefined ? {} : { 'application/json': { schema: schemaOf(each.body) } }),
    ...(each.line === undefined ? {} : { 'application/x-ndjson': { schema: schemaOf(each.line) } }),
  };
  return {
    operationId: each.operationId,
    summary: each.summary,
    description: [each.description, each.role && `Needs a key with the role ${each.role}.`].filter(Boolean).join(' '),
    tags: [each.tag ?? 'api'],
    ...(each.role === undefined ? { security: [] } : {}),
    parameters: [...parametersOf(each.params, 'path'), ...(each.hasReportQuery ? reportParameters : parametersOf(each.query, 'query'))],
    ...(Object.keys(content).length === 0 ? {} : { requestBody: { required: true, content } }),
    responses: {
      ...Object.fromEntries(Object.entries(each.answers).map(([status, answer]) => [status, responseOf(answer)])),
      default: { $ref: '#/components/responses/Problem' },
    },
  };
}

function responseOf({ description, content }: AnswerSpec): Json {
  if (content === undefined) return { description };
  return {
    description,
    content: Object.fromEntries(Object.entries(content).map(([type, schema]) => [type, { schema: schemaOf(schema) }])),
  };
}

/** The parameters of a path or a query. In a URL they are texts, and the document has the type that they are parsed to. */
function parametersOf(schema: z.ZodType | undefined, place: 'path' | 'query'): Json[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = schemaOf(schema, 'output') as { properties?: Record<string, Json>; required?: string[] };
  return Object.entries(properties).map(([name, { description, ...type }]) => ({
    name,
    in: place,
    required: required.includes(name),
    ...(description === undefined ? {} : { description }),
    schema: type,
  }));
}

/** The parameters of all reports. A report has only some of them. */
function reportQuery(reports: readonly Report[]): Json[] {
  const all = new Map(reports.flatMap(({ parameters }) => parameters.map((parameter) => [parameter.name, parameter])));
  return Array.from(all.values())
    .toSorted((a, b) => a.name.localeCompare(b.name))
    .map(({ name, help }) => ({ name, in: 'query', required: false, description: help, schema: { type: 'string' } }));
}
