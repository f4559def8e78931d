import { mkdir, rm } from 'node:fs/promises';
import { drawParameters, type FaultParameters, FAULTS, type Fault } from './faults.ts';
import { makeCampaign, startLoad } from './load.ts';
import { createRandom, type Random } from './random.ts';
import { judgeReceivers, type ReceiverVerdict } from './receivers.ts';
import { judge, type Verdict } from './verdict.ts';
import { createWorld, peakMemory, sleep, type World } from './world.ts';
import { messageOf } from '../../core/errors.ts';

// One chaos run. It has constant load and injects faults, one after the other and sometimes two at the same time. Then a quiet phase
// follows, and then the logs and the databases are compared.

const PER_SECOND = 120;
const COMMIT_TIMEOUT_MS = 120_000;
const DELIVERY_TIMEOUT_MS = 120_000;

export interface Step {
  pauseMs: number;
  fault: Fault;
  parameters: FaultParameters;
  /** Whether the next step waits until this step has ended. */
  alone: boolean;
}

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

/** Returns the same plan for the same seed. The plan does not depend on the events during the run. */
export function makePlan(random: Random, only: string | undefined, steps: number): Step[] {
  const faults = FAULTS.filter(({ name }) => only === undefined || name === only);
  // Every fault occurs once before any fault is repeated.
  const order: Fault[] = [];
  while (order.length < steps) {
    const round = [...faults];
    while (round.length > 0) order.push(round.splice(random.whole(0, round.length - 1), 1)[0] as Fault);
  }
  return order
    .slice(0, steps)
    .map((fault) => ({ pauseMs: random.whole(100, 1200), fault, parameters: drawParameters(random), alone: random.next() < 0.4 }));
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
  const memory = watchMemory(world);
  try {
    const campaign = await makeCampaign(world.system);
    await sleep(2500);
    const load = startLoad({
      ports: world.system.ports.edges,
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

async function inject(
  world: World,
  plan: readonly Step[],
  durationMs: number,
  progress: (text: string) => void,
): Promise<Map<string, number>> {
  const injected = new Map<string, number>();
  const startedMs = performance.now();
  const busy = new Set<string>();
  const inFlight = new Set<Promise<void>>();
  for (const [i, { pauseMs, fault, parameters, alone }] of plan.entries()) {
    if (performance.now() - startedMs > durationMs) break;
    await sleep(pauseMs);
    const needs = fault.touches(parameters);
    while (needs.some((name) => busy.has(name))) await Promise.race(inFlight);
    for (const name of needs) busy.add(name);
    const startedS = ((performance.now() - startedMs) / 1000).toFixed(1).padStart(6);
    const done = (async () => {
      const remark = await fault.run(world, parameters);
      injected.set(fault.name, (injected.get(fault.name) ?? 0) + 1);
      const durationS = ((performance.now() - startedMs) / 1000 - Number(startedS)).toFixed(1);
      progress(`${startedS} s  #${i + 1}  ${fault.name}  (${needs.join(' ')})  ${durationS} s${remark ? `  ${remark}` : ''}`);
    })()
      .catch((error: unknown) => {
        // A fault that could not be injected must not count as survived.
        throw new Error(`fault #${i + 1} ${fault.name} could not be injected: ${messageOf(error)}`, { cause: error });
      })
      .finally(() => {
        for (const name of needs) busy.delete(name);
        inFlight.delete(done);
      });
    inFlight.add(done);
    done.catch(() => {});
    if (alone) await done;
  }
  await Promise.all(inFlight);
  return injected;
}

function watchMemory(world: World): { peaks: Map<string, number>; stop: () => void } {
  const peaks = new Map<string, number>();
  const timer = setInterval(() => {
    for (const { name, running } of world.system.members) {
      if (!running || !/^(log-agent|event-worker|backend|forwarder)/.test(name)) continue;
      void peakMemory(running.pid).then((bytes) => peaks.set(name, Math.max(peaks.get(name) ?? 0, bytes)));
    }
  }, 500);
  return { peaks, stop: () => clearInterval(timer) };
}
