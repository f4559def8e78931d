import { type ConsumerMessages, jetstream, type JetStreamManager, type JsMsg } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { codeOf, messageOf } from '../core/errors.ts';
import { type Batch, decodeBatch } from '../core/event.ts';
import { type Problem, problem } from '../core/health.ts';
import type { Logger } from '../core/log.ts';
import { classify, type Pool } from '../core/postgres.ts';
import type { Shard } from '../core/shards.ts';
import { sleep } from '../core/time.ts';
import { consumerName, STREAM } from '../core/subjects.ts';
import { answerLedger } from './ledger-service.ts';
import type { Committed, Committer } from './commit.ts';
import { keepJudging } from './judge.ts';
import { gather, type Group } from './group-messages.ts';
import type { WorkerMetrics } from './metrics.ts';
import { ensureConsumer } from './ensure-consumer.ts';
import { keepPartitions } from './partitions.ts';

// One shard's side of a worker: pull, commit, ack. A group that cannot be committed is held and tried again for as long as it takes;
// giving up on a message would only make the agent send it again.

const ENSURE_MS = 2_000;
const MAX_MESSAGES = 48;
/** Per shard; each takes a connection. */
export const COMMITS_AT_ONCE = 2;
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5_000;
/** Longer than a restart or a busy minute makes messages wait. */
const BEHIND_MS = 60_000;
const UNJUDGED_MS = 300_000;

export interface ShardWorker {
  run(signal: AbortSignal): Promise<void>;
  /** What is wrong while it goes on. */
  problems(): Problem[];
  /** When the oldest message that it holds uncommitted was stored in the stream, epoch milliseconds; undefined while it holds none. */
  oldestHeldMs(): number | undefined;
  /** How long ago, in milliseconds, everything that waited had been judged. */
  judgedAgoMs(): number;
}

