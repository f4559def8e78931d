import { type ConsumerMessages, jetstream, type JetStreamManager, type JsMsg } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { codeOf, messageOf } from '../core/errors.ts';
import { decodeBatch } from '../core/batch.ts';
import type { Batch } from '../core/event.ts';
import { type Problem, problem } from '../core/health.ts';
import type { Logger } from '../core/log.ts';
import { FORMER_PRIMARY } from '../core/failover-pool.ts';
import { classify, type Pool } from '../core/postgres.ts';
import type { Shard } from '../core/shards.ts';
import { sleep } from '../core/time.ts';
import { consumerName, STREAM } from '../core/subjects.ts';
import { serveLedger } from './ledger-service.ts';
import type { Committed, Committer } from './commit.ts';
import { keepJudging } from './judge.ts';
import type { KnownEpoch } from './known-epoch.ts';
import { type Group, groupMessages } from './group-messages.ts';
import type { WorkerMetrics } from './metrics.ts';
import { ensureConsumer, type StreamSize } from './ensure-consumer.ts';
import { keepPartitions } from './partitions.ts';

// The work of a worker for one shard: pull batches, commit them, ack them. A group that cannot be committed is held and retried without
// limit. Dropping a batch would not help, because the agent would publish it again.

/** Whether a message only tests the stream; see keepStreamStoring. */
const isTest = ({ data }: JsMsg): boolean => data.length === 0;

const ENSURE_MS = 2_000;
/** A stream that disappears is created again after this time; see ensureConsumer. */
const CREATE_AGAIN_MS = 2_000;
const MAX_MESSAGES = 48;
/** Commits that run at the same time for one shard. Each needs a connection. */
export const PARALLEL_COMMITS = 2;
const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 5_000;
/** A held batch older than this is reported as `worker-behind`. A restart or a peak of load delays batches by less. */
const BEHIND_MS = 60_000;
/** If the judge has not finished for this long, it is reported as `judge-behind`. */
const JUDGE_BEHIND_MS = 300_000;

export interface ShardWorker {
  /** Works until `signal` aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** The current problems. */
  problems(): Problem[];
  /** The time at which the oldest held message was stored in the stream, in epoch milliseconds; undefined if no message is held. */
  oldestHeldMs(): number | undefined;
  /** The time in milliseconds since the judge last had no clicks left. */
  judgedAgoMs(): number;
}

