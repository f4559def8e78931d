import type { PartAddress } from '../../core/parts.ts';
import type { PartAnswer } from './ask-part.ts';
import { type Trouble, trouble } from './trouble.ts';

/** Null: not known, or nothing that such a part has. */
export interface PartStatus {
  name: string;
  answers: boolean;
  part: 'backend' | 'agent' | 'worker' | null;
  version: string | null;
  ready: boolean;
  degraded: string[];
  /** An agent's, of the shard that is furthest behind. */
  unshipped_bytes: number | null;
  oldest_unshipped_seconds: number | null;
  log_disk_free_bytes: number | null;
  log_disk_size_bytes: number | null;
  /** A backend's. */
  links: number | null;
  links_age_seconds: number | null;
}

export function problemsOfPart({ name, url }: PartAddress, answer: PartAnswer | undefined): Trouble[] {
  if (!answer) return [trouble(name, 'part-silent', url)];
  return answer.health.degraded.map((one) => ({ where: name, ...one }));
}

export function partStatus({ name }: PartAddress, answer: PartAnswer | undefined): PartStatus {
  const values = (metric: string): number[] => (answer?.samples ?? []).filter((sample) => sample.name === metric).map(({ value }) => value);
  const most = (metric: string): number | null => largest(values(metric));
  return {
    name,
    answers: answer !== undefined,
    part: answer?.health.part ?? null,
    version: answer?.health.version ?? null,
    ready: answer?.health.ready ?? false,
    degraded: answer?.health.degraded.map(({ code }) => code) ?? [],
    unshipped_bytes: most('clickledger_agent_unshipped_bytes'),
    oldest_unshipped_seconds: most('clickledger_agent_oldest_unshipped_seconds'),
    log_disk_free_bytes: most('clickledger_agent_log_disk_free_bytes'),
    log_disk_size_bytes: most('clickledger_agent_log_disk_size_bytes'),
    links: most('clickledger_backend_links'),
    links_age_seconds: most('clickledger_backend_links_age_seconds'),
  };
}

/** Of those that are known; null if none is. */
export function largest(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : Math.max(...known);
}
