import { type Problem, problem } from '../core/health.ts';
import type { ShardWorker } from './shard-worker.ts';

/** What a running worker says of itself. That it cannot pull goes without saying while NATS is out of reach. */
export function workerProblems(shards: readonly { worker: ShardWorker }[], reached: () => boolean): Problem[] {
  const problems = shards.flatMap(({ worker }) => worker.problems());
  return reached() ? problems : [problem('nats-unreachable'), ...problems.filter(({ code }) => code !== 'pull-failing')];
}
