import { basename } from 'node:path';
import { type Problem, problem } from '../core/health.ts';
import type { Logger } from '../core/log.ts';
import { covers, firstGap, sizeOf, subtract } from '../core/ranges.ts';
import type { ShardMap } from '../core/shards.ts';
import { sleep } from '../core/time.ts';
import { type Checkpoint, readCheckpoint, writeCheckpoint } from './checkpoint.ts';
import type { ForeignFile, Generation, Logs } from './follow.ts';
import type { Lag } from './lag.ts';
import type { Epochs } from './epochs.ts';
import type { LedgerClient } from './ledger-client.ts';
import type { AgentMetrics } from './metrics.ts';
import type { Publisher } from './publish.ts';
import { deleteCommitted } from './delete-committed.ts';
import type { Shipper } from './ship.ts';

// Two loops over the same state:
//
//   ship     scan the log directory, ship the next range of each generation, flush old batches
//   confirm  ask the ledgers, update the coverage, write the checkpoint, delete old committed logs

const CONFIRM_EVERY_MS = 250;
/** The agent asks less often about generations that are completely committed. A restored shard may lack ranges of them. */
const ASK_ALL_EVERY_MS = 10_000;
const DELETE_EVERY_MS = 60_000;
/** While older logs are read, the logs that nginx still writes get a turn after each such time. */
const FRESH_EVERY_MS = 100;
/** The maximum number of foreign files that are reported one by one. */
const MAX_FOREIGN_PROBLEMS = 10;

export interface Agent {
  /** Ships until the signal aborts. Then publishes the open batches, waits for JetStream, and closes the logs. */
  run(signal: AbortSignal): Promise<void>;
  /** The problems of an agent that still works. */
  degraded(): Problem[];
  /** The lag of each shard. Shards whose ledger has not answered since the start are left out, because their lag is not known. */
  lag(): Promise<Lag[]>;
  /**
   * Uncommitted bytes over all generations and shards; undefined until the log directory was read and every ledger has answered. A generation whose size is not yet
   * recorded in a ledger counts as one more byte. So 0 means that all bytes are committed and all sizes are recorded.
   */
  uncommittedBytes(): number | undefined;
}

