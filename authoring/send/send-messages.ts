import { setTimeout as sleep } from 'node:timers/promises';
import { ClickledgerError } from '../../core/errors.ts';
import { createPace } from './pace.ts';
import type { Outcome, OutgoingMessage, SmtpClient } from './smtp-client.ts';
import type { Result, SendState } from './state-file.ts';

// Sends one message to each person over several connections. The state file decides who still needs a message, and it gets every result.

/** A message that is to be sent. The content is made when its turn comes, because all messages together may be larger than memory. */
export interface Job {
  recipient: number;
  from: string;
  to: string;
  compose: () => Promise<Buffer>;
}

export interface SendOptions {
  /** The connections. Each sends one message at a time. */
  clients: readonly SmtpClient[];
  /** The time between two messages, over all connections. */
  intervalMs: number;
  /** The messages of at most this many people are sent in this run. */
  max: number;
  /** The waits before the second, third, … attempt for a person whom the server deferred. After the last one, the next run tries again. */
  retryMs: readonly number[];
  /** The waits while the server takes no messages. After the last one, the run stops. */
  serverMs: readonly number[];
  /** Stops the run: no further message begins, and the messages that are being sent are completed. */
  signal: AbortSignal;
  onResult: (job: Job, result: Result, reason: string | undefined) => void;
}

/** How the run ended. `all`: everybody of the list has a result. `stopped`: by the signal. `max`: the limit was reached. */
export type RunEnd = { why: 'all' | 'stopped' | 'max' } | { why: 'failed'; error: ClickledgerError };

/** So many people whom the server refuses one after the other, without one success, are a mistake in the settings and not in the list. */
const MAX_REFUSED_AT_FIRST = 20;
/** A job is started again at once if the connection was lost before it began, but not more often than this. */
const MAX_LOST = 3;
/** At most this many people wait for another attempt in this run. The others are for the next run. */
const MAX_WAITING = 10_000;

interface Waiting {
  job: Job;
  attempts: number;
  lost: number;
  dueMs: number;
  /** Why the last attempt failed. */
  reason?: string;
}

/**
 * Sends all jobs, and returns why it ended. A person whose message may have arrived is never sent another one here: the caller decides who is in
 * `jobs`. Rejects if the state cannot be written, or if a message cannot be made; then no further message begins.
 */
