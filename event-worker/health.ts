import { type Problem, problem } from '../core/health.ts';
import type { ShardWorker } from './shard-worker.ts';

/**
 * The problems of a running worker. While NATS is not connected, failed pulls are left out, because the missing connection is their cause.
 */
export function workerProblems(shards: readonly { worker: ShardWorker }[], isConnected: () => boolean): Problem[] {
  const problems = shards.flatMap(({ worker }) => worker.problems());
  return isConnected() ? problems : [problem('nats-unreachable'), ...problems.filter(({ code }) => code !== 'pull-failing')];
}
