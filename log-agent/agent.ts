import { type Problem, problem } from '../core/health.ts';
import type { Logger } from '../core/log.ts';
import { covers, firstGap, sizeOf, subtract } from '../core/ranges.ts';
import type { ShardMap } from '../core/shards.ts';
import { sleep } from '../core/time.ts';
import { type Checkpoint, readCheckpoint, writeCheckpoint } from './checkpoint.ts';
import type { Generation, Logs } from './follow.ts';
import type { Lag } from './lag.ts';
import type { Ledgers } from './ledger-client.ts';
import type { AgentMetrics } from './metrics.ts';
import type { Publisher } from './publish.ts';
import { deleteReleased } from './delete-committed.ts';
import type { Shipper } from './ship.ts';

// Two loops over the same state. Shipping: scan, a turn for each generation, flush. Confirming: ask the ledgers, let coverage draw the
// conclusions, write the checkpoint, delete what is released.

const CONFIRM_MS = 250;
/** Settled generations are asked about as well, though rarely: a restored shard has forgotten some. */
const ASK_ALL_MS = 10_000;
const RELEASE_MS = 60_000;

export interface Agent {
  run(signal: AbortSignal): Promise<void>;
  /** What is wrong while it goes on. */
  degraded(): Problem[];
  /** How far behind each shard is; without those whose ledger has not answered since the start, for then nothing is known. */
  lag(): Promise<Lag[]>;
  /** Bytes not committed, over all generations and shards; undefined while a ledger has not answered. Zero also means: all closed. */
  left(): number | undefined;
}

