import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, copyFile, readFile, rename } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { createPool } from '../core/postgres.ts';
import { parseShards } from '../core/shards.ts';
import { EVENT_KINDS } from '../feed/filter.ts';
import { addSubscription, removeSubscription } from '../operating/subscriptions.ts';
import { cpuSeconds } from './cpu.ts';
import { type Bench, expectEqual, type Figure } from './figure.ts';
import { EVENTS } from './fixture.ts';
import { recordPeak } from './memory.ts';
import { committedBytes, isJudged, pidsOf, startBenchSystem, type BenchSystem, waitUntil } from './system.ts';

// Measures the forwarder with one webhook on loopback, in two phases. In the first phase a million events are stored already, and only the forwarder works.
// In the second phase the other parts count new lines at a steady rate. The baseline is a client that posts bodies of the same size, one after the other.

const BATCH = 500;
const BARE_POSTS = 1_000;
const LINES_PER_SECOND = 21_000;
const STEPS_PER_SECOND = 20;
const STEADY_SECONDS = 45;

export const forwarderBench: Bench = async ({ directory, fixture, progress }) => {
  const log = await fixture.log();
  const benchSystem = await startBenchSystem({ dataDir: directory, forwarders: 1, extra: { FORWARDER_NETWORKS: '127.0.0.1' } });
  const receiver = fork(join(import.meta.dirname, 'webhook-receiver.ts'));
  try {
    const { system } = benchSystem;
    const [{ port }] = (await once(receiver, 'message')) as [{ port: number }];
    const url = `http://127.0.0.1:${port}/`;
    const logDir = system.logDirs[0] as string;
    const staged = join(directory, 'access.log.waiting');
    await copyFile(log.path, staged);
    await rename(staged, join(logDir, 'access.log.first'));
    await waitUntil('the log is committed', async () => (await committedBytes(benchSystem)) === log.size);
    await waitUntil('the log is judged', () => isJudged(benchSystem, 'a'));

    const forwarder = system.member('forwarder-1').running;
    if (forwarder === undefined) throw new Error('the forwarder does not run');
    const cpuBefore = await cpuSeconds({ forwarder: forwarder.pid, ...pidsOf(benchSystem) });
    const aloneSeconds = await timeDelivery(benchSystem, receiver, url, 'first', 'everything', EVENTS);
    const cpuAfter = await cpuSeconds({ forwarder: forwarder.pid, ...pidsOf(benchSystem) });
    progress(`   ${EVENTS} events in ${aloneSeconds.toFixed(1)} s`);

    const steady = await timeSteady(benchSystem, receiver, url, log.path, join(logDir, 'access.log.second'));
    progress(
      `   at ${LINES_PER_SECOND} lines/s: ${Math.round(steady.perSecond)} events/s delivered, all of them ${steady.lagSeconds.toFixed(1)} s after the last line`,
    );
    await recordPeak('forwarder', forwarder.pid);
    const bare = (BARE_POSTS * BATCH) / (await timeBarePosts(url));
    const perEvent = (part: string): number => (((cpuAfter.get(part) ?? 0) - (cpuBefore.get(part) ?? 0)) / EVENTS) * 1e6;
    return [
      {
        what: 'forwarder: stored events to a webhook',
        unit: 'events/s',
        ours: EVENTS / aloneSeconds,
        bare: { what: 'the same bodies by one Node client', value: bare },
        target: { atLeast: 20_000 },
      },
      {
        what: `forwarder: to a webhook while the pipe counts ${LINES_PER_SECOND} lines/s`,
        unit: 'events/s',
        ours: steady.perSecond,
        target: { atLeast: 20_000 },
      },
      { what: 'forwarder: seconds from the last of these lines to the last delivery', unit: 's', ours: steady.lagSeconds },
      { what: 'CPU for a delivered event: forwarder', unit: 'µs', ours: perEvent('forwarder') },
      {
        what: 'CPU for a delivered event: Postgres',
        unit: 'µs',
        ours: Array.from(cpuAfter.keys())
          .filter((name) => /postgres/i.test(name))
          .reduce((sum, name) => sum + perEvent(name), 0),
      },
    ] satisfies Figure[];
  } finally {
    receiver.kill();
    await benchSystem.stop();
  }
};

