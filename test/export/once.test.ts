import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDirectory } from '../../export/directory.ts';
import { readRowGroups } from '../../export/read-parquet.ts';
import { parseManifest } from '../../export/manifest.ts';
import type { Storage } from '../../export/storage.ts';
import type { Verdict } from '../../core/rules.ts';
import { createExportWorld, type ExportWorld, START } from './world.ts';

// Property: whatever happens between exports and in the middle of them, each event that passes the filter is in the export once.

const LINE = 300;
const GENS = 2;
const DAY_MS = 86_400_000;

let world: ExportWorld;

beforeAll(async () => {
  world = await createExportWorld(1, 10);
});
afterAll(() => world.close());

const query = (sql: string, values: unknown[] = []) => world.databases.query<Record<string, unknown>>('a', sql, values);
/** The generation and the offset of an event. */
function placeOf(id: string): [gen: string, off: number] {
  const [gen, line] = id.split(':');
  return [`00000000-0000-4000-8000-00000000000${gen}`, Number(line) * LINE];
}
const idOf = ({ gen, line }: { gen: number; line: number }, i: number): string => `${gen}:${line + i}`;

/** What the database has of an event. */
interface Known {
  verdict: Verdict;
}

const place = fc.record({ gen: fc.integer({ min: 0, max: GENS - 1 }), line: fc.integer({ min: 0, max: 5 }) });
const verdict = fc.constantFrom<Verdict>('human', 'unsure', 'bot-ua');
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('commit' as const), place, lines: fc.integer({ min: 1, max: 8 }), verdict }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('judge' as const), place, lines: fc.integer({ min: 1, max: 8 }), verdict }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('export' as const), setRows: fc.constantFrom(1, 5, 1_000_000) }) },
  // The process stops at the n-th call of the storage: before it, or after it but before the caller knows.
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('crash' as const),
      at: fc.integer({ min: 0, max: 20 }),
      after: fc.boolean(),
      setRows: fc.constantFrom(1, 5),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'backup-directory' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'restore-directory' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'backup-shard' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'restore-shard' as const }) },
);

interface Backup {
  events: ReadonlyMap<string, Known>;
  lastChange: number;
}

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

class Stopped extends Error {}

/** Throws at the n-th call that changes something. */
function stopping(storage: Storage, at: number, after: boolean): Storage {
  let calls = 0;
  const guard =
    <A extends unknown[], R>(work: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      const isLast = calls++ === at;
      if (isLast && !after) throw new Stopped();
      const result = await work(...args);
      if (isLast) throw new Stopped();
      return result;
    };
  return {
    ...storage,
    replaceManifest: guard((text: string, before: string | undefined) => storage.replaceManifest(text, before)),
    store: guard((local: string, path: string, sha256: string) => storage.store(local, path, sha256)),
    remove: guard((path: string) => storage.remove(path)),
  };
}

/** A process that stops at each of its steps: the first export, and then one that has a change of a verdict, too. */
const STOPS: [Step[]][] = Array.from({ length: 64 }, (_, i) => {
  const crash: Step = { do: 'crash', at: Math.floor(i / 2), after: i % 2 === 1, setRows: 1 };
  const first = { gen: 0, line: 0 };
  return [
    [
      { do: 'commit', place: first, lines: 4, verdict: 'human' },
      crash,
      { do: 'judge', place: first, lines: 2, verdict: 'bot-ua' },
      { do: 'commit', place: { gen: 1, line: 0 }, lines: 2, verdict: 'human' },
      crash,
      { do: 'export', setRows: 1 },
      { do: 'judge', place: first, lines: 1, verdict: 'human' },
    ],
  ];
});

