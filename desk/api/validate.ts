import type { z } from 'zod';
import { InputError, type InputMistake } from './problems.ts';

/** Parses input with a schema. Throws an InputError with all mistakes. */
export function validate<T>(schema: z.ZodType<T>, input: unknown, what: string): T {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const mistakes = mistakesOf(parsed.error);
  throw new InputError(
    `${what}: ${mistakes.map(({ pointer, message }) => (pointer === '' ? message : `${pointer}: ${message}`)).join('; ')}`,
    mistakes,
  );
}

/** More mistakes than these are not reported. */
const MAX_MISTAKES = 20;

/** Returns the mistakes that a schema found. A field that the schema does not know is a mistake at its own place. */
export function mistakesOf(error: z.ZodError): InputMistake[] {
  return error.issues
    .flatMap((issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => ({ pointer: pointerOf([...issue.path, key]), message: 'this field is unknown' }))
        : [{ pointer: pointerOf(issue.path), message: issue.message }],
    )
    .slice(0, MAX_MISTAKES);
}

/** Returns a JSON Pointer (RFC 6901). */
const pointerOf = (path: readonly PropertyKey[]): string =>
  path.map((part) => `/${String(part).slice(0, 100).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
