import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, type TestContext } from 'vitest';
import { LINKS, SLUG_KEYS } from '../../bench/fixture.ts';
import { shardNames, type BenchSystem, startBenchSystem } from '../../bench/system.ts';
import { table } from '../../cli/output.ts';
import { createSlugCodec, parseSlugKeys, type SlugCodec } from '../../core/slug.ts';
import type { SystemOptions } from '../../stack/system.ts';
import { judge, type Verdict } from '../chaos/verdict.ts';
import { peakMemory } from '../chaos/world.ts';
import type { Issued } from '../support/judge.ts';
import { addressOf } from './clients.ts';

// The common code of the pressure tests: a whole system with links, a different slug for each click, and measurements of processes.

/**
 * `npm run test:pressure` runs the tests at full size. `npm test` runs the same tests, with smaller sizes where the full size takes
 * minutes.
 */
export const FULL = process.env['PRESSURE'] === 'full';

/**
 * The maximum resident memory of a part. The target of the benches is 250 MiB. The limit is higher here, because V8 does not free memory at
 * once.
 */
export const PART_MAX_MIB = 300;

export interface PressureSetup extends BenchSystem {
  dataDir: string;
  /** The port of the first nginx. */
  port: number;
  slugs: SlugCodec;
  /** Every slug that was used. */
  issued: Map<string, Issued>;
  /** Returns a click of a new recipient from a new address. */
  newClick: () => { path: string; address: string; recipient: number };
  /** Waits until every byte of every log is committed, then checks that every hit is in the databases exactly once. */
  expectExactlyOnce(): Promise<Verdict>;
  stop(): Promise<void>;
}

// The fixture uses lower recipient numbers.
const FIRST_RECIPIENT = 1_000_001;

export async function createSetup(options: Omit<SystemOptions, 'dataDir'> = {}): Promise<PressureSetup> {
  const dataDir = await mkdtemp(join(tmpdir(), 'clickledger-pressure-'));
  const benchSystem = await startBenchSystem({
    dataDir,
    durable: false,
    ...options,
    // Each client has a different address in X-Forwarded-For, so nginx must trust 127.0.0.1 as a proxy.
    extra: { TRUSTED_PROXIES: '127.0.0.1', ...options.extra },
  });
  const { system } = benchSystem;
  const slugs = createSlugCodec(parseSlugKeys(SLUG_KEYS));
  const issued = new Map<string, Issued>();
  let people = 0;
  return {
    ...benchSystem,
    dataDir,
    port: system.ports.edges[0] as number,
    slugs,
    issued,
    newClick() {
      const n = people++;
      const ids = { link: (n % LINKS) + 1, recipient: FIRST_RECIPIENT + n };
      const slug = slugs.encode(ids);
      issued.set(slug, ids);
      return { path: `/u/${slug}`, address: addressOf(n), recipient: ids.recipient };
    },
    async expectExactlyOnce() {
      const verdict = await judge({ system, keepDirs: system.logDirs, shardsText: system.env['SHARDS'] ?? '' }, issued, 60_000);
      const { lost, doubled, misplaced, altered, problems } = verdict;
      expect({ lost, doubled, misplaced, altered, problems }).toEqual({ lost: 0, doubled: 0, misplaced: 0, altered: 0, problems: [] });
      return verdict;
    },
    async stop() {
      await benchSystem.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Returns the number of stored clicks by recipient. */
export async function clicksOf({ system, query }: PressureSetup, recipients: readonly number[]): Promise<Map<number, number>> {
  const clicks = new Map<number, number>();
  for (const shard of shardNames(system)) {
    const rows = await query<{ recipient: number; clicks: number }>(
      shard,
      'SELECT recipient_id AS recipient, count(*)::int AS clicks FROM shard.event WHERE recipient_id = ANY($1::bigint[]) GROUP BY 1',
      [recipients],
    );
    for (const row of rows) clicks.set(row.recipient, (clicks.get(row.recipient) ?? 0) + row.clicks);
  }
  return clicks;
}

/** Returns the total size of all logs in bytes. */
export async function logBytes({ system }: BenchSystem): Promise<number> {
  let bytes = 0;
  for (const directory of system.logDirs)
    for (const name of await readdir(directory)) if (name.startsWith('access.log')) bytes += (await stat(join(directory, name))).size;
  return bytes;
}

/** Returns the pids of a member. For nginx, these are the pids of its workers, and measurements use the largest value of all workers. */
async function pidsOf({ system }: BenchSystem, member: string): Promise<number[]> {
  const { running } = system.member(member);
  if (!running) throw new Error(`${member} is not running`);
  if (!member.startsWith('nginx')) return [running.pid];
  const children = await readFile(`/proc/${running.pid}/task/${running.pid}/children`, 'utf8');
  return children.trim().split(' ').map(Number);
}

/** Returns the peak memory of the process of a member, in MiB. */
export async function peakMib(benchSystem: BenchSystem, member: string): Promise<number> {
  const peaks = await Promise.all((await pidsOf(benchSystem, member)).map(peakMemory));
  return Math.round(Math.max(...peaks) / 1024 / 1024);
}

/** Returns the number of open file descriptors of the process of a member. */
export async function descriptors(benchSystem: BenchSystem, member: string): Promise<number> {
  const counts = await Promise.all((await pidsOf(benchSystem, member)).map(async (pid) => (await readdir(`/proc/${pid}/fd`)).length));
  return Math.max(...counts);
}

/** Returns the number of connections of the server on this port, as counted by the kernel. */
export async function connectionsTo(port: number): Promise<number> {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = (await readFile('/proc/net/tcp', 'latin1')).split('\n').map((line) => line.trim().split(/\s+/));
  // State 01 is an established connection. State 08 is close wait: the client has closed the connection, but the server has not closed it
  // yet.
  return lines.filter(([, from, , state]) => from === local && (state === '01' || state === '08')).length;
}

type Row = Record<string, string | number>;

/** Prints the figures. Reporters find them as `figures` in the meta data of the test. */
export function printFigures({ task }: Pick<TestContext, 'task'>, rows: readonly Row[]): void {
  const meta = task.meta as { figures?: Row[] };
  const first = meta.figures === undefined;
  meta.figures = [...(meta.figures ?? []), ...rows];
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cells = rows.map((row) => columns.map((column) => row[column]));
  process.stdout.write(`${first ? `\n${task.name}\n` : ''}${table(columns, cells)}\n\n`);
}
