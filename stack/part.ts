import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { HealthResponse } from '../core/admin.ts';
import { httpGet } from './http.ts';
import { freePort } from './ports.ts';
import { type Running, startProcess } from './process.ts';

export type PartName = 'backend' | 'log-agent' | 'event-worker' | 'relay' | 'desk' | 'forwarder';

/**
 * Options of Node that limit the memory of each part. Without a limit V8 delays garbage collection as long as the machine has memory. The
 * agent and the worker need about 30 MB of memory, but create hundreds of MB of garbage per second. The old space of a backend has no
 * limit, because a backend holds all links in memory.
 */
export const HEAP_OPTIONS = {
  backend: ['--max-semi-space-size=8'],
  'log-agent': ['--max-semi-space-size=16', '--max-old-space-size=512'],
  'event-worker': ['--max-semi-space-size=8', '--max-old-space-size=512'],
  relay: ['--max-semi-space-size=16', '--max-old-space-size=512'],
  desk: ['--max-semi-space-size=16', '--max-old-space-size=512'],
  forwarder: ['--max-semi-space-size=16', '--max-old-space-size=512'],
} as const;

/**
 * Settings of malloc in glibc: one arena, and freed memory goes back to the system at once. Rows for COPY are buffers of up to a megabyte, and
 * the holes that they leave would make the worker a fifth larger.
 */
export const MALLOC_SETTINGS = { MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: '65536', MALLOC_TRIM_THRESHOLD_: '131072' } as const;

/** The extension of the program files: .ts in the repository, .js in the package. */
const EXTENSION = extname(import.meta.filename);

/**
 * Starts a backend, agent, worker or desk. Resolves once its `/healthz` reports that it is ready. `adminPort` in the result is the ADMIN_PORT of
 * `env`, or a free port if `env` has no ADMIN_PORT.
 */
export async function startPart(options: {
  part: PartName;
  name: string;
  runDir: string;
  env: Readonly<Record<string, string>>;
  /** See ProcessSpec. ADMIN_HOST must then be an address that this process reaches. */
  networkNamespace?: string | undefined;
}): Promise<Running & { adminPort: number }> {
  const { part, name, runDir, env, networkNamespace } = options;
  const adminPort = Number(env['ADMIN_PORT'] ?? 0) || (await freePort());
  const running = await startProcess({
    name,
    command: process.execPath,
    args: [...HEAP_OPTIONS[part], fileURLToPath(new URL(`../${part}/main${EXTENSION}`, import.meta.url))],
    env: { ...MALLOC_SETTINGS, ...env, ADMIN_PORT: String(adminPort) },
    stopSignal: 'SIGTERM',
    runDir,
    networkNamespace,
    async ready(pid) {
      const response = await httpGet(adminPort, '/healthz', env['ADMIN_HOST']);
      return response?.status === 200 && (JSON.parse(response.body) as HealthResponse).pid === pid;
    },
  });
  return Object.assign(running, { adminPort });
}
