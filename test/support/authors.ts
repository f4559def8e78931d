import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { expect } from 'vitest';
import { createSlugCodec, type SlugIds } from '../../core/slug.ts';
import type { Ended } from './commands.ts';
import type { Databases } from './databases.ts';
import { temporaryDirectory } from './servers.ts';

// What tests of an author's commands have in common: settings, a desk with files on it, and what can be read out of the result.

export const BASE = 'https://t.example.org';

/** The settings of an author, for the environment. */
export function authorSettings(databases: Databases): Record<string, string> {
  return { BASE_URL: BASE, AUTHOR_URL: databases.roleUrls.author, SHARDS: databases.shardsText, SLUG_KEYS: databases.keysText };
}

/** A directory with these files. */
export async function deskWith(files: Record<string, string | Buffer>): Promise<string> {
  const desk = await temporaryDirectory();
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(desk, name)), { recursive: true });
    await writeFile(join(desk, name), content);
  }
  return desk;
}

/** Everything below a directory, sorted. */
export async function filesBelow(directory: string): Promise<string[]> {
  return (await readdir(directory, { recursive: true })).toSorted();
}

/** The tracked addresses of a text in their order: click or pixel, and whose; a slug that we did not sign fails the test. */
export function trackedIn(databases: Databases, text: string): (SlugIds & { kind: 'u' | 'r' })[] {
  const slugs = createSlugCodec(databases.keys);
  return Array.from(text.matchAll(/https:\/\/t\.example\.org\/([ur])\/([0-9A-Za-z]+)/g), ([address, kind, slug]) => {
    const check = slugs.verify(slug as string);
    if (!check.ok) throw new Error(`${address} is not signed`);
    return { kind: kind as 'u' | 'r', ...check.ids };
  });
}

/** The rows of a CSV file by column. */
export function readCsv(text: string | Buffer): Record<string, string>[] {
  return parse(text, { columns: true, relax_column_count: false });
}

/** A campaign of this name; its number. */
export async function campaignCalled(databases: Databases, name: string): Promise<number> {
  const [row] = await databases.query<{ id: number }>('catalog', 'INSERT INTO catalog.campaign (name) VALUES ($1) RETURNING id', [name]);
  return Number(row?.id);
}

/** Fails as a command should: one line on stderr that says what is wrong, nothing on stdout. */
export async function expectRefusal(ended: Promise<Ended>, why: string | RegExp): Promise<void> {
  const { code, stdout, stderr } = await ended;
  expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: '', stderr: expect.stringMatching(/^clickledger: [^\n]+\n$/) });
  expect(stderr).toMatch(why);
}

/** Succeeds, with nothing but data on stdout. */
export async function expectJson<T>(ended: Promise<Ended>): Promise<T> {
  const { code, stdout, stderr } = await ended;
  expect({ code, stderr, json: stdout.startsWith('{') || stdout.startsWith('[') }).toEqual({
    code: 0,
    stderr: expect.anything(),
    json: true,
  });
  return JSON.parse(stdout) as T;
}
