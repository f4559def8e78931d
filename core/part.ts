import type { Server } from 'node:http';
import { Registry } from 'prom-client';
import { serveAdmin } from './admin.ts';
import { type Config, parseConfig, type SettingName } from './config.ts';
import type { Health, PartKind } from './health.ts';
import { createLogger, type Logger } from './log.ts';
import { untilSignal } from './shutdown.ts';

const COMMON = ['ADMIN_HOST', 'ADMIN_PORT', 'LOG_LEVEL'] as const;
const LOG_NAMES = { backend: 'backend', agent: 'log-agent', worker: 'event-worker' } as const satisfies Record<PartKind, string>;

/** What the three main.ts have in common. */
export interface Part<N extends SettingName> {
  config: Config<N | (typeof COMMON)[number]>;
  log: Logger;
  registry: Registry;
  /** Resolves at the first SIGTERM or SIGINT. */
  stopped: Promise<void>;
  /** Aborts then. */
  signal: AbortSignal;
  /** Serves /healthz and /metrics; undefined where ADMIN_PORT is 0. A part that stops is not ready, whatever `health` returns. */
  serveAdmin(health: () => Health | Promise<Health>): Promise<Server | undefined>;
}

/** Reads the settings `names` and those that every part has. Throws `bad-settings` with all mistakes in one error. */
export function startPart<N extends SettingName>(
  kind: PartKind,
  names: readonly N[],
  env: Readonly<Record<string, string | undefined>>,
): Part<N> {
  const config = parseConfig<N | (typeof COMMON)[number]>([...names, ...COMMON], env);
  const log = createLogger(LOG_NAMES[kind], config.LOG_LEVEL);
  const { stopped, signal } = untilSignal(log);
  const registry = new Registry();
  return {
    config,
    log,
    registry,
    stopped,
    signal,
    serveAdmin: (health) =>
      serveAdmin({
        part: kind,
        host: config.ADMIN_HOST,
        port: config.ADMIN_PORT,
        registry,
        health: async () => {
          const { ready, degraded } = await health();
          return { ready: ready && !signal.aborted, degraded };
        },
      }),
  };
}
