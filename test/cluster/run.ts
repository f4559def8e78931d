import { sleep } from '../../core/time.ts';
import { inject, planOf } from '../chaos/inject.ts';
import { makeCampaign, startLoad } from '../chaos/load.ts';
import { createRandom } from '../chaos/random.ts';
import { type Outcome, watchMemory } from '../chaos/run.ts';
import { judge } from '../chaos/verdict.ts';
import { drawParameters, FAULTS } from './faults.ts';
import { createCluster } from './world.ts';

// One run of the cluster. It has constant load on the nginx of all hosts, and injects one fault after the other. Then a quiet phase follows, and
// then the logs of all hosts and the databases are compared.

const PER_SECOND = 100;
const COMMIT_TIMEOUT_MS = 120_000;

export async function runCluster(options: {
  seed: number;
  minutes: number;
  only: string | undefined;
  dataDir: string;
  progress: (text: string) => void;
}): Promise<Outcome> {
  const { seed, minutes, only, dataDir, progress } = options;
  const faults = FAULTS.filter(({ name }) => only === undefined || name === only);
  const plan = planOf({ random: createRandom(seed), faults, drawParameters, steps: Math.ceil(minutes * 120), aloneShare: 1 });
  const cluster = await createCluster(dataDir, progress);
  const memory = watchMemory(cluster.members);
  try {
    const campaign = await makeCampaign(cluster.system);
    // Backends read new links every second.
    await sleep(2500);
    const load = startLoad({
      edges: cluster.edges,
      campaign,
      random: createRandom(seed ^ 0x2545f491),
      perSecond: PER_SECOND,
      excused: (edge, sinceMs) => cluster.isExcused(edge, sinceMs),
    });
    const injected = await inject(cluster, plan, minutes * 60_000, progress);
    await load.stop();
    await cluster.recordCrashes();
    progress('quiet: waiting for every byte to be committed');
    const quietMs = performance.now();
    const verdict = await judge(cluster, campaign.issued, COMMIT_TIMEOUT_MS);
    progress(`committed after ${((performance.now() - quietMs) / 1000).toFixed(1)} s`);
    verdict.problems.push(...cluster.crashed.map((what) => `${what} without a fault`));
    const { outages } = load;
    return {
      seed,
      injected,
      verdict,
      receivers: [],
      redirects: outages.redirects,
      failedRedirects: outages.failed,
      excusedRedirects: outages.excused,
      longestOutageMs: outages.longestOutageMs,
      peakMemory: memory.peaks,
    };
  } finally {
    memory.stop();
    await cluster.stop();
  }
}