export function createShardWorker(deps: {
  connection: NatsConnection;
  manager: JetStreamManager;
  pool: Pool;
  committer: Committer;
  shard: Shard;
  shardsFingerprint: string;
  epoch: KnownEpoch;
  streamSize: StreamSize;
  /** See keepPartitions; 0: all. */
  keepEventsMonths: number;
  metrics: WorkerMetrics;
  log: Logger;
}): ShardWorker {
  const { connection, manager, pool, committer, shard, shardsFingerprint, epoch, streamSize, keepEventsMonths, metrics } = deps;
  const log = deps.log.child({ shard: shard.name });
  const labels = { shard: shard.name };
  const about = `shard ${shard.name}`;
  /** The operations whose last attempt failed, and the problem. */
  const failing = new Map<'commit' | 'pull' | 'judge' | 'reply', Problem>();
  const held = new Set<Group>();
  let lastCommitMs = performance.now();
  let judgedMs = performance.now();
  let sawStream = false;

  async function commitGroup(group: Group, signal: AbortSignal): Promise<void> {
    if (group.every(isTest)) {
      for (const message of group) message.ack();
      return;
    }
    const unreadable = new Set<JsMsg>();
    // Decodes one message at a time, and decodes again for each retry, so that decoded batches do not accumulate in memory.
    function* batches(): Generator<Batch> {
      for (const message of group) {
        if (isTest(message) || unreadable.has(message)) continue;
        let batch: Batch;
        try {
          batch = decodeBatch(message.data);
        } catch (error) {
          // The message will be acked. Its bytes remain a missing range in the ledger, which the agent publishes again.
          unreadable.add(message);
          metrics.unreadable.inc(labels);
          log.error({ err: error }, 'a message is not a batch');
          continue;
        }
        yield batch;
      }
    }
    for (let retryMs = FIRST_RETRY_MS; ; retryMs = Math.min(retryMs * 2, MAX_RETRY_MS)) {
      const stopTimer = metrics.commitSeconds.startTimer(labels);
      try {
        countCommit(await committer.commit(batches()));
        lastCommitMs = performance.now();
        stopTimer();
        if (failing.delete('commit')) log.info('commits succeed again');
        for (const message of group) message.ack();
        return;
      } catch (error) {
        metrics.failures.inc({ ...labels, code: codeOf(error) ?? 'connection' });
        const isTransient = classify(error) === 'retry';
        const current = problem(
          codeOf(error) === FORMER_PRIMARY ? 'former-primary' : isTransient ? 'database-unreachable' : 'commit-failing',
          about,
          messageOf(error),
        );
        if (failing.get('commit')?.what !== current.what)
          log[isTransient ? 'warn' : 'error']({ err: error }, 'cannot commit; holding the batches and retrying');
        failing.set('commit', current);
        await sleep(retryMs, signal);
        // The messages are not acked, so JetStream delivers them again, to another worker or to this one after its restart.
        if (signal.aborted) return;
      }
    }
  }

  function countCommit(committed: Committed): void {
    metrics.commits.inc(labels);
    metrics.events.inc(labels, committed.events);
    metrics.batches.inc(labels, committed.batches);
    metrics.repeated.inc(labels, committed.repeated);
    for (const { reason } of committed.dead) metrics.deadLetters.inc({ ...labels, reason });
    for (const [reason, lines] of Object.entries(committed.skipped)) metrics.skipped.inc({ ...labels, reason }, lines);
    for (const [reason, hits] of Object.entries(committed.folded)) metrics.folded.inc({ ...labels, reason }, hits);
    if (committed.beyondSize > 0) {
      metrics.beyondSize.inc(labels, committed.beyondSize);
      log.warn({ batches: committed.beyondSize }, 'an access log grew after it was final; the new lines are counted');
    }
  }

  async function ensure(signal: AbortSignal): Promise<void> {
    await ensureConsumer(manager, shard.name, streamSize, sawStream ? () => sleep(CREATE_AGAIN_MS, signal) : undefined);
    sawStream = true;
  }

  /** Creates the consumer again whenever it was deleted or NATS lost it, so that pulling continues. Runs until `signal` aborts. */
  async function keepConsumer(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await ensure(signal);
      } catch (error) {
        log.debug({ err: error }, 'JetStream does not answer');
      }
      await sleep(ENSURE_MS, signal);
    }
  }

  async function pull(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let messages: ConsumerMessages | undefined;
      const stop = () => messages?.stop();
      signal.addEventListener('abort', stop, { once: true });
      try {
        await ensure(signal);
        const consumer = await jetstream(connection).consumers.get(STREAM, consumerName(shard.name));
        messages = await consumer.consume({ max_messages: MAX_MESSAGES, expires: 5_000, idle_heartbeat: 1_000 });
        if (signal.aborted) messages.stop();
        failing.delete('pull');
        await commitMessages(messages, signal);
      } catch (error) {
        log.warn({ err: error }, 'cannot pull; retrying');
        failing.set('pull', problem('pull-failing', about, messageOf(error)));
        await sleep(1_000, signal);
      } finally {
        signal.removeEventListener('abort', stop);
        messages?.stop();
      }
    }
  }

  /**
   * Commits groups in parallel: while Postgres works on one group, the next one is collected and sent. For the ledger they are like groups
   * of two workers.
   */
  async function commitMessages(messages: ConsumerMessages, signal: AbortSignal): Promise<void> {
    const groups = groupMessages(messages);
    const commitGroups = async (): Promise<void> => {
      for (let step = await groups.next(); !step.done; step = await groups.next()) {
        held.add(step.value);
        await commitGroup(step.value, signal).finally(() => held.delete(step.value as Group));
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_COMMITS }, commitGroups));
  }

  function oldestHeldMs(): number | undefined {
    const storedMs = [...held].flatMap((group) => group.map(({ info }) => info.timestampNanos / 1e6));
    return storedMs.length === 0 ? undefined : Math.min(...storedMs);
  }

  const judgedAgoMs = (): number => performance.now() - judgedMs;

  return {
    async run(signal) {
      const ledgerService = serveLedger({
        connection,
        pool,
        shard,
        shardsFingerprint,
        epoch,
        log,
        onReply(error) {
          if (codeOf(error) === FORMER_PRIMARY) failing.set('reply', problem('former-primary', about));
          else if (error === undefined) failing.delete('reply');
        },
      });
      const judging = keepJudging({
        pool,
        log,
        signal,
        lastCommitMs: () => lastCommitMs,
        onJudged({ hits, isMoreLeft }) {
          metrics.judged.inc(labels, hits);
          failing.delete('judge');
          if (!isMoreLeft) judgedMs = performance.now();
        },
        onFailure(error) {
          if (classify(error) === 'retry') failing.set('judge', problem('database-unreachable', about, messageOf(error)));
        },
      });
      await Promise.all([pull(signal), judging, keepConsumer(signal), keepPartitions({ pool, keepEventsMonths, log, signal })]);
      await ledgerService.stop();
    },
    problems() {
      const found = new Map(Array.from(failing.values(), (current) => [current.code, current]));
      const oldestAgeMs = Date.now() - (oldestHeldMs() ?? Date.now());
      if (oldestAgeMs > BEHIND_MS) found.set('worker-behind', problem('worker-behind', about, `${Math.round(oldestAgeMs / 1000)} s`));
      if (judgedAgoMs() > JUDGE_BEHIND_MS) found.set('judge-behind', problem('judge-behind', about));
      return [...found.values()];
    },
    oldestHeldMs,
    judgedAgoMs,
  };
}
