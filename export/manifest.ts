import { z } from 'zod';
import { ClickledgerError } from '../core/errors.ts';
import { formatMultirange, NO_RANGES, type Ranges, union } from '../core/ranges.ts';
import { VERDICTS } from '../core/rules.ts';
import { byGeneration, type DueRange, ledgerFrom } from '../feed/due.ts';
import { EVENT_KINDS } from '../feed/filter.ts';
import type { ChangePosition } from '../feed/read-events.ts';
import { CATALOG_TABLES, LOG_TABLES } from './tables.ts';

// The manifest of an export: which files belong to it, and which ranges of the logs are in them. It is the only thing that says so. A file that is not in
// the manifest does not belong to the export.

export const FORMAT_VERSION = 1;

const file = z.object({
  table: z.enum([...LOG_TABLES, ...CATALOG_TABLES]),
  /** The UTC day of the hits. A table of the catalog has no day and no shard. */
  day: z.iso.date().optional(),
  shard: z.string().optional(),
  path: z.string(),
  rows: z.int().min(0),
  bytes: z.int().min(0),
  sha256: z.string(),
  written_at: z.iso.datetime(),
});

const filter = z.object({
  kinds: z.array(z.enum(EVENT_KINDS)),
  campaigns: z.array(z.int()).nullable(),
  verdicts: z.array(z.enum(VERDICTS)).nullable(),
  from: z.iso.datetime().nullable(),
  with_addresses: z.boolean(),
});

const manifest = z.object({
  format: z.literal('clickledger-export'),
  version: z.literal(FORMAT_VERSION),
  /** Grows with each replacement. */
  sequence: z.int().min(1),
  /** The process that wrote it. */
  writer: z.string(),
  written_at: z.iso.datetime(),
  /** The fingerprint of the shard list. */
  shards: z.string(),
  filter,
  /** The ranges of the logs that are in the export, by shard and generation, as an int8multirange of Postgres. */
  ledger: z.record(z.string(), z.record(z.string(), z.string())),
  /** The last change of a verdict that is in the export, by shard. */
  changes: z.record(z.string(), z.object({ id: z.int(), changed_at: z.string() })),
  files: z.array(file),
  /** Files that were part of the export until `at`. They are kept for a while, because a reader may still use them. */
  replaced: z.array(z.object({ path: z.string(), at: z.iso.datetime() })),
});

export type Manifest = z.infer<typeof manifest>;
export type ManifestFile = z.infer<typeof file>;
export type ExportFilter = z.infer<typeof filter>;

/** Parses the text of a manifest. Throws `bad-input` if it is damaged or of a later version. */
export function parseManifest(text: string, name: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ClickledgerError('bad-input', `${name} is not JSON: restore it from a backup, or export to another place`, { cause });
  }
  const { format, version } = (value ?? {}) as { format?: unknown; version?: unknown };
  if (format !== 'clickledger-export')
    throw new ClickledgerError('bad-input', `${name} is not the manifest of an export: export to another place`);
  if (version !== FORMAT_VERSION)
    throw new ClickledgerError(
      'bad-input',
      `${name} has the format version ${String(version)}, and this clickledger knows version ${FORMAT_VERSION}: update clickledger`,
    );
  const parsed = manifest.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new ClickledgerError(
    'bad-input',
    `${name} is damaged (${issue?.path.join('.')}: ${issue?.message}): restore it from a backup, or export to another place`,
  );
}

/** A line for each file and generation, so that people can read it and compare two of them. */
export function formatManifest({ files, replaced, ledger, changes, ...head }: Manifest): string {
  const list = (values: readonly object[]): string =>
    values.length === 0 ? '[]' : `[\n${values.map((value) => `    ${JSON.stringify(value)}`).join(',\n')}\n  ]`;
  const entries = [
    ...Object.entries(head).map(([name, value]) => `"${name}": ${JSON.stringify(value)}`),
    `"ledger": ${JSON.stringify(ledger, null, 2).replaceAll('\n', '\n  ')}`,
    `"changes": ${JSON.stringify(changes)}`,
    `"files": ${list(files)}`,
    `"replaced": ${list(replaced)}`,
  ];
  return `{\n  ${entries.join(',\n  ')}\n}\n`;
}

/** The ranges of a shard that are in the export, by generation. */
export function ledgerOf({ ledger }: Manifest, shard: string): Map<string, Ranges> {
  return ledgerFrom(Object.entries(ledger[shard] ?? {}));
}

/** The position in the changes of a shard. Undefined if nothing of the shard is in the export. */
export function positionOf({ changes }: Manifest, shard: string): ChangePosition | undefined {
  const found = changes[shard];
  return found === undefined ? undefined : { id: found.id, changedAt: found.changed_at };
}

/** The ledger of a shard with further ranges. */
export function withRanges(before: Readonly<Record<string, string>> | undefined, added: readonly DueRange[]): Record<string, string> {
  const known = ledgerFrom(Object.entries(before ?? {}));
  const changed = byGeneration(added).map(([gen, ranges]) => [gen, formatMultirange(union(known.get(gen) ?? NO_RANGES, ranges))] as const);
  return { ...before, ...Object.fromEntries(changed) };
}
