import type { Readable } from 'node:stream';
import type { z } from 'zod';
import type { InputMistake, Problem } from './problems.ts';
import { mistakesOf } from './validate.ts';

// Reads and writes bodies with one JSON value on each line. A body may be larger than memory.

export const NDJSON = 'application/x-ndjson';

/** A line of a body. The first line is 1. Empty lines are left out, but count. */
export type Line<T> = { line: number; value: T } | { line: number; mistake: LineMistake };

/** Why a line cannot be used. */
export interface LineMistake {
  code: 'bad-input' | 'too-large';
  detail: string;
  errors?: InputMistake[];
}

const LINE_FEED = 0x0a;
const UTF8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads the lines of a body and parses them with a schema. Yields lists of `atOnce` lines, and the rest at the end. A line that is
 * longer than `maxBytes` or cannot be parsed is yielded with its mistake.
 */
export async function* readLines<T>(
  body: Readable,
  schemaOf: (line: number) => { schema: z.ZodType<T>; maxBytes: number },
  atOnce: number,
): AsyncGenerator<Line<T>[]> {
  let line = 1;
  let rest: Buffer[] = [];
  let restBytes = 0;
  let ready: Line<T>[] = [];
  const finish = (last: Buffer): void => {
    const { schema, maxBytes } = schemaOf(line);
    if (restBytes + last.length > maxBytes)
      ready.push({ line, mistake: { code: 'too-large', detail: `this line has more than ${maxBytes} bytes` } });
    else {
      const bytes = rest.length === 0 ? last : Buffer.concat([...rest, last]);
      const parsed = parseLine(bytes, schema);
      if (parsed !== undefined) ready.push({ line, ...parsed });
    }
    rest = [];
    restBytes = 0;
    line++;
  };
  for await (const chunk of body as AsyncIterable<Buffer>) {
    let from = 0;
    for (let to = chunk.indexOf(LINE_FEED); to !== -1; to = chunk.indexOf(LINE_FEED, from)) {
      finish(chunk.subarray(from, to));
      from = to + 1;
      if (ready.length < atOnce) continue;
      yield ready;
      ready = [];
    }
    if (from < chunk.length) {
      restBytes += chunk.length - from;
      // Of a line that is too long, only its length is kept.
      if (restBytes <= schemaOf(line).maxBytes) rest.push(chunk.subarray(from));
      else rest = [];
    }
  }
  if (restBytes > 0) finish(Buffer.alloc(0));
  if (ready.length > 0) yield ready;
}

function parseLine<T>(bytes: Buffer, schema: z.ZodType<T>): { value: T } | { mistake: LineMistake } | undefined {
  let value: unknown;
  try {
    const text = UTF8.decode(bytes);
    if (text.trim() === '') return undefined;
    value = JSON.parse(text);
  } catch {
    return { mistake: { code: 'bad-input', detail: 'this line is not JSON in UTF-8' } };
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return { value: parsed.data };
  return { mistake: { code: 'bad-input', detail: 'this line has mistakes', errors: mistakesOf(parsed.error) } };
}

/** What the answer to a line has, besides the number of the line. */
export type LineResult = Record<string, unknown>;

/**
 * Answers each line with a line. `work` gets the usable lines of a chunk, and returns their results in the same order. A line with a mistake
 * is answered in its place and does not stop the others. Calls `onCount` with the number of lines and the number of mistakes so far.
 */
export async function* answerLines<T>(
  chunks: AsyncIterable<Line<T>[]>,
  work: (values: { line: number; value: T }[]) => Promise<LineResult[]>,
  onCount: (lines: number, mistakes: number) => void,
): AsyncGenerator<string> {
  let lines = 0;
  let mistakes = 0;
  for await (const chunk of chunks) {
    const usable = chunk.filter((each) => 'value' in each);
    const results = usable.length === 0 ? [] : await work(usable);
    let next = 0;
    let text = '';
    for (const each of chunk) {
      if ('mistake' in each) mistakes++;
      const result = 'mistake' in each ? { problem: each.mistake } : (results[next++] as LineResult);
      text += `${JSON.stringify({ line: each.line, ...result })}\n`;
    }
    lines += chunk.length;
    onCount(lines, mistakes);
    yield text;
  }
}

/** The last line of an answer that ends early. It has no number. */
export const problemLine = (problem: Problem): string => `${JSON.stringify({ problem })}\n`;
