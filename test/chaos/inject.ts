import { messageOf } from '../../core/errors.ts';
import { sleep } from '../../core/time.ts';
import type { Random } from './random.ts';

// The plan of the faults of a run, and its execution: one fault after the other, and sometimes two at the same time. W is the system under
// test, and P are the parameters of a fault.

export interface Fault<W, P> {
  readonly name: string;
  /** The parts that the fault needs for itself. Two faults that touch the same part do not run at the same time. */
  readonly touches: (parameters: P) => readonly string[];
  /** Injects the fault and ends it. Returns a remark for the output. It begins with `no ` if this machine cannot have the fault. */
  run(world: W, parameters: P): Promise<string | void>;
}

export interface Step<W, P> {
  pauseMs: number;
  fault: Fault<W, P>;
  parameters: P;
  /** Whether the next step waits until this step has ended. */
  alone: boolean;
}

/** Returns the same plan for the same seed. The plan does not depend on the events during the run. */
export function planOf<W, P>(options: {
  random: Random;
  faults: readonly Fault<W, P>[];
  drawParameters: (random: Random) => P;
  steps: number;
  /** How often a fault runs while no other one starts, from 0 to 1. */
  aloneShare: number;
}): Step<W, P>[] {
  const { random, faults, drawParameters, steps, aloneShare } = options;
  // Every fault occurs once before any fault is repeated.
  const order: Fault<W, P>[] = [];
  while (order.length < steps) {
    const round = [...faults];
    while (round.length > 0) order.push(round.splice(random.whole(0, round.length - 1), 1)[0] as Fault<W, P>);
  }
  return order
    .slice(0, steps)
    .map((fault) => ({ pauseMs: random.whole(100, 1200), fault, parameters: drawParameters(random), alone: random.next() < aloneShare }));
}

/** Injects the faults of a plan for `durationMs`. Returns how often each was injected. */
export async function inject<W, P>(
  world: W,
  plan: readonly Step<W, P>[],
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
