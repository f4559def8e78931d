import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { replaceFile } from '../core/files.ts';
import type { Ranges } from '../core/ranges.ts';

// The checkpoint contains the ranges that were published and are not confirmed. It only avoids publishing them again after a restart. If
// the checkpoint is missing or old, the agent publishes ranges again, and the workers drop those that are already committed. ship.test.ts
// has the tests of a lost checkpoint.

const range = z.tuple([z.int().min(0), z.int().min(0)]);
const schema = z.object({
  v: z.literal(1),
  incarnation: z.string(),
  inFlight: z.record(z.string(), z.record(z.string(), z.array(range))),
  epochs: z.record(z.string(), z.int().min(0)).default({}),
});

/** In-flight ranges by generation and shard, for the stream created at `incarnation`; and the highest known epoch of each shard. */
export interface Checkpoint {
  incarnation: string;
  inFlight: Record<string, Record<string, Ranges>>;
  epochs: Record<string, number>;
}

const fileIn = (directory: string): string => join(directory, 'checkpoint.json');

/** Reads the last checkpoint. Returns undefined if the checkpoint is missing, unreadable or invalid. The agent can start without it. */
export async function readCheckpoint(directory: string): Promise<Checkpoint | undefined> {
  try {
    const parsed = schema.safeParse(JSON.parse(await readFile(fileIn(directory), 'utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** Replaces the checkpoint file atomically. Rejects if the directory cannot be written. */
export async function writeCheckpoint(directory: string, checkpoint: Checkpoint): Promise<void> {
  await replaceFile(fileIn(directory), JSON.stringify({ v: 1, ...checkpoint }));
}
