import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { countEvents, slugIds, writeLog } from '../../bench/fixture.ts';
import { createJetStreamManager } from '../../core/nats.ts';
import { sleep } from '../../core/time.ts';
import { STREAM } from '../../core/subjects.ts';
import { rotateLog } from '../../stack/nginx.ts';
import type { Running } from '../../stack/process.ts';
import { eventually, natsConnection } from '../support/servers.ts';
import { latency, startClicking } from './clients.ts';
import { committedBytes } from '../../bench/system.ts';
import { createSetup, FULL, type PressureSetup, logBytes, PART_MAX_MIB, peakMib, printFigures } from './setup.ts';

// Tests a long backlog. NATS and the worker are stopped while several logs are written and rotated. Then NATS and the worker start again.

const LOGS = 5;
const LINES = (FULL ? 5_000_000 : 300_000) / LOGS;
const SHARDS = ['a', 'b'];
/** The size of the stream. It is less than the agent may publish ahead, so that the stream becomes full. */
const STREAM_MAX_MIB = 32;
const PER_SECOND = 50;
const PATIENCE_MS = FULL ? 500_000 : 90_000;

let setup: PressureSetup;
let backlogFiles: string[];

beforeAll(async () => {
  setup = await createSetup({ shards: SHARDS.length, durable: true, extra: { STREAM_MAX_MIB: String(STREAM_MAX_MIB) } });
  const stagingDir = join(setup.dataDir, 'waiting');
  await mkdir(stagingDir);
  const ids = slugIds(LINES);
  const slugs = ids.map((pair) => setup.slugs.encode(pair));
  backlogFiles = Array.from({ length: LOGS }, (_, i) => join(stagingDir, `access.log.backlog-${i + 1}`));
  for (const [i, path] of backlogFiles.entries()) await writeLog(path, slugs, ids, i + 1);
}, 300_000);

afterAll(() => setup?.stop());

test(`a backlog of ${(LOGS * LINES).toLocaleString('en-US')} lines is committed exactly once, in bounded memory, and redirects do not notice`, {
  timeout: PATIENCE_MS + 120_000,
}, async (context) => {
  const { system, port, newClick, query } = setup;
  const [logDir = ''] = system.logDirs;
  const phases: { phase: string; clicks: number; failed: string[]; latenciesMs: number[]; seconds: number }[] = [];
  const measurePhase = async (phase: string, work: () => Promise<void>): Promise<void> => {
    const clicking = startClicking({ port, perSecond: PER_SECOND, next: newClick });
    const startedMs = performance.now();
    await work();
    phases.push({ phase, seconds: (performance.now() - startedMs) / 1000, ...(await clicking.stop()) });
  };

  await measurePhase('before', () => sleep(3_000));

  await system.member('nats').running?.kill();
  await system.member('event-worker-1').running?.kill();
  await measurePhase('outage', async () => {
    for (const path of backlogFiles) {
      await rotateLog(logDir, system.member('nginx-1').running as Running);
      await rename(path, join(logDir, path.slice(path.lastIndexOf('/') + 1)));
      await sleep(500);
    }
    await sleep(2_000);
  });
  const agentInOutage = await peakMib(setup, 'log-agent-1');

  let streamPeak = 0;
  await measurePhase('catching up', async () => {
    await system.member('nats').start();
    await system.member('event-worker-1').start();
    const connection = await natsConnection(system.env['WORKER_NATS_URL'] ?? '');
    const streams = await createJetStreamManager(connection);
    await eventually(
      'the backlog is committed',
      async () => {
        const { config, state } = await streams.streams.info(STREAM);
        expect(config.max_bytes).toBe(STREAM_MAX_MIB * 1024 * 1024);
        streamPeak = Math.max(streamPeak, state.bytes);
        // New clicks take a moment to be committed. The backlog counts as committed when at most SLACK_BYTES are missing.
        await sleep(100);
        return (await committedBytes(setup)) >= SHARDS.length * ((await logBytes(setup)) - SLACK_BYTES);
      },
      PATIENCE_MS,
    );
    await connection.close();
  });
  await eventually('every byte is committed', async () => (await committedBytes(setup)) === SHARDS.length * (await logBytes(setup)));
  const committedMs = performance.now();
  for (const shard of SHARDS) {
    const judged = async () => (await query(shard, 'SELECT FROM shard.delta LIMIT 1')).length === 0;
    await eventually('every hit is judged', judged, PATIENCE_MS);
  }
  const judgedSeconds = (performance.now() - committedMs) / 1000;

  const sums = { rows: 0, different: 0, skipped: 0, dead: 0 };
  for (const shard of SHARDS) {
    const [row] = await query<typeof sums>(
      shard,
      `SELECT (SELECT count(*)::int FROM shard.event) AS rows, (SELECT sum(n)::int FROM (SELECT count(DISTINCT off) AS n FROM shard.event GROUP BY gen) g) AS different,
                (SELECT coalesce(sum(lines), 0)::int FROM shard.skipped) AS skipped, (SELECT count(*)::int FROM shard.dead_letter) AS dead`,
    );
    if (row) for (const key of Object.keys(sums) as (keyof typeof sums)[]) sums[key] += row[key];
  }
  const clicks = phases.reduce((sum, phase) => sum + phase.clicks, 0);
  const events = LOGS * countEvents(LINES) + clicks;
  expect(phases.flatMap(({ failed }) => failed)).toEqual([]);
  expect(sums).toEqual({
    rows: events,
    different: events,
    skipped: LOGS * (LINES - countEvents(LINES)),
    dead: 0,
  });
  const memory = {
    agent: await peakMib(setup, 'log-agent-1'),
    worker: await peakMib(setup, 'event-worker-1'),
    backend: Math.max(await peakMib(setup, 'backend-1'), await peakMib(setup, 'backend-2')),
  };
  for (const [part, mib] of Object.entries(memory)) expect(mib, part).toBeLessThan(PART_MAX_MIB);
  expect(streamPeak).toBeLessThanOrEqual(STREAM_MAX_MIB * 1024 * 1024);

  const seconds = phases.at(-1)?.seconds ?? 0;
  printFigures(
    context,
    phases.map((phase) => ({
      phase: phase.phase,
      seconds: phase.seconds.toFixed(1),
      clicks: phase.clicks,
      failed: phase.failed.length,
      ...latency(phase.latenciesMs),
    })),
  );
  printFigures(context, [
    {
      'backlog, lines': LOGS * LINES,
      MiB: Math.round((await logBytes(setup)) / 1024 / 1024),
      'lines/s': Math.round((LOGS * LINES) / seconds),
      'seconds until judged': judgedSeconds.toFixed(1),
      'events committed': sums.rows,
      lost: events - sums.rows,
      doubled: sums.rows - sums.different,
    },
  ]);
  printFigures(context, [
    {
      'stream, peak MiB': (streamPeak / 1024 / 1024).toFixed(1),
      'stream, limit MiB': STREAM_MAX_MIB,
      'agent in the outage, peak MiB': agentInOutage,
      'agent, peak MiB': memory.agent,
      'worker, peak MiB': memory.worker,
      'backend, peak MiB': memory.backend,
    },
  ]);
});

/** A size that is larger than the log lines of a few seconds of clicks. */
const SLACK_BYTES = 256 * 1024;