export async function sendMessages(jobs: AsyncIterator<Job>, state: SendState, options: SendOptions): Promise<RunEnd> {
  const { clients, signal, max, onResult } = options;
  const now = (): number => performance.now();
  const pace = createPace(options.intervalMs, now);
  const waiting: Waiting[] = [];
  let end: RunEnd | undefined;
  let begun = 0;
  let running = 0;
  let isSourceDone = false;
  /** The failures of the server since its last answer. A failure of a message that began before the last one is the same failure. */
  const server = { failures: 0, failedMs: Number.NEGATIVE_INFINITY, pausedUntilMs: 0 };
  const inARow = { refused: 0, unknown: 0 };
  let hasSent = false;
  const stop = new AbortController();
  let wake = new AbortController();

  /** Waits, unless the run ends or something changes that `next` waits for. */
  async function waitFor(ms: number): Promise<void> {
    await sleep(Math.min(ms, 3_600_000), undefined, { signal: AbortSignal.any([signal, stop.signal, wake.signal]) }).catch(() => {});
  }

  function changed(): void {
    wake.abort();
    wake = new AbortController();
  }

  function finish(how: RunEnd): void {
    end ??= how;
    stop.abort();
  }

  const fail = (reason: string): void => finish({ why: 'failed', error: new ClickledgerError('unavailable', reason) });

  /** Yields one job after the other, in time. The connections share this generator, so the rate holds for all of them together. */
  async function* schedule(): AsyncGenerator<Waiting> {
    for (;;) {
      if (signal.aborted) return finish({ why: 'stopped' });
      if (end) return;
      const pauseMs = server.pausedUntilMs - now();
      if (pauseMs > 0) {
        await waitFor(pauseMs);
        continue;
      }
      const job = await next();
      if (job === 'wait') continue;
      if (job === undefined) return finish({ why: 'all' });
      if (job === 'max') return finish({ why: 'max' });
      const delayMs = pace();
      if (delayMs > 0) await sleep(delayMs, undefined, { signal: AbortSignal.any([signal, stop.signal]) }).catch(() => {});
      if (signal.aborted || end) {
        waiting.unshift(job);
        continue;
      }
      running++;
      yield job;
    }
  }

  async function next(): Promise<Waiting | 'wait' | 'max' | undefined> {
    const due = waiting.findIndex(({ dueMs }) => dueMs <= now());
    if (due >= 0) return waiting.splice(due, 1)[0] as Waiting;
    if (!isSourceDone && begun < max) {
      const { done, value } = await jobs.next();
      if (!done) {
        begun++;
        return { job: value, attempts: 0, lost: 0, dueMs: 0 };
      }
      isSourceDone = true;
    }
    if (waiting.length === 0 && running === 0) {
      isSourceDone ||= (await jobs.next()).done === true;
      return isSourceDone ? undefined : 'max';
    }
    // A message that is being sent may have to be sent again.
    await waitFor(Math.min(...waiting.map(({ dueMs }) => dueMs - now()), Number.MAX_SAFE_INTEGER));
    return 'wait';
  }

  function settle(item: Waiting, result: Result, reason?: string): void {
    state.record(item.job.recipient, result, reason);
    onResult(item.job, result, reason);
  }

  function defer(item: Waiting, reason: string): void {
    const waitMs = options.retryMs[item.attempts];
    if (waitMs === undefined || waiting.length >= MAX_WAITING) return settle(item, 'deferred', reason);
    state.record(item.job.recipient, 'deferred', reason);
    waiting.push({ ...item, attempts: item.attempts + 1, lost: 0, dueMs: now() + waitMs, reason });
  }

  /** The server takes no messages now. All connections wait, and the message is the first to be tried again. */
  function pause(item: Waiting, begunMs: number, reason: string): void {
    if (item.lost + 1 >= MAX_LOST) defer(item, reason);
    else waiting.unshift({ ...item, lost: item.lost + 1, dueMs: 0 });
    if (begunMs < server.failedMs) return;
    const waitMs = options.serverMs[server.failures++];
    if (waitMs === undefined) return fail(`the mail server accepts no messages now: ${reason}. Run the same command again later.`);
    server.pausedUntilMs = now() + waitMs;
    server.failedMs = now();
  }

  function apply(item: Waiting, outcome: Outcome, begunMs: number): void {
    if (outcome.is === 'unavailable') return pause(item, begunMs, outcome.reason);
    if (outcome.is === 'rejected') {
      waiting.unshift(item);
      return fail(`the mail server takes no messages from this sender: ${outcome.reason}`);
    }
    server.failures = 0;
    inARow.unknown = outcome.is === 'unknown' ? inARow.unknown + 1 : 0;
    inARow.refused = outcome.is === 'refused' ? inARow.refused + 1 : 0;
    if (outcome.is === 'sent') hasSent = true;
    if (outcome.is === 'deferred') defer(item, outcome.reason);
    else settle(item, outcome.is, 'reason' in outcome ? outcome.reason : undefined);
    if (inARow.unknown > clients.length + 2)
      fail(`the mail server ended ${inARow.unknown} connections, one after the other, without an answer to the message that it got`);
    if (!hasSent && inARow.refused >= MAX_REFUSED_AT_FIRST)
      fail(
        `the mail server refused the first ${inARow.refused} people, the last with: ${'reason' in outcome ? outcome.reason : ''}. Correct the settings, then send again with --retry-refused.`,
      );
  }

  async function work(client: SmtpClient, scheduled: AsyncGenerator<Waiting>): Promise<void> {
    for (;;) {
      const { done, value: item } = await scheduled.next();
      if (done) return;
      try {
        const { recipient, from, to, compose } = item.job;
        const message: OutgoingMessage = { from, to, message: await compose(), beforeContent: () => state.attempt(recipient) };
        const begunMs = now();
        apply(item, await client.send(message), begunMs);
      } catch (error) {
        // Otherwise the other connections would continue to send, without a record.
        finish({ why: 'stopped' });
        throw error;
      } finally {
        running--;
        changed();
      }
    }
  }

  const scheduled = schedule();
  const ended = await Promise.allSettled(clients.map((client) => work(client, scheduled)));
  for (const { job, reason } of waiting) if (state.of(job.recipient) === 'deferred') onResult(job, 'deferred', reason);
  await jobs.return?.(undefined);
  // What is known is written in any case, because it says who must not get a second message.
  const flushed = await state.flush().catch((error: unknown) => ({ error }));
  const broken = ended.find((one) => one.status === 'rejected');
  if (broken) throw broken.reason;
  if (flushed) throw flushed.error;
  return end ?? { why: 'all' };
}