test.each([
  ['all verdicts', null],
  ['people only', ['human' as const]],
])('each event is exported once: %s', { timeout: 600_000 }, async (_, verdicts) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 16 }), async (steps) => {
      await query('TRUNCATE shard.event, shard.ledger, shard.delta, shard.verdict_change RESTART IDENTITY');
      const directory = await mkdtemp(join(tmpdir(), 'clickledger-once-'));
      const copy = `${directory}.copy`;
      try {
        let events = new Map<string, Known>();
        let backup: Backup | undefined;
        /** The last verdict of each event, whatever was restored since then. */
        const latest = new Map<string, Verdict>();
        let hasCopy = false;
        /** The events whose verdict passed the filter at some time. */
        const passed = new Set<string>();

        const commit = async (id: string, verdictNow: Verdict): Promise<void> => {
          if (events.has(id)) return;
          events.set(id, { verdict: verdictNow });
          if (!latest.has(id)) latest.set(id, verdictNow);
          const [gen, off] = placeOf(id);
          await query(
            `INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, agent_id, link_version, rules, kind, verdict)
             VALUES (to_timestamp($1::float8 / 1000), $2, $3, gen_random_uuid(), 1, 1, 1, 1, 1, 1, 'click', $4)`,
            // Lines of one log belong to two days.
            [START + ((off / LINE) % 2) * DAY_MS, off, gen, verdictNow],
          );
          await query(
            `INSERT INTO shard.ledger (gen, committed) VALUES ($1, int8multirange(int8range($2, $3)))
             ON CONFLICT (gen) DO UPDATE SET committed = ledger.committed + excluded.committed, last_at = now()`,
            [gen, off, off + LINE],
          );
        };
        const exportAll = async (storage: Storage, setRows: number): Promise<void> => {
          const target = await world.open(storage, { verdicts });
          await world.run(target, setRows);
        };
        const notePassed = (): void => {
          for (const [id, known] of events) if (verdicts === null || verdicts.includes(known.verdict as 'human')) passed.add(id);
        };
        const judge = async (id: string, becomes: Verdict): Promise<void> => {
          const known = events.get(id);
          if (known === undefined || known.verdict === becomes) return;
          const at = placeOf(id);
          await query('UPDATE shard.event SET verdict = $3 WHERE gen = $1 AND off = $2', [...at, becomes]);
          await query('INSERT INTO shard.verdict_change (gen, off, was, becomes) VALUES ($1, $2, $3, $4)', [...at, known.verdict, becomes]);
          known.verdict = becomes;
          latest.set(id, becomes);
        };
        const restoreShard = async (backup: Backup): Promise<void> => {
          await query('TRUNCATE shard.event, shard.ledger');
          // The restored database gives the numbers of the lost changes again.
          await query('DELETE FROM shard.verdict_change WHERE id > $1', [backup.lastChange]);
          await query(`SELECT setval(pg_get_serial_sequence('shard.verdict_change', 'id'), $1 + 1, false)`, [backup.lastChange]);
          events = new Map();
          for (const [id, { verdict: before }] of backup.events) await commit(id, before);
        };

        for (const one of steps) {
          switch (one.do) {
            case 'commit':
              for (let i = 0; i < one.lines; i++) await commit(idOf(one.place, i), one.verdict);
              break;
            case 'judge':
              for (let i = 0; i < one.lines; i++) await judge(idOf(one.place, i), one.verdict);
              break;
            case 'export':
              await exportAll(await openDirectory(directory), one.setRows);
              break;
            case 'crash':
              await exportAll(stopping(await openDirectory(directory), one.at, one.after), one.setRows).catch((error: unknown) => {
                if (!(error instanceof Stopped)) throw error;
              });
              break;
            case 'backup-directory':
              await rm(copy, { recursive: true, force: true });
              await cp(directory, copy, { recursive: true });
              hasCopy = true;
              break;
            case 'restore-directory':
              if (!hasCopy) break;
              await cp(copy, directory, { recursive: true });
              break;
            case 'backup-shard':
              backup = {
                events: new Map([...events].map(([id, known]) => [id, { ...known }])),
                lastChange: (await query('SELECT id FROM shard.last_change()'))[0]?.['id'] as number,
              };
              break;
            case 'restore-shard':
              if (backup === undefined) break;
              await restoreShard(backup);
              break;
          }
          notePassed();
        }
        // What a restored shard lacks comes again: the agent sends the lines, and the judge finds the same signals.
        for (const [id, last] of latest) {
          await commit(id, last);
          await judge(id, last);
        }
        notePassed();
        await exportAll(await openDirectory(directory), 1_000_000);

        const found = await readExport(directory);
        expect(found.ids.length, 'no event twice').toBe(new Set(found.ids).size);
        // An event whose verdict passes now must be in the export. One that passed at another time may be.
        for (const [id, now] of latest) if (verdicts === null || verdicts.includes(now as 'human')) expect(found.ids).toContain(id);
        for (const id of found.ids) expect(passed.has(id), `${id} passed at some time`).toBe(true);
        expect(
          found.changed.filter((id) => !found.ids.includes(id)),
          'only exported events have changes',
        ).toEqual([]);
        for (const id of found.ids) expect(found.verdicts.get(id), `the verdict of ${id}`).toBe(latest.get(id));
        expect(found.unlisted, 'files that are not in the manifest').toEqual([]);
      } finally {
        await rm(directory, { recursive: true, force: true });
        await rm(copy, { recursive: true, force: true });
      }
    }),
    { numRuns: STOPS.length + Number(process.env['RUNS'] ?? 10), examples: STOPS },
  );
});

interface Found {
  /** The events, also those that are there twice. */
  ids: string[];
  changed: string[];
  /** The verdict of each event, with the last change. */
  verdicts: Map<string, Verdict>;
  unlisted: string[];
}

/** Reads the files of the manifest. */
async function readExport(directory: string): Promise<Found> {
  const storage = await openDirectory(directory);
  const manifest = parseManifest(await readFile(join(directory, 'manifest.json'), 'utf8'), directory);
  const readTable = async (table: 'events' | 'verdict_changes', columns: readonly string[]): Promise<unknown[][]> => {
    const all: unknown[][] = [];
    for (const { path, rows } of manifest.files.filter((file) => file.table === table)) {
      const before = all.length;
      for await (const group of readRowGroups(await storage.open(path), columns)) all.push(...group);
      expect(all.length - before).toBe(rows);
    }
    return all;
  };
  const identity = (gen: unknown, off: unknown): string => `${(gen as Uint8Array).at(-1)}:${Number(off) / LINE}`;
  const events = (await readTable('events', ['verdict', 'gen', 'off'])).map(
    ([verdict, gen, off]) => [identity(gen, off), verdict as Verdict] as const,
  );
  const changes = (await readTable('verdict_changes', ['gen', 'off', 'changed_at', 'verdict'])).map(([gen, off, at, verdict]) => ({
    id: identity(gen, off),
    at: at as bigint,
    verdict: verdict as Verdict,
  }));
  const verdicts = new Map(events);
  for (const { id, verdict } of changes.toSorted((a, b) => Number(a.at - b.at))) verdicts.set(id, verdict);
  const known = new Set([...manifest.files, ...manifest.replaced].map(({ path }) => path));
  const unlisted = [...(await storage.list()).keys()].filter((path) => path !== 'manifest.json' && !known.has(path));
  return { ids: events.map(([id]) => id), changed: changes.map(({ id }) => id), verdicts, unlisted };
}
