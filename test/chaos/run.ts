import { mkdir, rm } from 'node:fs/promises';
import { drawParameters, type FaultParameters, FAULTS } from './faults.ts';
import { inject, planOf, type Step } from './inject.ts';
import { makeCampaign, startLoad } from './load.ts';
import { createRandom, type Random } from './random.ts';
import { judgeReceivers, type ReceiverVerdict } from './receivers.ts';
import { judge, type Verdict } from './verdict.ts';
import type { Member } from '../../stack/system.ts';
import { createWorld, peakMemory, sleep, type World } from './world.ts';

// One chaos run. It has constant load and injects faults, one after the other and sometimes two at the same time. Then a quiet phase
// follows, and then the logs and the databases are compared.

const PER_SECOND = 120;
const COMMIT_TIMEOUT_MS = 120_000;
const DELIVERY_TIMEOUT_MS = 120_000;

export interface Outcome {
  seed: number;
  injected: Map<string, number>;
  verdict: Verdict;
  receivers: ReceiverVerdict[];
  redirects: number;
  failedRedirects: { at: number; edge: number; what: string }[];
  excusedRedirects: number;
  longestOutageMs: number;
  /** Peak resident memory in bytes, by part. */
  peakMemory: Map<string, number>;
}

/** Returns the same plan for the same seed. */
export function makePlan(random: Random, only: string | undefined, steps: number): Step<World, FaultParameters>[] {
  const faults = FAULTS.filter(({ name }) => only === undefined || name === only);
  return planOf({ random, faults, drawParameters, steps, aloneShare: 0.4 });
}

export async function runChaos(options: {
  seed: number;
  minutes: number;
  only: string | undefined;
  dataDir: string;
  progress: (text: string) => void;
}): Promise<Outcome> {
  const { seed, minutes, only, dataDir, progress } = options;
  const plan = makePlan(createRandom(seed), only, Math.ceil(minutes * 120));
  await rm(dataDir, { recursive: true, force: true });
  await mkdir(dataDir, { recursive: true });
  const world = await createWorld(dataDir, createRandom(seed ^ 0x5bd1e995));
  const memory = watchMemory(world.system.members);
  try {
    const campaign = await makeCampaign(world.system);
    await sleep(2500);
    const load = startLoad({
      edges: world.system.ports.edges,
      campaign,
      random: createRandom(seed ^ 0x2545f491),
      perSecond: PER_SECOND,
      excused: (edge) => world.excusedEdges.has(edge),
    });
    const injected = await inject(world, plan, minutes * 60_000, progress);
    await load.stop();
    await world.recordCrashes();
    progress('quiet: waiting for every byte to be committed');
    const verdict = await judge(world, campaign.issued, COMMIT_TIMEOUT_MS);
    progress('waiting for every delivery');
    const receivers = await judgeReceivers(world, world.receivers, DELIVERY_TIMEOUT_MS);
    verdict.problems.push(...world.crashed.map((what) => `${what} without a fault`));
    const { outages } = load;
    return {
      seed,
      injected,
      verdict,
      receivers,
      redirects: outages.redirects,
      failedRedirects: outages.failed,
      excusedRedirects: outages.excused,
      longestOutageMs: outages.longestOutageMs,
      peakMemory: memory.peaks,
    };
  } finally {
    memory.stop();
    await world.stop();
  }
}

/** Records the peak memory of each part of clickledger. */
export function watchMemory(members: readonly Member[]): { peaks: Map<string, number>; stop: () => void } {
  const peaks = new Map<string, number>();
  const timer = setInterval(() => {
    for (const { name, running } of members) {
      if (!running || !/^(log-agent|event-worker|backend|forwarder)/.test(name)) continue;
      void peakMemory(running.pid).then((bytes) => peaks.set(name, Math.max(peaks.get(name) ?? 0, bytes)));
    }
  }, 500);
  return { peaks, stop: () => clearInterval(timer) };
}
