import { ClickledgerError } from '../../core/errors.ts';
import type { ProblemCode } from '../../core/health.ts';
import type { PartAddress } from '../../core/parts.ts';
import type { Pool } from '../../core/postgres.ts';
import { findMissingUnsubscribes, useUnsubscribing } from '../../authoring/unsubscribes-known.ts';
import { problemsOfPart } from '../../operating/status/parts.ts';
import { readPart } from '../../operating/status/read-part.ts';

// Checks that all requests to unsubscribe are known before letters are made.

/** The problems of agents and workers that make requests to unsubscribe late. A part that does not answer may be a backend. */
const MAKES_LATE: ReadonlySet<string> = new Set<ProblemCode>([
  'part-silent',
  'starting',
  'nats-unreachable',
  'ledger-silent',
  'stream-full',
  'publish-failing',
  'agent-behind',
  'logs-unreadable',
  'log-damaged',
  'log-newer',
  'database-unreachable',
  'commit-failing',
  'pull-failing',
  'worker-behind',
]);
/**
 * Throws `unavailable` if requests to unsubscribe may be missing in the databases: if a part of the logs is not counted, or if an agent or a
 * worker has a problem. Otherwise people who have unsubscribed would get a letter.
 */
export async function assertNothingMissing(pool: Pool, parts: readonly PartAddress[]): Promise<void> {
  if (!(await useUnsubscribing(pool))) return;
  const problem = (await findMissingUnsubscribes(pool)) ?? (await findLateRequests(parts));
  if (problem !== undefined) throw new ClickledgerError('unavailable', `${problem}. To write the letters anyway, give --despite-missing.`);
}

/** Returns the first problem of an agent or worker that delays requests to unsubscribe, with what to do. */
async function findLateRequests(parts: readonly PartAddress[]): Promise<string | undefined> {
  const responses = await Promise.all(parts.map(readPart));
  const problems = parts.flatMap((part, i) => (responses[i]?.health.part === 'backend' ? [] : problemsOfPart(part, responses[i])));
  const [first] = problems.filter(({ code }) => MAKES_LATE.has(code));
  return first && `it is not known who has unsubscribed: ${first.where}: ${first.what}. To mend it, ${first.mend}`;
}