export function createShardWorker(deps: {
  connection: NatsConnection;
  manager: JetStreamManager;
  pool: Pool;
  committer: Committer;
  shard: Shard;
  shardsFingerprint: string;
  streamMaxBytes: number;
  /** 0: all. */
  keepEventsMonths: number;
  metrics: WorkerMetrics;
  log: Logger;
}): ShardWorker {
  const { connection, manager, pool, committer, shard, shardsFingerprint, streamMaxBytes, keepEventsMonths, metrics } = deps;
  const log = deps.log.child({ shard: shard.name });
  const label = { shard: shard.name };
  const about = `shard ${shard.name}`;
  /** Why what was last tried failed; without what succeeded. */
  const failing = new Map<'commit' | 'pull' | 'judge', Problem>();
  const held = new Set<Group>();
  let lastCommitMs = performance.now();
  let judgedMs = performance.now();

  async function commitGroup(group: Group, signal: AbortSignal): Promise<void> {
    const unreadable = new Set<JsMsg>();
    // Decoded as the committer asks for them, and again where it has to try again.
    function* batches(): Generator<Batch> {
      for (const message of group) {
        if (unreadable.has(message)) continue;
        let batch: Batch;
        try {
          batch = decodeBatch(message.data);
        } catch (error) {
          // It is acked: what it stood for remains a hole that the agent fills again.
          unreadable.add(message);
          metrics.unreadable.inc(label);
          log.error({ err: error }, 'a message is no batch');
          continue;
        }
        yield batch;
      }
    }
    for (let retryMs = FIRST_RETRY_MS; ; retryMs = Math.min(retryMs * 2, LAST_RETRY_MS)) {
      const done = metrics.commitSeconds.startTimer(label);
      try {
        report(await committer.commit(batches()));
        lastCommitMs = performance.now();
        done();
        if (failing.delete('commit')) log.info('commits go through again');
        for (const message of group) message.ack();
        return;
      } catch (error) {
        metrics.failures.inc({ ...label, code: codeOf(error) ?? 'connection' });
        const retry = classify(error) === 'retry';
        const why = problem(retry ? 'database-unreachable' : 'commit-failing', about, messageOf(error));
        if (failing.get('commit')?.what !== why.what) log[retry ? 'warn' : 'error']({ err: error }, 'cannot commit; holding the batches');
        failing.set('commit', why);
        await sleep(retryMs, signal);
        // Unacked, they will be delivered again, to another worker or to our next life.
        if (signal.aborted) return;
      }
    }
  }

  function report(committed: Committed): void {
    metrics.commits.inc(label);
    metrics.events.inc(label, committed.events);
    metrics.batches.inc(label, committed.batches);
    metrics.repeated.inc(label, committed.repeated);
    for (const { reason } of committed.dead) metrics.deadLetters.inc({ ...label, reason });
    for (const [reason, lines] of Object.entries(committed.skipped)) metrics.skipped.inc({ ...label, reason }, lines);
    if (committed.beyondSize > 0) {
      metrics.beyondSize.inc(label, committed.beyondSize);
      log.warn({ batches: committed.beyondSize }, 'a log grew after it was final; its new lines are counted');
    }
  }

  /** Until aborted: if the consumer is deleted or NATS forgets it, it is made again and the pulling goes on. */
  async function keepConsumer(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await ensureConsumer(manager, shard.name, streamMaxBytes);
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
        await ensureConsumer(manager, shard.name, streamMaxBytes);
        const consumer = await jetstream(connection).consumers.get(STREAM, consumerName(shard.name));
        messages = await consumer.consume({ max_messages: MAX_MESSAGES, expires: 5_000, idle_heartbeat: 1_000 });
        if (signal.aborted) messages.stop();
        failing.delete('pull');
        await drain(messages, signal);
      } catch (error) {
        log.warn({ err: error }, 'cannot pull; trying again');
        failing.set('pull', problem('pull-failing', about, messageOf(error)));
        await sleep(1_000, signal);
      } finally {
        signal.removeEventListener('abort', stop);
        messages?.stop();
      }
    }
  }

  /** While Postgres works on a group, the next one is gathered, laid out and sent: to the ledger they are like groups of two workers. */
  async function drain(messages: ConsumerMessages, signal: AbortSignal): Promise<void> {
    const groups = gather(messages);
    const lane = async (): Promise<void> => {
      for (let step = await groups.next(); !step.done; step = await groups.next()) {
        held.add(step.value);
        await commitGroup(step.value, signal).finally(() => held.delete(step.value as Group));
      }
    };
    await Promise.all(Array.from({ length: COMMITS_AT_ONCE }, lane));
  }

  function oldestHeldMs(): number | undefined {
    const stored = [...held].flatMap((group) => group.map(({ info }) => info.timestampNanos / 1e6));
    return stored.length === 0 ? undefined : Math.min(...stored);
  }

  const judgedAgoMs = (): number => performance.now() - judgedMs;

  return {
    async run(signal) {
      const answers = answerLedger({ connection, pool, shard, shardsFingerprint, log });
      const judging = keepJudging({
        pool,
        log,
        signal,
        lastCommitMs: () => lastCommitMs,
        onJudged(marks, all) {
          metrics.judged.inc(label, marks);
          failing.delete('judge');
          if (all) judgedMs = performance.now();
        },
        onFailure(error) {
          if (classify(error) === 'retry') failing.set('judge', problem('database-unreachable', about, messageOf(error)));
        },
      });
      await Promise.all([pull(signal), judging, keepConsumer(signal), keepPartitions({ pool, keepEventsMonths, log, signal })]);
      await answers.stop();
    },
    problems() {
      const found = new Map(Array.from(failing.values(), (one) => [one.code, one]));
      const waitedMs = Date.now() - (oldestHeldMs() ?? Date.now());
      if (waitedMs > BEHIND_MS) found.set('worker-behind', problem('worker-behind', about, `${Math.round(waitedMs / 1000)} s`));
      if (judgedAgoMs() > UNJUDGED_MS) found.set('judge-behind', problem('judge-behind', about));
      return [...found.values()];
    },
    oldestHeldMs,
    judgedAgoMs,
  };
}
