import { z } from 'zod';
import { parseTarget } from '../../authoring/target.ts';
import { messageOf } from '../../core/errors.ts';
import { MAX_TARGET_BYTES } from '../../core/target.ts';
import { PROBLEM_CODES } from './problems.ts';

// The parts of schemas that several resources use. The schemas check the input, and the OpenAPI document is made from them. Fields have the
// same names as in the output of the commands with --json.

/** Schemas with a name in the OpenAPI document. */
export const COMPONENTS = z.registry<{ id: string }>();

/** Gives a schema a name in the OpenAPI document. */
export function named<T extends z.ZodType>(id: string, schema: T): T {
  COMPONENTS.add(schema, { id });
  return schema;
}

/** Text that Postgres can store: it has no NUL. */
/** The name of something that an index has. Postgres refuses entries of an index above some 2,700 bytes. */
export const indexed = (minLength = 0) =>
  text(1000, minLength).refine((value) => Buffer.byteLength(value) <= 2000, 'it must have at most 2000 bytes in UTF-8');

export const text = (maxLength: number, minLength = 0) =>
  z
    .string()
    .min(minLength)
    .max(maxLength)
    .regex(/^[^\u0000]*$/, 'it must not contain the character U+0000');

/** A number in a URL. */
const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, 'it must be a whole number')
    .transform(Number)
    .pipe(z.int().min(min).max(max));

export const idInPath = wholeNumber(1, Number.MAX_SAFE_INTEGER);
export const limitInQuery = (max: number) => wholeNumber(1, max);
export const cursorInQuery = z.string().regex(/^\d{1,15}$/, 'use the value of `next`');
export const flagInQuery = z
  .enum(['true', 'false'])
  .transform((value) => value === 'true')
  .pipe(z.boolean());

/** A time with an offset. */
export const time = z.iso
  .datetime({ offset: true, message: 'it must be a time with an offset, e.g. 2026-12-01T09:30:00+01:00' })
  .transform((value) => new Date(value));

/** The destination of a link. */
export const target = text(MAX_TARGET_BYTES, 1).superRefine((value, context) => {
  try {
    parseTarget(value);
  } catch (error) {
    context.addIssue({ code: 'custom', message: messageOf(error) });
  }
});

/** A time in an answer. */
export const timeOut = z.iso.datetime();
export const id = z.int().min(1);

/** A person, by mail address, by the author's own id, or by both. With both, the id identifies the person, and the address may change. */
export const personFields = {
  email: text(1000).optional().describe('the mail address'),
  external_id: text(1000).optional().describe("the author's own id of the person"),
};

export const ProblemBody = named(
  'Problem',
  z
    .object({
      type: z.literal('about:blank'),
      title: z.string(),
      status: z.int(),
      detail: z.string(),
      code: z.enum(PROBLEM_CODES),
      errors: z
        .array(z.object({ pointer: z.string().describe('a JSON Pointer to the field'), message: z.string() }))
        .optional()
        .describe('the mistakes in the input'),
    })
    .describe('Problem details (RFC 9457)'),
);

/** The result of a line that could not be used. Without `line`, it is the last line of an answer that ended early. */
export const LineProblem = named(
  'LineProblem',
  z.object({
    line: id.optional(),
    problem: z.object({
      code: z.enum(PROBLEM_CODES),
      detail: z.string(),
      errors: z.array(z.object({ pointer: z.string(), message: z.string() })).optional(),
    }),
  }),
);
