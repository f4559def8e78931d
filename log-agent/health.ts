import { type Problem, problem } from '../core/health.ts';
import type { Disk } from './disk.ts';
import { ageSeconds, type Lag } from './lag.ts';

/** A rotation, a restart or a load peak delays hits by less than this number of seconds. */
const BEHIND_SECONDS = 60;
/** Space for several million hits. On a small disk, LOW_DISK_SHARE applies instead. */
const LOW_DISK_BYTES = 1024 ** 3;
const LOW_DISK_SHARE = 0.05;

/** The state of a running agent, from which its problems are derived. */
export interface AgentState {
  degraded: Problem[];
  publishFailure: 'stream-full' | 'publish-failing' | undefined;
  lag: readonly Lag[];
  /** Undefined if the state of the disk cannot be read. */
  disk: Disk | undefined;
  /** Whether the connection to NATS is up. */
  natsConnected: boolean;
}

/** Returns the problems of an agent. While NATS is not connected, the problems that the missing connection causes are left out. */
export function agentProblems({ degraded, publishFailure, lag, disk, natsConnected }: AgentState): Problem[] {
  const problems = natsConnected
    ? [...degraded]
    : [problem('nats-unreachable'), ...degraded.filter(({ code }) => code !== 'ledger-silent')];
  if (publishFailure === 'stream-full' || (publishFailure !== undefined && natsConnected)) problems.push(problem(publishFailure));
  for (const one of lag) {
    const seconds = ageSeconds(one);
    if (seconds > BEHIND_SECONDS) problems.push(problem('agent-behind', `shard ${one.shard}`, `${Math.round(seconds)} s`));
  }
  if (disk && disk.freeBytes < Math.min(LOW_DISK_BYTES, disk.sizeBytes * LOW_DISK_SHARE)) {
    problems.push(problem('disk-low', null, `${Math.round(disk.freeBytes / 1024 ** 2)} MiB left`));
  }
  return problems;
}