export function createAgent(deps: {
  follower: Logs;
  shipper: Shipper;
  ledgers: Ledgers;
  publisher: Publisher;
  shards: ShardMap;
  metrics: AgentMetrics;
  log: Logger;
  /** Undefined: nothing is kept for the next start. */
  stateDir: string | undefined;
  pollMs: number;
  keepLogsMs: number;
}): Agent {
  const { follower, shipper, ledgers, publisher, shards, metrics, log, stateDir, pollMs, keepLogsMs } = deps;
  const names = shards.list.map(({ name }) => name);
  const silent = new Set<string>();
  const answered = new Set<string>();
  let incarnation: string | undefined;
  let checkpoint: Checkpoint | undefined;
  let written = '';
  let logsUnreadable = false;
  let stateUnwritable = false;
  /** Generations whose in-flight ranges from before the restart have been taken up, by shard. */
  const resumed = new Set<string>();

  async function scan(): Promise<void> {
    try {
      await follower.scan();
      if (logsUnreadable) log.info('the log directory can be read again');
      logsUnreadable = false;
    } catch (error) {
      if (!logsUnreadable) log.error({ err: error }, 'the log directory cannot be read');
      logsUnreadable = true;
    }
  }

  async function shipping(signal: AbortSignal): Promise<void> {
    let scannedAt = Number.NEGATIVE_INFINITY;
    while (!signal.aborted) {
      if (performance.now() - scannedAt >= pollMs) {
        await scan();
        scannedAt = performance.now();
      }
      let moved = false;
      try {
        for (const generation of follower.generations) moved = (await shipper.turn(generation, signal)) || moved;
      } catch (error) {
        if (signal.aborted) break;
        throw error;
      }
      await shipper.flush(false);
      if (!moved) await sleep(pollMs, signal);
    }
  }

  async function confirming(signal: AbortSignal): Promise<void> {
    let askedAllAt = Number.NEGATIVE_INFINITY;
    let releasedAt = performance.now();
    while (!signal.aborted) {
      const all = performance.now() - askedAllAt >= ASK_ALL_MS;
      if (all) askedAllAt = performance.now();
      await Promise.all(names.map((shard) => confirm(shard, all)));
      await follower.release(isNeeded);
      await saveCheckpoint();
      if (performance.now() - releasedAt >= RELEASE_MS) {
        releasedAt = performance.now();
        await deleteReleased({ generations: follower.generations, shards: names, shipper, ledgers, keepLogsMs, log, metrics });
      }
      const existing = new Set(follower.generations.map(({ id }) => id));
      shipper.forget((gen) => !existing.has(gen));
      await sleep(CONFIRM_MS, signal);
    }
  }

  async function confirm(shard: string, all: boolean): Promise<void> {
    const asked = follower.generations.filter((generation) => all || isOpen(generation, shard)).map(({ id }) => id);
    if (asked.length === 0) return;
    for (const gen of asked) shipper.coverage(gen, shard).asking();
    const state = await ledgers.ask(shard, asked);
    if (!state) {
      silent.add(shard);
      return;
    }
    silent.delete(shard);
    answered.add(shard);
    if (incarnation !== undefined && incarnation !== state.incarnation) {
      log.warn('the stream was made anew; everything unconfirmed is published again');
      for (const { id } of follower.generations) for (const name of names) shipper.coverage(id, name).forgetFlights();
      checkpoint = undefined;
    }
    incarnation = state.incarnation;
    for (const gen of asked) {
      const coverage = shipper.coverage(gen, shard);
      const { committed, size } = state.generations[gen] ?? { committed: [], size: null };
      resume(gen, shard, state.progress.last);
      coverage.confirm(committed, size, state.progress);
    }
  }

  function isOpen(generation: Generation, shard: string): boolean {
    const coverage = shipper.coverage(generation.id, shard);
    return !coverage.known || coverage.hasFlights || (generation.final && !coverage.settled(generation.size));
  }

  function isNeeded(gen: string): boolean {
    const size = follower.generations.find(({ id }) => id === gen)?.size ?? 0;
    return names.some((shard) => !covers(shipper.coverage(gen, shard).committed, 0, size));
  }

  /** Takes up what the agent's earlier life published, once: it may be anywhere up to the stream's end. */
  function resume(gen: string, shard: string, last: number): void {
    const place = `${gen} ${shard}`;
    if (resumed.has(place)) return;
    resumed.add(place);
    if (checkpoint && checkpoint.incarnation === incarnation)
      shipper.coverage(gen, shard).resume(checkpoint.inFlight[gen]?.[shard] ?? [], last);
  }

  async function saveCheckpoint(): Promise<void> {
    if (incarnation === undefined || stateDir === undefined) return;
    const inFlight: Checkpoint['inFlight'] = {};
    for (const { id } of follower.generations) {
      for (const shard of names) {
        const ranges = shipper.coverage(id, shard).inFlight;
        if (ranges.length > 0) (inFlight[id] ??= {})[shard] = ranges;
      }
    }
    const text = JSON.stringify(inFlight);
    if (text === written) return;
    try {
      await writeCheckpoint(stateDir, { incarnation, inFlight });
      written = text;
      if (stateUnwritable) log.info('the state directory can be written again');
      stateUnwritable = false;
    } catch (error) {
      if (!stateUnwritable) log.warn({ err: error }, 'the checkpoint cannot be written; a restart would repeat some work');
      stateUnwritable = true;
    }
  }

  async function lagOf(shard: string): Promise<Lag> {
    const lag: Lag = { shard, unshippedBytes: 0, unconfirmedBytes: 0, oldestMs: undefined };
    for (const { id, size, source } of follower.generations) {
      const coverage = shipper.coverage(id, shard);
      lag.unconfirmedBytes += coverage.unconfirmedBytes;
      lag.unshippedBytes += sizeOf(subtract([[0, size]], coverage.committed));
      // Oldest generation first: the first one that lacks something has the oldest hit.
      const gap = lag.oldestMs === undefined ? firstGap(coverage.committed, 0, size) : undefined;
      if (gap) lag.oldestMs = await source.loggedAtMs(gap[0]);
    }
    return lag;
  }

  return {
    async run(signal) {
      if (stateDir !== undefined) checkpoint = await readCheckpoint(stateDir);
      await scan();
      await Promise.all([shipping(signal), confirming(signal)]);
      await shipper.flush(true);
      await publisher.drained();
      await saveCheckpoint();
      await follower.close();
    },
    left() {
      let bytes = 0;
      for (const { id, size } of follower.generations) {
        for (const shard of names) {
          const coverage = shipper.coverage(id, shard);
          if (!coverage.known) return undefined;
          // One byte more for a generation whose size the ledger does not know yet.
          bytes += sizeOf(subtract([[0, size]], coverage.committed)) + (coverage.settled(size) ? 0 : 1);
        }
      }
      return bytes;
    },
    lag() {
      const known = follower.generations.length === 0 ? names : names.filter((shard) => answered.has(shard));
      return Promise.all(known.map(lagOf));
    },
    degraded() {
      const problems = [...silent].map((shard) => problem('ledger-silent', `shard ${shard}`));
      if (logsUnreadable) problems.push(problem('logs-unreadable'));
      if (stateUnwritable) problems.push(problem('state-unwritable'));
      return problems;
    },
  };
}
