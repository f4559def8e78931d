import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { HealthAnswer } from '../core/admin.ts';
import { answerOf } from './http.ts';
import { freePort } from './ports.ts';
import { type Running, startProcess } from './process.ts';

export type PartName = 'backend' | 'log-agent' | 'event-worker';

// V8 lets garbage gather as long as the machine has room. The agent and the worker make hundreds of MB of it a second and hold some
// 30 MB: told how much there is, it collects in time. A backend holds all links, however many.
export const HEAP = {
  backend: ['--max-semi-space-size=8'],
  'log-agent': ['--max-semi-space-size=16', '--max-old-space-size=512'],
  'event-worker': ['--max-semi-space-size=8', '--max-old-space-size=512'],
} as const;

/** What this file is called says what the others are: .ts here, .js in a package. */
const OURS = extname(import.meta.filename);

/** Starts a backend, agent or worker; ready when its `/healthz` says so. Its admin port, any that is free unless `env` has one, is in the result. */
export async function startPart(options: {
  part: PartName;
  name: string;
  runDir: string;
  env: Readonly<Record<string, string>>;
}): Promise<Running & { adminPort: number }> {
  const { part, name, runDir, env } = options;
  const adminPort = Number(env['ADMIN_PORT'] ?? 0) || (await freePort());
  const running = await startProcess({
    name,
    command: process.execPath,
    args: [...HEAP[part], fileURLToPath(new URL(`../${part}/main${OURS}`, import.meta.url))],
    env: { ...env, ADMIN_PORT: String(adminPort) },
    stopSignal: 'SIGTERM',
    runDir,
    async ready(pid) {
      const answer = await answerOf(adminPort, '/healthz');
      return answer?.status === 200 && (JSON.parse(answer.body) as HealthAnswer).pid === pid;
    },
  });
  return Object.assign(running, { adminPort });
}
