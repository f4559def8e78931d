import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { codeOf } from '../core/errors.ts';
import { replaceFile } from '../core/files.ts';
import { emptyRoutes, type Routes } from './routes.ts';

// Stores the routes on disk, so that a backend can start while Postgres is down. Links are stored as tuples and not as objects, so that a
// million links can be read in a second.

const schema = z.object({
  v: z.literal(1),
  links: z.array(z.tuple([z.int(), z.int(), z.string(), z.number().nullable(), z.number().nullable(), z.string().nullable()])),
  aliases: z.array(z.tuple([z.string(), z.int()])),
  /**
   * The links of campaigns with --pass-query. They are not in the tuples, so that older and newer versions of the program can read each
   * other's files.
   */
  passQuery: z.array(z.int()).default([]),
  /** The lists of hosts of campaigns with --follow, each with the links of these campaigns. */
  follow: z.array(z.tuple([z.array(z.string()), z.array(z.int())])).default([]),
});

const fileIn = (directory: string): string => join(directory, 'routes.json');

/** Replaces the snapshot file atomically. Rejects if the directory cannot be written. */
export async function writeSnapshot(directory: string, routes: Routes): Promise<void> {
  const links = Array.from(routes.links.values(), (r) => [r.link, r.version, r.target, r.expiresAt, r.disabledAt, r.fallback]);
  const passQuery = Array.from(routes.links.values()).flatMap((r) => (r.passQuery ? [r.link] : []));
  const followed = Array.from(routes.links.values()).filter(({ followHosts }) => followHosts !== null);
  const follow = Map.groupBy(followed, ({ followHosts }) => JSON.stringify(followHosts))
    .values()
    .map((group) => [group[0]?.followHosts, group.map(({ link }) => link)])
    .toArray();
  await replaceFile(fileIn(directory), JSON.stringify({ v: 1, links, aliases: [...routes.aliases], passQuery, follow }));
}

/**
 * Reads the last snapshot and the time at which it was written, in epoch milliseconds. Resolves with undefined if there is no file or its
 * content is not valid.
 */
export async function readSnapshot(directory: string): Promise<{ routes: Routes; writtenMs: number } | undefined> {
  let text: string;
  let writtenMs: number;
  try {
    ({ mtimeMs: writtenMs } = await stat(fileIn(directory)));
    text = await readFile(fileIn(directory), 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const parsed = schema.safeParse(parseJson(text));
  if (!parsed.success) return undefined;
  const routes = emptyRoutes();
  const passQuery = new Set(parsed.data.passQuery);
  const followHosts = new Map(parsed.data.follow.flatMap(([hosts, ids]) => ids.map((link) => [link, hosts] as const)));
  for (const [link, version, target, expiresAt, disabledAt, fallback] of parsed.data.links) {
    const settings = { passQuery: passQuery.has(link), followHosts: followHosts.get(link) ?? null };
    routes.links.set(link, { link, version, target, expiresAt, disabledAt, fallback, ...settings });
  }
  for (const [name, link] of parsed.data.aliases) routes.aliases.set(name, link);
  return { routes, writtenMs };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
