import type { Logger } from '../core/log.ts';
import type { Pool } from '../core/postgres.ts';
import { sleep } from '../core/time.ts';

/** A backend that reads a standby may take its copy for older than it is by up to this time. */
const INTERVAL_MS = 5_000;

/** Writes the time into the catalog until `signal` aborts. The time reaches each standby, which then shows how old its copy is. */
export async function keepHeartbeat(catalog: Pool, log: Logger, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await catalog
      .query('UPDATE catalog.heartbeat SET at = now()')
      .catch((error: unknown) => log.debug({ err: error }, 'cannot write the heartbeat into the catalog; retrying'));
    await sleep(INTERVAL_MS, signal);
  }
}