/**
 * Appends lines to a log at a steady rate, and returns how many events a second the webhook gets during the last two thirds of this time, and how many
 * seconds after the last line it has all of them. The log begins with the second line of the first log, so it is another generation.
 */
async function timeSteady(
  benchSystem: BenchSystem,
  receiver: ChildProcess,
  url: string,
  source: string,
  target: string,
): Promise<{ perSecond: number; lagSeconds: number }> {
  const lines = (await readFile(source, 'latin1')).split('\n').slice(1, 1 + STEADY_SECONDS * LINES_PER_SECOND);
  const events = lines.filter((line) => !line.includes('"s":404')).length;
  let perSecond = 0;
  let writtenMs = 0;
  await timeDelivery(benchSystem, receiver, url, 'steady', 'now', events, async (startedMs) => {
    const step = LINES_PER_SECOND / STEPS_PER_SECOND;
    let first: { ms: number; events: number } | undefined;
    for (let i = 0; i * step < lines.length; i++) {
      await appendFile(target, `${lines.slice(i * step, (i + 1) * step).join('\n')}\n`, 'latin1');
      await setTimeout(Math.max(0, startedMs + ((i + 1) * 1000) / STEPS_PER_SECOND - performance.now()));
      if (first === undefined && performance.now() - startedMs > (STEADY_SECONDS * 1000) / 3)
        first = { ms: performance.now(), events: await countOf(receiver) };
    }
    writtenMs = performance.now();
    if (first !== undefined) perSecond = ((await countOf(receiver)) - first.events) / ((performance.now() - first.ms) / 1000);
  });
  return { perSecond, lagSeconds: (performance.now() - writtenMs) / 1000 };
}

async function countOf(receiver: ChildProcess): Promise<number> {
  receiver.send('count');
  const [{ events }] = (await once(receiver, 'message')) as [{ events: number }];
  return events;
}

/** Subscribes a webhook and returns the seconds until it has got `events` more events. `meanwhile` runs after the start. */
async function timeDelivery(
  benchSystem: BenchSystem,
  receiver: ChildProcess,
  target: string,
  name: string,
  beginning: 'now' | 'everything',
  events: number,
  meanwhile?: (startedMs: number) => Promise<void>,
): Promise<number> {
  const catalogUrl = benchSystem.urlOf('catalog');
  const owner = createPool(catalogUrl, { max: 2, name: 'bench' });
  try {
    const before = await countOf(receiver);
    await addSubscription(owner, parseShards(benchSystem.system.env['SHARDS'] ?? ''), catalogUrl, {
      name,
      target,
      filter: { kinds: EVENT_KINDS, campaigns: null, verdicts: null, since: null, waitMs: 0 },
      beginning,
      batch: BATCH,
      withAddresses: false,
      secret: undefined,
    });
    const startedMs = performance.now();
    await meanwhile?.(startedMs);
    await waitUntil(`the webhook has ${events} events`, async () => (await countOf(receiver)) - before >= events, 300);
    const seconds = (performance.now() - startedMs) / 1000;
    expectEqual('delivered events', (await countOf(receiver)) - before, events);
    await removeSubscription(owner, name);
    return seconds;
  } finally {
    await owner.end();
  }
}

/** Posts bodies of the size of a delivery, one after the other, and returns the seconds. */
async function timeBarePosts(url: string): Promise<number> {
  const agent = new Agent({ keepAlive: true });
  const body = Buffer.alloc(BATCH * 600, 'x');
  const startedMs = performance.now();
  for (let i = 0; i < BARE_POSTS; i++) {
    await new Promise<void>((resolve, reject) => {
      const sent = request(url, { method: 'POST', agent, headers: { 'content-length': body.length } }, (response) => {
        response.resume();
        response.on('end', resolve);
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }
  agent.destroy();
  return (performance.now() - startedMs) / 1000;
}
