import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { writeEnvFile } from '../../core/env-file.ts';
import { compileCache } from '../../stack/process.ts';
import type { Databases } from './databases.ts';
import { temporaryDirectory } from './servers.ts';

export interface CommandResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the command line in a separate process. This process inherits only PATH and HOME from the environment. */
export function clickledger(
  args: readonly string[],
  options: { env?: Record<string, string>; cwd?: string; entry?: string } = {},
): Promise<CommandResult> {
  const file = fileURLToPath(new URL(`../../${options.entry ?? 'cli/main.ts'}`, import.meta.url));
  const child = spawn(process.execPath, [file, ...args], {
    cwd: options.cwd ?? fileURLToPath(new URL('../..', import.meta.url)),
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...compileCache(), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended: CommandResult = { code: null, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    ended.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    ended.stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ ...ended, code }));
  });
}

/** Creates a data directory whose settings point to these databases. */
export async function createDataDirectory(databases: Databases, changes: Record<string, string> = {}): Promise<string> {
  const directory = await temporaryDirectory();
  await writeEnvFile(directory, {
    BASE_URL: 'https://t.example.org/',
    CATALOG_URL: databases.ownerUrl,
    BACKEND_URL: databases.roleUrls.backend,
    WORKER_URL: databases.roleUrls.worker,
    AUTHOR_URL: databases.roleUrls.author,
    ANALYST_URL: databases.roleUrls.analyst,
    FORWARDER_URL: databases.roleUrls.forwarder,
    SHARDS: databases.shardsText,
    SLUG_KEYS: databases.keysText,
    AGENT_NATS_URL: 'nats://127.0.0.1:1',
    WORKER_NATS_URL: 'nats://127.0.0.1:1',
    ANALYST_NATS_URL: 'nats://127.0.0.1:1',
    ...changes,
  });
  return directory;
}
