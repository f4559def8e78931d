import type { Readable } from 'node:stream';
import type { z } from 'zod';
import { explainErrors } from '../../core/postgres.ts';
import { answerLines, type LineResult, NDJSON, readLines } from './ndjson.ts';
import type { Answer, Context } from './route.ts';

/** Lines are handled in groups of this size. */
const LINES_AT_ONCE = 2000;
/** A line of a person or a URL may have this many bytes. */
const MAX_LINE_BYTES = 65_536;

/**
 * Answers a body in NDJSON with one line for each line. `work` gets usable lines in groups and returns their results in the same order. If
 * the key is revoked in the meantime, the answer ends.
 */
export function answerBody<T>(
  { body, note, recheck }: Context<unknown, unknown, Readable>,
  schema: z.ZodType<T>,
  work: (lines: { line: number; value: T }[]) => Promise<LineResult[]>,
): Answer {
  const chunks = readLines(body, () => ({ schema, maxBytes: MAX_LINE_BYTES }), LINES_AT_ONCE);
  let isFirst = true;
  const stream = answerLines(
    chunks,
    async (lines) => {
      if (!isFirst) await recheck();
      isFirst = false;
      return explainErrors(() => work(lines));
    },
    (lines, mistakes) => note({ lines, mistakes }),
  );
  return { status: 200, type: NDJSON, stream };
}
