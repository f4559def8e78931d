import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { SettingName } from '../core/config.ts';
import { parseDatabaseUrl } from '../core/database-url.ts';
import { envText } from '../core/env-file.ts';
import { replaceFile } from '../core/files.ts';

// Writes a directory with settings for each part. Containers need this, because they do not share files. A part gets only the secrets that
// it needs.

const SETTINGS_BY_PART = {
  backend: ['BACKEND_URL', 'SLUG_KEYS'],
  agent: ['BASE_URL', 'SHARDS', 'AGENT_NATS_URL', 'NATS_CA_FILE', 'STREAM_REPLICAS'],
  worker: ['WORKER_URL', 'SHARDS', 'SLUG_KEYS', 'WORKER_NATS_URL', 'NATS_CA_FILE', 'STREAM_REPLICAS'],
  relay: ['BASE_URL', 'BASE_URLS', 'AUTHOR_URL', 'SLUG_KEYS'],
  forwarder: ['FORWARDER_URL', 'SHARDS', 'NATS_CA_FILE'],
  author: [
    'BASE_URL',
    'BASE_URLS',
    'AUTHOR_URL',
    'ANALYST_URL',
    'SHARDS',
    'SLUG_KEYS',
    'ANALYST_NATS_URL',
    'NATS_CA_FILE',
    'STREAM_REPLICAS',
    'PARTS',
    'SMTP_URL',
    'REPORT_FROM',
  ],
  analyst: ['ANALYST_URL'],
  schedule: ['ANALYST_URL', 'SMTP_URL', 'REPORT_FROM'],
} as const satisfies Record<string, readonly SettingName[]>;

const GROUP_READABLE = 0o640;
/** The mode of a file that is protected by the mode of its directory. */
const WORLD_READABLE = 0o644;

/**
 * Writes `<directory>/<part>/env` for every part, the files of NATS in `nats/`, and `postgres/password` with the password of the owner. Existing
 * directories keep their mode.
 */
export async function writePartSettings(
  directory: string,
  values: Readonly<Record<string, string>>,
  natsConfs: ReadonlyMap<string, string>,
): Promise<void> {
  const write = async (part: string, file: string, text: string, mode: number): Promise<void> => {
    await mkdir(join(directory, part), { recursive: true, mode: 0o750 });
    await replaceFile(join(directory, part, file), text, mode);
  };
  for (const [part, names] of Object.entries(SETTINGS_BY_PART)) {
    const own = names.flatMap((name) => (values[name] === undefined ? [] : [[name, values[name]] as const]));
    await write(part, 'env', envText(Object.fromEntries(own)), GROUP_READABLE);
  }
  for (const [file, text] of natsConfs) await write('nats', file, text, GROUP_READABLE);
  // In the official image, Postgres runs as its own user. This user is not in the group of the file, so the file must be readable for all.
  await write('postgres', 'password', decodeURIComponent(parseDatabaseUrl(values['CATALOG_URL'] ?? '').url.password), WORLD_READABLE);
}
