import { setTimeout } from 'node:timers/promises';
import { type Health, problem } from '../core/health.ts';
import { messageOf } from '../core/errors.ts';
import { explainDatabaseError, type Pool } from '../core/postgres.ts';

/** This is shorter than the time for which `clickledger status` waits. */
const TIMEOUT_MS = 2_000;

/** Returns the health of the desk. It is ready while it serves, and reports if the catalog does not answer with one of its roles. */
export async function deskHealth(pools: readonly Pool[], serving: boolean): Promise<Health> {
  const failures = await Promise.all(pools.map(failureOf));
  const failure = failures.find((each) => each !== undefined);
  return { ready: serving, degraded: failure === undefined ? [] : [problem('catalog-unreachable', null, failure)] };
}

/** Returns why a query fails, or undefined if it succeeds. */
async function failureOf(pool: Pool): Promise<string | undefined> {
  const asked = pool.query('SELECT 1').then(
    () => undefined,
    (error: unknown) => messageOf(explainDatabaseError(error)),
  );
  return Promise.race([asked, setTimeout(TIMEOUT_MS, `no answer in ${TIMEOUT_MS / 1000} s`, { ref: false })]);
}
