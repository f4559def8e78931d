import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { locate } from '../../stack/debian.ts';
import { freePort } from '../../stack/ports.ts';
import { OWNER, startPostgres } from '../../stack/postgres.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** postgres://owner:password@host:port of the cluster that all tests share. Each test creates its own databases in it. */
    clusterUrl: string;
  }
}

/** Downloads missing servers once, before tests run in parallel, and starts the shared cluster. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await locate('nats-server', (text) => process.stderr.write(`${text}\n`));
  await locate('nginx', (text) => process.stderr.write(`${text}\n`));
  const directory = await mkdtemp(join(tmpdir(), 'clickledger-test-'));
  const port = await freePort();
  const postgres = await startPostgres({
    dataDir: join(directory, 'postgres'),
    runDir: join(directory, 'run'),
    port,
    ownerPassword: 'owner',
    durable: false,
    // Both settings make the tests faster. Postgres checks the password of each new connection, which takes milliseconds by default. It also
    // expects many rows in tables that it has not analyzed, so it would start parallel workers for them. Each worker is a new process.
    settings: { scram_iterations: '1', max_parallel_workers_per_gather: '0' },
  });
  project.provide('clusterUrl', `postgres://${OWNER}:owner@127.0.0.1:${port}`);
  return async () => {
    await postgres.stop();
    await rm(directory, { recursive: true, force: true });
  };
}
