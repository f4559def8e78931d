import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { expect } from 'vitest';
import { createSlugCodec, type SlugIds } from '../../core/slug.ts';
import type { CommandResult } from './commands.ts';
import type { Databases } from './databases.ts';
import { temporaryDirectory } from './servers.ts';

// Helpers for tests of the commands for authors: settings, a directory with files, and functions that read the results.

export const BASE = 'https://t.example.org';

/** Returns the settings of an author as environment variables. */
export function authorSettings(databases: Databases): Record<string, string> {
  return { BASE_URL: BASE, AUTHOR_URL: databases.roleUrls.author, SHARDS: databases.shardsText, SLUG_KEYS: databases.keysText };
}

/** Creates a temporary directory with these files and returns its path. */
export async function createDesk(files: Record<string, string | Buffer>): Promise<string> {
  const desk = await temporaryDirectory();
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(desk, name)), { recursive: true });
    await writeFile(join(desk, name), content);
  }
  return desk;
}

/** Returns all paths below a directory, sorted. */
export async function listFiles(directory: string): Promise<string[]> {
  return (await readdir(directory, { recursive: true })).toSorted();
}

/** Returns the kind, link and recipient of each tracked address in a text, in order. Throws if a slug has no valid signature. */
export function trackedAddresses(databases: Databases, text: string): (SlugIds & { kind: 'u' | 'r' })[] {
  const slugs = createSlugCodec(databases.keys);
  return Array.from(text.matchAll(/https:\/\/t\.example\.org\/([ur])\/([0-9A-Za-z]+)/g), ([address, kind, slug]) => {
    const check = slugs.verify(slug as string);
    if (!check.ok) throw new Error(`${address} has no valid signature`);
    return { kind: kind as 'u' | 'r', ...check.ids };
  });
}

/** Returns the rows of a CSV file as objects by column name. */
export function readCsv(text: string | Buffer): Record<string, string>[] {
  return parse(text, { columns: true, relax_column_count: false });
}

/** Creates a campaign and returns its id. */
export async function insertCampaign(databases: Databases, name: string): Promise<number> {
  const [row] = await databases.query<{ id: number }>('catalog', 'INSERT INTO catalog.campaign (name) VALUES ($1) RETURNING id', [name]);
  return Number(row?.id);
}

/** Expects that a command fails correctly: exit code 1, one line on stderr that matches `reason`, and nothing on stdout. */
export async function expectRefusal(ended: Promise<CommandResult>, reason: string | RegExp): Promise<void> {
  const { code, stdout, stderr } = await ended;
  expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: '', stderr: expect.stringMatching(/^clickledger: [^\n]+\n$/) });
  expect(stderr).toMatch(reason);
}

/** Expects that a command succeeds and prints only JSON to stdout. Returns the parsed JSON. */
export async function expectJson<T>(ended: Promise<CommandResult>): Promise<T> {
  const { code, stdout, stderr } = await ended;
  expect({ code, stderr, json: stdout.startsWith('{') || stdout.startsWith('[') }).toEqual({
    code: 0,
    stderr: expect.anything(),
    json: true,
  });
  return JSON.parse(stdout) as T;
}