export function createAgent(deps: {
  follower: Logs;
  shipper: Shipper;
  ledgers: LedgerClient;
  publisher: Publisher;
  epochs: Epochs;
  shards: ShardMap;
  metrics: AgentMetrics;
  log: Logger;
  /** Directory of the checkpoint. Undefined means that no checkpoint is written. */
  stateDir: string | undefined;
  pollMs: number;
  keepLogsMs: number;
}): Agent {
  const { follower, shipper, ledgers, publisher, epochs, shards, metrics, log, stateDir, pollMs, keepLogsMs } = deps;
  const shardNames = shards.list.map(({ name }) => name);
  const silentShards = new Set<string>();
  const answeredShards = new Set<string>();
  let incarnation: string | undefined;
  let checkpoint: Checkpoint | undefined;
  let written = '';
  /** Whether the log directory was read once. Before, it is not known which logs exist. */
  let hasScanned = false;
  let logsUnreadable = false;
  let stateUnwritable = false;
  /** Keys `<generation> <shard>` whose in-flight ranges were restored from the checkpoint. */
  const resumed = new Set<string>();

  async function scan(): Promise<void> {
    try {
      await follower.scan();
      hasScanned = true;
      if (logsUnreadable) log.info('the log directory can be read again');
      logsUnreadable = false;
    } catch (error) {
      if (!logsUnreadable) log.error({ err: error }, 'cannot read the log directory; check LOG_DIR and its permissions');
      logsUnreadable = true;
    }
  }

  async function shipLoop(signal: AbortSignal): Promise<void> {
    let scannedAt = Number.NEGATIVE_INFINITY;
    let freshAt = Number.NEGATIVE_INFINITY;
    let progressed = false;

    const turn = async (generation: Generation): Promise<void> => {
      if (!signal.aborted && (await shipper.shipNext(generation, signal))) progressed = true;
    };
    /** Looks for new lines every `pollMs`. Every FRESH_EVERY_MS, ships the new lines of the logs that nginx still writes. */
    const serveFresh = async (): Promise<void> => {
      if (performance.now() - scannedAt >= pollMs) {
        await scan();
        scannedAt = performance.now();
      }
      if (performance.now() - freshAt < FRESH_EVERY_MS) return;
      for (const generation of follower.generations.filter(({ final }) => !final)) await turn(generation);
      await shipper.flush(false);
      freshAt = performance.now();
    };

    while (!signal.aborted) {
      progressed = false;
      try {
        await serveFresh();
        // New hits are served after each turn. So they do not wait, even if there are many old logs or a very long damaged line.
        for (const generation of follower.generations) {
          await turn(generation);
          await serveFresh();
        }
        if (await follower.identify()) progressed = true;
      } catch (error) {
        if (signal.aborted) break;
        throw error;
      }
      await shipper.flush(false);
      if (!progressed) await sleep(pollMs, signal);
    }
  }

  async function confirmLoop(signal: AbortSignal): Promise<void> {
    let askedAllAt = Number.NEGATIVE_INFINITY;
    let deletedAt = performance.now();
    while (!signal.aborted) {
      const askAll = performance.now() - askedAllAt >= ASK_ALL_EVERY_MS;
      if (askAll) askedAllAt = performance.now();
      await Promise.all(shardNames.map((shard) => confirm(shard, askAll)));
      await follower.release(isUncommitted);
      await saveCheckpoint();
      if (performance.now() - deletedAt >= DELETE_EVERY_MS) {
        deletedAt = performance.now();
        await deleteCommitted({ generations: follower.generations, shards: shardNames, shipper, ledgers, keepLogsMs, log, metrics });
      }
      const existing = new Set(follower.generations.map(({ id }) => id));
      shipper.forget((gen) => !existing.has(gen));
      await sleep(CONFIRM_EVERY_MS, signal);
    }
  }

  async function confirm(shard: string, askAll: boolean): Promise<void> {
    const asked = follower.generations.filter((generation) => askAll || mustAsk(generation, shard)).map(({ id }) => id);
    if (asked.length === 0) return;
    for (const gen of asked) shipper.coverage(gen, shard).startQuery();
    const state = await ledgers.ask(shard, asked);
    if (!state) {
      silentShards.add(shard);
      return;
    }
    silentShards.delete(shard);
    answeredShards.add(shard);
    if (incarnation !== undefined && incarnation !== state.incarnation) {
      log.warn('the stream was created again; all unconfirmed batches are published again');
      for (const { id } of follower.generations) for (const name of shardNames) shipper.coverage(id, name).forgetFlights();
      checkpoint = undefined;
    }
    incarnation = state.incarnation;
    for (const gen of asked) {
      const coverage = shipper.coverage(gen, shard);
      const { committed, size } = state.generations[gen] ?? { committed: [], size: null };
      resumeOnce(gen, shard, state.progress.last);
      coverage.confirm(committed, size, state.progress);
    }
  }

  function mustAsk(generation: Generation, shard: string): boolean {
    const coverage = shipper.coverage(generation.id, shard);
    return !coverage.known || coverage.hasFlights || (generation.final && !coverage.settled(generation.size));
  }

  function isUncommitted(gen: string): boolean {
    const size = follower.generations.find(({ id }) => id === gen)?.size ?? 0;
    return shardNames.some((shard) => !covers(shipper.coverage(gen, shard).committed, 0, size));
  }

  /**
   * Restores the in-flight ranges of the previous run, once. The messages with these ranges may have any sequence number up to `last`, the
   * end of the stream.
   */
  function resumeOnce(gen: string, shard: string, last: number): void {
    const key = `${gen} ${shard}`;
    if (resumed.has(key)) return;
    resumed.add(key);
    if (checkpoint && checkpoint.incarnation === incarnation)
      shipper.coverage(gen, shard).resume(checkpoint.inFlight[gen]?.[shard] ?? [], last);
  }

  async function saveCheckpoint(): Promise<void> {
    if (incarnation === undefined || stateDir === undefined) return;
    const inFlight: Checkpoint['inFlight'] = {};
    for (const { id } of follower.generations) {
      for (const shard of shardNames) {
        const ranges = shipper.coverage(id, shard).inFlight;
        if (ranges.length > 0) (inFlight[id] ??= {})[shard] = ranges;
      }
    }
    const text = JSON.stringify([inFlight, epochs]);
    if (text === written) return;
    try {
      await writeCheckpoint(stateDir, { incarnation, inFlight, epochs: epochs.toJSON() });
      written = text;
      if (stateUnwritable) log.info('the checkpoint can be written again');
      stateUnwritable = false;
    } catch (error) {
      if (!stateUnwritable)
        log.warn({ err: error }, 'cannot write the checkpoint, so a restart would publish some batches again; check STATE_DIR');
      stateUnwritable = true;
    }
  }

  async function lagOf(shard: string): Promise<Lag> {
    const lag: Lag = { shard, unshippedBytes: 0, unconfirmedBytes: 0, oldestMs: undefined };
    for (const { id, size, source } of follower.generations) {
      const coverage = shipper.coverage(id, shard);
      lag.unconfirmedBytes += coverage.unconfirmedBytes;
      lag.unshippedBytes += sizeOf(subtract([[0, size]], coverage.committed));
      // Generations are sorted, the oldest first. So the first generation with a gap has the oldest uncommitted hit.
      const gap = lag.oldestMs === undefined ? firstGap(coverage.committed, 0, size) : undefined;
      if (gap) lag.oldestMs = await source.loggedAtMs(gap[0]);
    }
    return lag;
  }

  return {
    async run(signal) {
      if (stateDir !== undefined) checkpoint = await readCheckpoint(stateDir);
      for (const [shard, epoch] of Object.entries(checkpoint?.epochs ?? {})) epochs.see(shard, epoch);
      await scan();
      await Promise.all([shipLoop(signal), confirmLoop(signal)]);
      await shipper.flush(true);
      await publisher.flushed();
      await saveCheckpoint();
      await follower.close();
    },
    uncommittedBytes() {
      if (!hasScanned) return undefined;
      let bytes = 0;
      for (const { id, size } of follower.generations) {
        for (const shard of shardNames) {
          const coverage = shipper.coverage(id, shard);
          if (!coverage.known) return undefined;
          bytes += sizeOf(subtract([[0, size]], coverage.committed)) + (coverage.settled(size) ? 0 : 1);
        }
      }
      return bytes;
    },
    lag() {
      const hasNoLogs = hasScanned && follower.generations.length === 0;
      const known = hasNoLogs ? shardNames : shardNames.filter((shard) => answeredShards.has(shard));
      return Promise.all(known.map(lagOf));
    },
    degraded() {
      const problems = [...silentShards].map((shard) => problem('ledger-silent', `shard ${shard}`));
      if (logsUnreadable) problems.push(problem('logs-unreadable'));
      problems.push(...shipper.newerLogs().map((path) => problem('log-newer', printable(basename(path)))));
      problems.push(...foreignProblems(follower.foreignFiles));
      if (stateUnwritable) problems.push(problem('state-unwritable'));
      return problems;
    },
  };
}

function foreignProblems(files: readonly ForeignFile[]): Problem[] {
  const shown = files.length > MAX_FOREIGN_PROBLEMS ? files.slice(0, MAX_FOREIGN_PROBLEMS - 1) : files;
  const problems = shown.map(({ name, what, damaged }) => problem(damaged ? 'log-damaged' : 'log-foreign', printable(name), what));
  if (shown.length < files.length) problems.push(problem('log-foreign', `${files.length - shown.length} more files`));
  return problems;
}

/**
 * Returns the name of a file as it is shown to people. Control characters, which could change the state of a terminal, are replaced, and a
 * long name is cut.
 */
function printable(name: string): string {
  const text = name.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
