import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, type TestContext } from 'vitest';
import { LINKS, SLUG_KEYS } from '../../bench/fixture.ts';
import { shardNames, type Stand, startStand } from '../../bench/stand.ts';
import { table } from '../../cli/output.ts';
import { createSlugCodec, parseSlugKeys, type SlugCodec } from '../../core/slug.ts';
import type { SystemOptions } from '../../stack/system.ts';
import { judge, type Verdict } from '../chaos/verdict.ts';
import { peakMemory } from '../chaos/world.ts';
import type { Issued } from '../support/judge.ts';
import { addressOf } from './clients.ts';

// What every test under pressure stands on: a whole system with links, a slug of its own for each request, and a look at processes.

/** `npm run test:pressure` is full size; `npm test` has the same tests, and shorter ones where the size takes minutes. */
export const FULL = process.env['PRESSURE'] === 'full';

/** What a part may ever have resident. The benches aim at 250; V8 does not collect on the spot. */
export const PART_MAX_MIB = 300;

export interface Ground extends Stand {
  dataDir: string;
  /** Of the first nginx. */
  port: number;
  slugs: SlugCodec;
  /** Every slug that was handed out. */
  issued: Map<string, Issued>;
  /** A click of a person who has not clicked before, from an address of their own. */
  newClick: () => { path: string; address: string; recipient: number };
  /** Waits until every byte of every log is committed; then every hit in them must be in the databases exactly once. */
  expectExactlyOnce(): Promise<Verdict>;
  stop(): Promise<void>;
}

// Recipients of the fixture have lower numbers.
const FIRST_RECIPIENT = 1_000_001;

export async function createGround(options: Omit<SystemOptions, 'dataDir'> = {}): Promise<Ground> {
  const dataDir = await mkdtemp(join(tmpdir(), 'clickledger-pressure-'));
  const stand = await startStand({
    dataDir,
    durable: false,
    ...options,
    // Every client comes from an address of its own, through a proxy that is trusted.
    extra: { TRUSTED_PROXIES: '127.0.0.1', ...options.extra },
  });
  const { system } = stand;
  const slugs = createSlugCodec(parseSlugKeys(SLUG_KEYS));
  const issued = new Map<string, Issued>();
  let people = 0;
  return {
    ...stand,
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
      await stand.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** How often people clicked, as the databases have it. */
export async function clicksOf({ system, query }: Ground, recipients: readonly number[]): Promise<Map<number, number>> {
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

/** Bytes of all logs together. */
export async function logBytes({ system }: Stand): Promise<number> {
  let bytes = 0;
  for (const directory of system.logDirs)
    for (const name of await readdir(directory)) if (name.startsWith('access.log')) bytes += (await stat(join(directory, name))).size;
  return bytes;
}

/** The process of a member; nginx has workers besides, of which the one with the most counts. */
async function pidsOf({ system }: Stand, member: string): Promise<number[]> {
  const { running } = system.member(member);
  if (!running) throw new Error(`${member} does not run`);
  if (!member.startsWith('nginx')) return [running.pid];
  const children = await readFile(`/proc/${running.pid}/task/${running.pid}/children`, 'utf8');
  return children.trim().split(' ').map(Number);
}

/** The most memory a process of a member ever had, in MiB. */
export async function peakMib(stand: Stand, member: string): Promise<number> {
  const peaks = await Promise.all((await pidsOf(stand, member)).map(peakMemory));
  return Math.round(Math.max(...peaks) / 1024 / 1024);
}

/** Open descriptors of the process of a member that has the most. */
export async function descriptors(stand: Stand, member: string): Promise<number> {
  const counts = await Promise.all((await pidsOf(stand, member)).map(async (pid) => (await readdir(`/proc/${pid}/fd`)).length));
  return Math.max(...counts);
}

/** Connections that a server on this port holds, as the kernel counts them. */
export async function connectionsTo(port: number): Promise<number> {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = (await readFile('/proc/net/tcp', 'latin1')).split('\n').map((line) => line.trim().split(/\s+/));
  // 01: established. What a client has ended and the server not yet (08: close wait) is held, too.
  return lines.filter(([, from, , state]) => from === local && (state === '01' || state === '08')).length;
}

type Row = Record<string, string | number>;

/** Prints what was seen; other reporters find it in the test's meta, as `figures`. */
export function print({ task }: Pick<TestContext, 'task'>, rows: readonly Row[]): void {
  const meta = task.meta as { figures?: Row[] };
  const first = meta.figures === undefined;
  meta.figures = [...(meta.figures ?? []), ...rows];
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cells = rows.map((row) => columns.map((column) => row[column]));
  process.stdout.write(`${first ? `\n${task.name}\n` : ''}${table(columns, cells)}\n\n`);
}
