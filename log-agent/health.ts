import { type Disk, diskOf } from '../core/files.ts';
import { type Problem, problem } from '../core/health.ts';
import type { Agent, Lag } from './agent.ts';
import type { Publisher } from './publish.ts';

/** Longer than a rotation, a restart or a busy minute makes hits wait. */
const BEHIND_SECONDS = 60;
/** Room for some millions of hits; of a small disk, a part of it. */
const LOW_BYTES = 1024 ** 3;
const LOW_SHARE = 0.05;

/** How long the oldest hit that is not committed has waited; 0 where none waits. */
export function ageSeconds({ oldestMs }: Pick<Lag, 'oldestMs'>): number {
  return oldestMs === undefined ? 0 : Math.max(0, (Date.now() - oldestMs) / 1000);
}

export function isLow({ freeBytes, sizeBytes }: Disk): boolean {
  return freeBytes < Math.min(LOW_BYTES, sizeBytes * LOW_SHARE);
}

/** What a running agent says of itself. While NATS is out of reach, whatever needs it says nothing new. */
export async function agentProblems(deps: {
  agent: Agent;
  publisher: Publisher;
  reached: () => boolean;
  logDir: string;
}): Promise<Problem[]> {
  const { agent, publisher, reached, logDir } = deps;
  const problems = agent.degraded();
  const refused = publisher.refused();
  if (refused !== undefined) problems.push(problem(refused));
  const said = reached()
    ? problems
    : [problem('nats-unreachable'), ...problems.filter(({ code }) => code !== 'ledger-silent' && code !== 'publish-failing')];
  for (const lag of await agent.lag()) {
    const seconds = ageSeconds(lag);
    if (seconds > BEHIND_SECONDS) said.push(problem('agent-behind', `shard ${lag.shard}`, `${Math.round(seconds)} s`));
  }
  const disk = await diskOf(logDir).catch(() => undefined);
  if (disk && isLow(disk)) said.push(problem('disk-low', null, `${Math.round(disk.freeBytes / 1024 ** 2)} MiB left`));
  return said;
}
