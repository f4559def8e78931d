import { readRowGroups } from './read-parquet.ts';
import type { OpenExport } from './open-export.ts';

/** Returns those identities of `wanted` whose event is in the export, in the files of these days of a shard. */
export async function findExported(
  target: OpenExport,
  shard: string,
  days: ReadonlySet<string>,
  wanted: ReadonlySet<string>,
): Promise<Set<string>> {
  const found = new Set<string>();
  const gens = new Map(
    [...wanted].map((identity) => [identity.split(':')[0]?.replaceAll('-', '') as string, identity.split(':')[0] as string]),
  );
  const files = target.manifest().files.filter((file) => file.table === 'events' && file.shard === shard && days.has(file.day ?? ''));
  for (const { path } of files) {
    for await (const rows of readRowGroups(await target.storage.open(path), ['gen', 'off'])) {
      for (const [gen, off] of rows) {
        const text = gens.get(Buffer.from(gen as Uint8Array).toString('hex'));
        if (text === undefined) continue;
        const identity = `${text}:${off as bigint}`;
        if (wanted.has(identity)) found.add(identity);
      }
    }
  }
  return found;
}
