import type { Server } from 'node:http';
import { Registry } from 'prom-client';
import { serveAdmin } from './admin.ts';
import { type Config, parseConfig, type SettingName } from './config.ts';
import type { Health, PartKind } from './health.ts';
import { createLogger, type Logger } from './log.ts';
import { handleStopSignals } from './shutdown.ts';

const COMMON_SETTINGS = ['ADMIN_HOST', 'ADMIN_PORT', 'LOG_LEVEL'] as const;
const LOG_NAMES = {
  backend: 'backend',
  agent: 'log-agent',
  worker: 'event-worker',
  relay: 'relay',
  desk: 'desk',
  forwarder: 'forwarder',
} as const satisfies Record<PartKind, string>;

/** The objects that the main.ts of every part needs. */
export interface Part<N extends SettingName> {
  config: Config<N | (typeof COMMON_SETTINGS)[number]>;
  log: Logger;
  registry: Registry;
  /** Resolves at the first SIGTERM or SIGINT. */
  stopped: Promise<void>;
  /** Aborts when `stopped` resolves. */
  signal: AbortSignal;
  /**
   * Serves /healthz and /metrics; resolves with undefined if ADMIN_PORT is 0. After the stop signal the part is reported as not ready,
   * even if `health` reports it as ready.
   */
  serveAdmin(health: () => Health | Promise<Health>): Promise<Server | undefined>;
}

/**
 * Parses the settings `names` and the settings that every part has, and creates the logger, the metrics registry and the stop signal.
 * Throws one `bad-settings` error that lists all mistakes.
 */
export function createPart<N extends SettingName>(
  kind: PartKind,
  names: readonly N[],
  env: Readonly<Record<string, string | undefined>>,
): Part<N> {
  const config = parseConfig<N | (typeof COMMON_SETTINGS)[number]>([...names, ...COMMON_SETTINGS], env);
  const log = createLogger(LOG_NAMES[kind], config.LOG_LEVEL);
  const { stopped, signal } = handleStopSignals(log);
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
