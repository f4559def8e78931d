import { type Problem, problem } from '../core/health.ts';
import type { Disk } from './disk.ts';
import { ageSeconds, type Lag } from './lag.ts';

/** Longer than a rotation, a restart or a busy minute makes hits wait. */
const BEHIND_SECONDS = 60;
/** Room for some millions of hits; of a small disk, a part of it. */
const LOW_BYTES = 1024 ** 3;
const LOW_SHARE = 0.05;

/** What a running agent looks like from within. */
export interface AgentView {
  degraded: Problem[];
  refused: 'stream-full' | 'publish-failing' | undefined;
  lag: readonly Lag[];
  /** Undefined where it cannot be found out. */
  disk: Disk | undefined;
  /** Whether it has NATS. */
  reached: boolean;
}

/** What it says of itself. While NATS is out of reach, what follows from that is not told. */
export function agentProblems({ degraded, refused, lag, disk, reached }: AgentView): Problem[] {
  const problems = reached ? [...degraded] : [problem('nats-unreachable'), ...degraded.filter(({ code }) => code !== 'ledger-silent')];
  if (refused === 'stream-full' || (refused !== undefined && reached)) problems.push(problem(refused));
  for (const one of lag) {
    const seconds = ageSeconds(one);
    if (seconds > BEHIND_SECONDS) problems.push(problem('agent-behind', `shard ${one.shard}`, `${Math.round(seconds)} s`));
  }
  if (disk && disk.freeBytes < Math.min(LOW_BYTES, disk.sizeBytes * LOW_SHARE)) {
    problems.push(problem('disk-low', null, `${Math.round(disk.freeBytes / 1024 ** 2)} MiB left`));
  }
  return problems;
}
