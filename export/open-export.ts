import { randomBytes } from 'node:crypto';
import { ClickledgerError } from '../core/errors.ts';
import { type ExportFilter, FORMAT_VERSION, formatManifest, type Manifest, type ManifestFile, parseManifest } from './manifest.ts';
import { MANIFEST, type Storage } from './storage.ts';
import { CATALOG_TABLES, LOG_TABLES } from './tables.ts';

// Opens an export for writing.
//
// read the manifest ──► check its files ──► claim it: replace it with this process as the writer ──► remove files that are not in it ──► ready
//
// A process that wrote before cannot replace the manifest after the claim. So the files that it stores are not removed while they could become part of
// the export.

/** Files that a reader may still use are removed after this time. */
const KEEP_REPLACED_MS = 10 * 60_000;

/** The paths that an export makes. Other files are left alone. */
const OWN_PATH = new RegExp(
  `^(?:(?:${LOG_TABLES.join('|')})/day=\\d{4}-\\d\\d-\\d\\d/shard=[a-z][a-z0-9]{0,15}|${CATALOG_TABLES.join('|')})/\\d{8}-[0-9a-f]{12}-\\d+\\.parquet$`,
);

export interface OpenExport {
  readonly storage: Storage;
  manifest(): Manifest;
  /** A path that no other file has. */
  newPath(directory: string): string;
  /** Replaces the manifest. Changes are made one after the other. Throws `conflict` if another process writes to this export now. */
  commit(change: (manifest: Manifest) => Manifest): Promise<void>;
  /** Removes files that were replaced a while ago. */
  removeReplaced(): Promise<void>;
}

/** The wishes of a person about the filter. What is undefined is as in the manifest. */
export type WantedFilter = { readonly [K in keyof ExportFilter]: ExportFilter[K] | undefined };

const DEFAULT_FILTER: Omit<ExportFilter, 'kinds'> = { campaigns: null, verdicts: null, from: null, with_addresses: false };

export async function openExport(deps: {
  storage: Storage;
  /** The fingerprint of the shard list. */
  shards: string;
  wanted: WantedFilter;
  allKinds: ExportFilter['kinds'];
  now?: () => Date;
}): Promise<OpenExport> {
  const { storage, shards, wanted, allKinds, now = () => new Date() } = deps;
  const writer = randomBytes(6).toString('hex');
  const stored = await storage.readManifest();
  let version = stored?.version;
  let manifest =
    stored === undefined
      ? newManifest(shards, { ...DEFAULT_FILTER, kinds: allKinds, ...definedOf(wanted) })
      : parseManifest(stored.text, `${storage.name} ${MANIFEST}`);
  if (manifest.shards !== shards)
    throw new ClickledgerError('wrong-database', `${storage.name} holds the export of another installation: choose another destination`);
  assertSameFilter(manifest.filter, definedOf(wanted), storage.name);
  const present = await storage.list();
  assertComplete(manifest.files, present, storage.name);

  let queue = Promise.resolve();
  let files = 0;
  async function replace(change: (before: Manifest) => Manifest): Promise<void> {
    const next = { ...change(manifest), sequence: manifest.sequence + 1, writer, written_at: now().toISOString() };
    version = await storage.replaceManifest(formatManifest(next), version);
    manifest = next;
  }
  const commit = (change: (before: Manifest) => Manifest): Promise<void> => {
    const done = queue.then(() => replace(change));
    queue = done.catch(() => {});
    return done;
  };

  await commit((before) => before);
  const known = new Set([...manifest.files, ...manifest.replaced].map(({ path }) => path));
  for (const path of (await storage.list()).keys()) if (OWN_PATH.test(path) && !known.has(path)) await storage.remove(path);

  return {
    storage,
    manifest: () => manifest,
    newPath: (directory) => `${directory}/${String(manifest.sequence).padStart(8, '0')}-${writer}-${files++}.parquet`,
    commit,
    async removeReplaced() {
      const old = new Date(now().getTime() - KEEP_REPLACED_MS).toISOString();
      const gone = manifest.replaced.filter(({ at }) => at < old);
      if (gone.length === 0) return;
      for (const { path } of gone) await storage.remove(path);
      await commit((before) => ({ ...before, replaced: before.replaced.filter((entry) => !gone.includes(entry)) }));
    },
  };
}

const newManifest = (shards: string, filter: ExportFilter): Manifest => ({
  format: 'clickledger-export',
  version: FORMAT_VERSION,
  sequence: 0,
  writer: '',
  written_at: '',
  shards,
  filter,
  ledger: {},
  changes: {},
  files: [],
  replaced: [],
});

const definedOf = (wanted: WantedFilter): Partial<ExportFilter> =>
  Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined)) as Partial<ExportFilter>;

/** An export has one filter: a part of the log that is in its ledger is never read again. */
function assertSameFilter(filter: ExportFilter, wanted: Partial<ExportFilter>, name: string): void {
  const text = (value: unknown): string => JSON.stringify(Array.isArray(value) ? value.map(String).toSorted() : value);
  const other = (Object.keys(wanted) as (keyof ExportFilter)[]).find((option) => text(wanted[option]) !== text(filter[option]));
  if (other === undefined) return;
  throw new ClickledgerError(
    'bad-input',
    `${name} was begun with ${other} ${text(filter[other])}, not ${text(wanted[other])}: leave the option out, or export to another place`,
  );
}

function assertComplete(files: readonly ManifestFile[], present: ReadonlyMap<string, number>, name: string): void {
  const wrong = files.filter(({ path, bytes }) => present.get(path) !== bytes);
  if (wrong.length === 0) return;
  throw new ClickledgerError(
    'bad-input',
    `${name} lacks ${wrong.length} of ${files.length} files of its manifest, or they have another size, e.g. ${wrong[0]?.path}: restore them from a backup, or remove everything there to export it again`,
  );
}
