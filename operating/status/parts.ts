import type { PartKind } from '../../core/health.ts';
import type { PartAddress } from '../../core/parts.ts';
import type { PartResponse } from './read-part.ts';
import { statusProblem, type StatusProblem } from './status-problem.ts';

/** The state of one part. A value is null if it is unknown, or if this kind of part does not have it. */
export interface PartStatus {
  name: string;
  answers: boolean;
  part: PartKind | null;
  version: string | null;
  ready: boolean;
  degraded: string[];
  /** Only for an agent: the largest values of its shards, and the disk that has the logs. */
  unshipped_bytes: number | null;
  oldest_unshipped_seconds: number | null;
  log_disk_free_bytes: number | null;
  log_disk_size_bytes: number | null;
  /** Only for an agent with LOG_MIRROR: the bytes of logs that the copies lack. */
  mirror_lag_bytes: number | null;
  /** Only for a backend: the number of links that it serves, and the time since it last read the catalog. */
  links: number | null;
  links_age_seconds: number | null;
  /** Only for a forwarder: the largest lag of its subscriptions, and the bytes of logs whose events are still to be delivered. */
  delivery_lag_seconds: number | null;
  undelivered_bytes: number | null;
}

/** Returns the problems of a part. `response` is undefined if the part does not answer. */
export function problemsOfPart({ name, url }: PartAddress, response: PartResponse | undefined): StatusProblem[] {
  if (!response) return [statusProblem(name, 'part-silent', url)];
  return response.health.degraded.map((reported) => ({ where: name, ...reported }));
}

/** Returns the state of a part. `response` is undefined if the part does not answer. */
export function partStatus({ name }: PartAddress, response: PartResponse | undefined): PartStatus {
  const largestOf = (metric: string): number | null =>
    largest((response?.samples ?? []).filter((sample) => sample.name === metric).map(({ value }) => value));
  return {
    name,
    answers: response !== undefined,
    part: response?.health.part ?? null,
    version: response?.health.version ?? null,
    ready: response?.health.ready ?? false,
    degraded: response?.health.degraded.map(({ code }) => code) ?? [],
    unshipped_bytes: largestOf('clickledger_agent_unshipped_bytes'),
    oldest_unshipped_seconds: largestOf('clickledger_agent_oldest_unshipped_seconds'),
    log_disk_free_bytes: largestOf('clickledger_agent_log_disk_free_bytes'),
    log_disk_size_bytes: largestOf('clickledger_agent_log_disk_size_bytes'),
    mirror_lag_bytes: largestOf('clickledger_agent_mirror_lag_bytes'),
    links: largestOf('clickledger_backend_links'),
    links_age_seconds: largestOf('clickledger_backend_links_age_seconds'),
    delivery_lag_seconds: largestOf('clickledger_forwarder_lag_seconds'),
    undelivered_bytes: largestOf('clickledger_forwarder_due_bytes'),
  };
}

/** Returns the largest of the known values, or null if no value is known. */
export function largest(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : Math.max(...known);
}
