import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { SettingName } from '../core/config.ts';
import { envText } from '../core/env-file.ts';
import { replaceFile } from '../core/files.ts';

// Where parts do not share a machine's files, each is given a directory of its own, with the secrets that it needs and no other.

const NEEDS = {
  backend: ['BACKEND_URL', 'SLUG_KEYS'],
  agent: ['BASE_URL', 'SHARDS', 'AGENT_NATS_URL', 'NATS_CA_FILE'],
  worker: ['WORKER_URL', 'SHARDS', 'SLUG_KEYS', 'WORKER_NATS_URL', 'NATS_CA_FILE'],
  author: ['BASE_URL', 'AUTHOR_URL', 'ANALYST_URL', 'SHARDS', 'SLUG_KEYS', 'ANALYST_NATS_URL', 'NATS_CA_FILE', 'PARTS'],
  analyst: ['ANALYST_URL'],
} as const satisfies Record<string, readonly SettingName[]>;

// Its directory is what keeps others out.
const FOR_THE_GROUP = 0o640;
const FOR_ANY_USER = 0o644;

/**
 * Writes `<directory>/<part>/env` for every part, `nats/nats.conf`, and `postgres/password`, the owner's.
 * Directories that exist keep their mode.
 */
export async function writePerPart(directory: string, values: Readonly<Record<string, string>>, natsConf: string): Promise<void> {
  const write = async (part: string, file: string, text: string, mode: number): Promise<void> => {
    await mkdir(join(directory, part), { recursive: true, mode: 0o750 });
    await replaceFile(join(directory, part, file), text, mode);
  };
  for (const [part, names] of Object.entries(NEEDS)) {
    const own = names.flatMap((name) => (values[name] === undefined ? [] : [[name, values[name]] as const]));
    await write(part, 'env', envText(Object.fromEntries(own)), FOR_THE_GROUP);
  }
  await write('nats', 'nats.conf', natsConf, FOR_THE_GROUP);
  // The official image's Postgres is a user that nothing else knows.
  await write('postgres', 'password', decodeURIComponent(new URL(values['CATALOG_URL'] ?? '').password), FOR_ANY_USER);
}
