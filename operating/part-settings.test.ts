import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { readEnvFile, writeEnvFile } from '../core/env-file.ts';
import { clickledger } from '../test/support/commands.ts';
import { temporaryDirectory } from '../test/support/servers.ts';

const PARTS = ['agent', 'analyst', 'author', 'backend', 'forwarder', 'nats', 'postgres', 'relay', 'schedule', 'worker'];

/** Runs `init --per-part` with the options of docker-compose.yml. Below `directory` it writes `owner` and a directory for each part. */
async function initIn(directory: string): Promise<void> {
  const where = ['--data', join(directory, 'owner'), 'init', '--per-part', directory];
  const servers = [
    '--base-url',
    'https://t.example.org',
    '--catalog',
    'postgres://clickledger_owner@db/clickledger',
    '--nats',
    'nats://nats',
  ];
  const { code, stderr } = await clickledger([...where, ...servers, '--shards', '4']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('wrote') });
}

async function textsIn(directory: string): Promise<Map<string, string>> {
  const files = (await readdir(directory, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  return new Map(
    await Promise.all(
      files.map(
        async ({ parentPath, name }) =>
          [join(parentPath, name).slice(directory.length + 1), await readFile(join(parentPath, name), 'utf8')] as const,
      ),
    ),
  );
}

describe('init --per-part', () => {
  let directory: string;
  let owner: Record<string, string>;

  beforeEach(async () => {
    directory = await temporaryDirectory();
    await initIn(directory);
    owner = await readEnvFile(join(directory, 'owner'));
  });

  test('gives each part its own secrets and no other', async () => {
    expect((await readdir(directory)).toSorted()).toEqual([...PARTS, 'owner'].toSorted());
    const secrets = new Map<string, string>([['SLUG_KEYS', owner['SLUG_KEYS'] ?? '']]);
    for (const name of Object.keys(owner)) if (/(?<!BASE)_URL$/.test(name)) secrets.set(name, new URL(owner[name] ?? '').password);
    const secretsOf = async (part: string): Promise<string[]> => {
      const text = [...(await textsIn(join(directory, part))).values()].join('\n');
      return [...secrets.keys()].filter((name) => text.includes(secrets.get(name) as string)).toSorted();
    };
    expect(Object.fromEntries(await Promise.all(PARTS.map(async (part) => [part, await secretsOf(part)] as const)))).toEqual({
      agent: ['AGENT_NATS_URL'],
      analyst: ['ANALYST_URL'],
      author: ['ANALYST_NATS_URL', 'ANALYST_URL', 'AUTHOR_URL', 'SLUG_KEYS'],
      backend: ['BACKEND_URL', 'SLUG_KEYS'],
      nats: ['AGENT_NATS_URL', 'ANALYST_NATS_URL', 'WORKER_NATS_URL'],
      postgres: ['CATALOG_URL'],
      relay: ['AUTHOR_URL', 'SLUG_KEYS'],
      forwarder: ['FORWARDER_URL'],
      schedule: ['ANALYST_URL'],
      worker: ['SLUG_KEYS', 'WORKER_NATS_URL', 'WORKER_URL'],
    });
  });

  test('keeps what exists, makes what a new version needs, and hands on what was changed', async () => {
    const before = await textsIn(directory);
    await initIn(directory);
    expect(await textsIn(directory)).toEqual(before);

    const { ANALYST_NATS_URL, ...older } = owner;
    const keys = `${'f'.repeat(64)},${owner['SLUG_KEYS']}`;
    await writeEnvFile(join(directory, 'owner'), { ...older, SLUG_KEYS: keys, BASE_URLS: 'https://b.example' });
    await initIn(directory);
    const now = await readEnvFile(join(directory, 'owner'));
    expect(now).toEqual({
      ...owner,
      SLUG_KEYS: keys,
      BASE_URLS: 'https://b.example',
      ANALYST_NATS_URL: expect.stringMatching(/^nats:\/\/analyst:[\w-]{24}@nats/),
    });
    expect(now['ANALYST_NATS_URL']).not.toBe(ANALYST_NATS_URL);
    expect((await readEnvFile(join(directory, 'backend')))['SLUG_KEYS']).toBe(keys);
    expect((await readEnvFile(join(directory, 'author')))['BASE_URLS']).toBe('https://b.example');
    expect(await readFile(join(directory, 'nats', 'nats.conf'), 'utf8')).toContain(new URL(now['ANALYST_NATS_URL'] as string).password);
  });

  test('lets nobody in but the owner, the group, and, by its directory alone, Postgres', async () => {
    const modeOf = async (...path: string[]) => ((await stat(join(directory, ...path))).mode & 0o777).toString(8);
    expect(await modeOf('owner', 'env')).toBe('600');
    for (const part of PARTS.filter((name) => !['nats', 'postgres'].includes(name)))
      expect([await modeOf(part), await modeOf(part, 'env')]).toEqual(['750', '640']);
    expect([await modeOf('nats'), await modeOf('nats', 'nats.conf')]).toEqual(['750', '640']);
    expect([await modeOf('postgres'), await modeOf('postgres', 'password')]).toEqual(['750', '644']);
  });
});
