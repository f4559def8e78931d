import { execFileSync } from 'node:child_process';
import { appendFile, mkdir, open, readdir, readFile, rename, rm, stat, truncate, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { createLogger } from '../core/log.ts';
import { logLine } from '../test/support/log-lines.ts';
import { runs } from '../test/support/runs.ts';
import { eventually, temporaryDirectory } from '../test/support/servers.ts';
import { Follower } from './follow.ts';
import type { LedgerClient, ShardState } from './ledger-client.ts';
import { copyName, createMirror, type Mirror } from './mirror.ts';

// Tests copies of logs against the bytes that were written to the logs.

/** The answer of a ledger that has these bytes of some generations. The agent asks a worker for it. */
const ledgersWith = (committed: Readonly<Record<string, number>>): LedgerClient => ({
  ask: () =>
    Promise.resolve({
      incarnation: '',
      progress: { last: 0, acked: 0 } as unknown as ShardState['progress'],
      generations: Object.fromEntries(Object.entries(committed).map(([gen, size]) => [gen, { committed: [[0, size]], size }])),
    } as ShardState),
});

/** A log directory and the directory of its copies, with an agent's follower and mirror that can be restarted. */
class Host {
  readonly logDir: string;
  readonly mirrorDir: string;
  readonly now: () => number;
  committed: Record<string, number> = {};
  follower: Follower;
  mirror: Mirror;
  /** All bytes of each log, by the number of the log. */
  readonly written: Buffer[] = [Buffer.alloc(0)];

  constructor(directory: string, now: () => number = Date.now) {
    this.logDir = join(directory, 'logs');
    this.mirrorDir = join(directory, 'mirror');
    this.now = now;
    [this.follower, this.mirror] = this.#start();
  }

  #start(): [Follower, Mirror] {
    const follower = new Follower({ directory: this.logDir, quietMs: 0 });
    const mirror = createMirror({
      directory: this.mirrorDir,
      logs: follower,
      ledgers: { ask: (...query) => ledgersWith(this.committed).ask(...query) },
      shards: ['a', 'b'],
      log: createLogger('test', 'silent'),
      keepLogsMs: 1000,
      now: this.now,
    });
    return [follower, mirror];
  }

  async restart(): Promise<void> {
    await this.follower.close();
    [this.follower, this.mirror] = this.#start();
  }

  async append(bytes: Buffer): Promise<void> {
    await appendFile(join(this.logDir, 'access.log'), bytes);
    this.written.push(Buffer.concat([this.written.pop() as Buffer, bytes]));
  }

  async rotate(compress: boolean): Promise<void> {
    const path = join(this.logDir, `access.log.${this.written.length}`);
    await rename(join(this.logDir, 'access.log'), path).catch(() => {});
    this.written.push(Buffer.alloc(0));
    if (!compress) return;
    const bytes = await readFile(path).catch(() => Buffer.alloc(0));
    if (bytes.length === 0) return;
    await writeFile(`${path}.gz`, gzipSync(bytes));
    await utimes(`${path}.gz`, 1, 1);
    await unlink(path);
  }

  /** Scans as an agent does, and copies. */
  async copy(): Promise<void> {
    await this.follower.scan();
    while (await this.follower.identify());
    await this.mirror.copyAll();
  }

  /** While a log may grow, its copy ends after a line, or within one that is too long to be a hit. */
  async assertWholeLines(): Promise<void> {
    // The directory may be away.
    const copies = await this.copies().catch(() => new Map<string, Buffer>());
    for (const { id, final } of this.follower.generations) {
      const bytes = copies.get(copyName(id)) ?? Buffer.alloc(0);
      const torn = bytes.length - bytes.lastIndexOf('\n') - 1;
      if (!final) expect(torn === 0 || torn > 256 * 1024).toBe(true);
    }
  }

  /** Reads the copies, by their names. */
  async copies(): Promise<Map<string, Buffer>> {
    const names = (await readdir(this.mirrorDir)).filter((name) => name.startsWith('access.log-')).sort();
    return new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(this.mirrorDir, name))] as const)));
  }
}

async function startHost(now?: () => number): Promise<Host> {
  const directory = await temporaryDirectory();
  await mkdir(join(directory, 'logs'));
  await mkdir(join(directory, 'mirror'));
  const host = new Host(directory, now);
  onTestFinished(() => host.follower.close());
  return host;
}

type Step =
  | { do: 'line' | 'torn' | 'newline' | 'copy' | 'restart' | 'tidy' }
  | { do: 'long'; bytes: number }
  | { do: 'rotate'; compress: boolean }
  | { do: 'shorten'; to: number }
  | { do: 'damage'; zeros: number }
  | { do: 'away' | 'back' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom<Step[]>({ do: 'line' }, { do: 'torn' }, { do: 'newline' }, { do: 'copy' }, { do: 'copy' }) },
  { weight: 2, arbitrary: fc.constantFrom<Step[]>({ do: 'restart' }, { do: 'tidy' }, { do: 'away' }, { do: 'back' }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('long' as const), bytes: fc.integer({ min: 1, max: 2_000_000 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('rotate' as const), compress: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('shorten' as const), to: fc.nat(400) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('damage' as const), zeros: fc.integer({ min: 1, max: 300 }) }) },
);

test('at the end a copy has exactly the bytes of its log, whatever happens to logs, agent and mirror', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const host = await startHost();
      const away = `${host.mirrorDir}-away`;
      let damaged = false;
      const put = (present: boolean) => rename(present ? away : host.mirrorDir, present ? host.mirrorDir : away).catch(() => {});
      const lastCopy = async (): Promise<string | undefined> => {
        const name = (await readdir(host.mirrorDir).catch(() => [])).filter((other) => other.startsWith('access.log-')).at(-1);
        return name === undefined ? undefined : join(host.mirrorDir, name);
      };
      for (const current of steps) {
        damaged ||= current.do === 'shorten' || current.do === 'damage';
        switch (current.do) {
          case 'line':
            await host.append(Buffer.from(logLine()));
            break;
          case 'torn':
            await host.append(Buffer.from(logLine().slice(0, 90)));
            break;
          case 'newline':
            await host.append(Buffer.from('\n'));
            break;
          case 'long':
            await host.append(Buffer.alloc(current.bytes, 'x'));
            break;
          case 'rotate':
            await host.rotate(current.compress);
            break;
          case 'restart':
            await host.restart();
            break;
          case 'copy':
            await host.copy().catch(() => {});
            if (!damaged) await host.assertWholeLines();
            break;
          case 'tidy':
            await host.mirror.tidy().catch(() => {});
            break;
          case 'away':
          case 'back':
            await put(current.do === 'back');
            break;
          case 'shorten': {
            // The host of the mirror lost the last writes.
            const path = await lastCopy();
            if (path !== undefined && (await stat(path)).size > current.to) await truncate(path, current.to);
            break;
          }
          case 'damage': {
            // The same, but the file has zeros in their place. The agent finds that when it checks the copy after a restart.
            const path = await lastCopy();
            if (path === undefined) break;
            const { size } = await stat(path);
            const file = await open(path, 'r+');
            await file.write(
              Buffer.alloc(Math.min(size, current.zeros)),
              0,
              Math.min(size, current.zeros),
              Math.max(0, size - current.zeros),
            );
            await file.close();
            await host.restart();
          }
        }
      }
      await put(true);
      // The live log may have no line with a request id yet. A log without one is identified when it is final.
      await host.rotate(false);
      for (const _ of [1, 2]) {
        await host.append(Buffer.from(logLine({ t: Date.now() / 1000 + 60 })));
        await host.rotate(false);
      }
      await eventually('all bytes are copied', async () => {
        await host.mirror.tidy();
        await host.copy();
        return host.mirror.lagBytes() === 0;
      });
      const expected = host.written.filter((bytes) => bytes.length > 0).map((bytes) => bytes.toString('latin1'));
      const copied = new Set([...(await host.copies()).values()].map((bytes) => bytes.toString('latin1')));
      // The texts are long, so they are not compared in a way that would print them.
      expect(expected.map((text) => copied.has(text))).toEqual(expected.map(() => true));
      expect([...copied].map((text) => expected.includes(text))).toEqual([...copied].map(() => true));
      expect([...(await host.copies()).keys()]).toEqual(host.follower.generations.map(({ id }) => copyName(id)).toSorted());
    }),
    runs(40),
  );
});

test('a copy that is longer than its log is kept, and named as long as its rest is not counted', async () => {
  const host = await startHost();
  await host.append(Buffer.from(logLine() + logLine()));
  await host.copy();
  const [[name, bytes] = ['', Buffer.alloc(0)]] = await host.copies();
  // A power failure took the second line, which the mirror has.
  await truncate(join(host.logDir, 'access.log'), bytes.length / 2);
  await host.restart();
  await host.copy();
  expect((await host.copies()).get(name)).toEqual(bytes);
  await host.mirror.tidy();
  expect(host.mirror.problems()).toMatchObject([{ code: 'mirror-unshipped', about: name }]);
  host.committed = { [name.slice('access.log-'.length)]: bytes.length };
  await host.mirror.tidy();
  expect(host.mirror.problems()).toEqual([]);
});

test('a copy is deleted when its log is gone, all shards have it, and it is old', async () => {
  let time = Date.now();
  const host = await startHost(() => time);
  await host.append(Buffer.from(logLine()));
  await host.copy();
  const gen = host.follower.generations[0]?.id as string;
  const kept = async () => {
    await host.mirror.tidy();
    return (await host.copies()).has(copyName(gen));
  };
  host.committed = { [gen]: host.written[0]?.length as number };
  time += 10_000;
  expect(await kept()).toBe(true);
  await rm(host.logDir, { recursive: true });
  await mkdir(host.logDir);
  await host.restart();
  host.committed = { [gen]: 10 };
  expect(await kept()).toBe(true);
  expect(host.mirror.problems()).toMatchObject([{ code: 'mirror-unshipped', about: copyName(gen) }]);
  host.committed = { [gen]: host.written[0]?.length as number };
  time -= 10_000;
  expect(await kept()).toBe(true);
  time += 10_000;
  expect(await kept()).toBe(false);
});

test('a copy never ends inside a line while its log may grow', async () => {
  const host = await startHost();
  const line = logLine();
  const copied = async () => {
    await host.copy();
    return [...(await host.copies()).values()].map(String);
  };
  const first = logLine();
  await host.append(Buffer.from(first + line.slice(0, 90)));
  expect(await copied()).toEqual([first]);
  await host.append(Buffer.from(line.slice(90, -1)));
  expect(await copied()).toEqual([first]);
  await host.append(Buffer.from('\n{"v":2,'));
  expect(await copied()).toEqual([first + line]);
  // Nothing completes the last line of a final log.
  for (const seconds of [60, 120]) {
    await host.rotate(false);
    await host.append(Buffer.from(logLine({ t: Date.now() / 1000 + seconds })));
  }
  await host.rotate(true);
  expect(await copied()).toContain(`${first + line}{"v":2,`);
  expect(host.mirror.lagBytes()).toBe(0);
});

test('new hits do not wait for a copy of old logs, and the stop does not either', async () => {
  const host = await startHost();
  // A compressed log of this size takes many steps.
  const old = Buffer.concat([Buffer.from(logLine({ t: 1_700_000_000 })), Buffer.alloc(200_000_000, `${'x'.repeat(99)}\n`)]);
  await writeFile(join(host.logDir, 'access.log.1.gz'), gzipSync(old, { level: 1 }));
  await utimes(join(host.logDir, 'access.log.1.gz'), 1, 1);
  await host.append(Buffer.from(logLine()));
  await host.follower.scan();
  while (await host.follower.identify());
  const [oldGen = '', liveGen = ''] = host.follower.generations.map(({ id }) => id);
  const sizeOf = async (gen: string): Promise<number> =>
    (await stat(join(host.mirrorDir, copyName(gen))).catch(() => undefined))?.size ?? 0;
  const stop = new AbortController();
  const running = host.mirror.run(stop.signal);
  await eventually('the old log is being copied', async () => (await sizeOf(oldGen)) > 0);
  await host.append(Buffer.from(logLine()));
  await host.follower.scan();
  await eventually('the new hit is copied', async () => (await sizeOf(liveGen)) === host.written[0]?.length);
  expect(await sizeOf(oldGen)).toBeLessThan(old.length);
  stop.abort();
  await running;
  expect(await sizeOf(oldGen)).toBeLessThan(old.length);
});

test('a copy is not taken for one of a lost log before the agent knows its logs', async () => {
  let calls = 0;
  const host = await startHost(() => {
    calls++;
    return Date.now();
  });
  await host.append(Buffer.from(logLine()));
  await host.copy();
  const lost = copyName('0'.repeat(32));
  await writeFile(join(host.mirrorDir, lost), logLine());
  await host.restart();
  const stop = new AbortController();
  calls = 0;
  const running = host.mirror.run(stop.signal);
  // Each round asks for the time.
  await eventually('there were some rounds', () => calls > 5);
  expect(host.mirror.problems()).toEqual([]);
  await host.follower.scan();
  await eventually('the lost log is reported', () => host.mirror.problems().length > 0);
  expect(host.mirror.problems()).toMatchObject([{ code: 'mirror-unshipped', about: lost }]);
  stop.abort();
  await running;
});

test('bytes of a file that has become another generation are not copied', async () => {
  const host = await startHost();
  await host.append(Buffer.from(logLine() + logLine()));
  await host.follower.scan();
  const before = [...host.follower.generations];
  const other = logLine() + logLine() + logLine();
  await writeFile(join(host.logDir, 'access.log'), other);
  await host.follower.scan();
  // The mirror has asked for the generations before the file was replaced.
  const mirror = createMirror({
    directory: host.mirrorDir,
    logs: { generations: before, identified: true },
    ledgers: ledgersWith({}),
    shards: ['a'],
    log: createLogger('test', 'silent'),
    keepLogsMs: 1000,
  });
  await mirror.copyAll();
  expect(await host.copies()).toEqual(new Map());
  await host.copy();
  expect([...(await host.copies()).values()].map(String)).toEqual([other]);
});

test('a mirror that hangs or is missing is reported, and copies again afterwards', async () => {
  let time = Date.now();
  const host = await startHost(() => time);
  await host.append(Buffer.from(logLine()));
  await host.follower.scan();
  const gen = host.follower.generations[0]?.id as string;
  // Opening a pipe waits for a writer, as opening a file on a lost NFS server does.
  const pipe = join(host.mirrorDir, copyName(gen));
  execFileSync('mkfifo', [pipe]);
  const stop = new AbortController();
  const running = host.mirror.run(stop.signal);
  expect(host.mirror.problems()).toEqual([]);
  time += 61_000;
  expect(host.mirror.problems()).toMatchObject([{ code: 'mirror-behind' }]);
  expect(host.mirror.lagBytes()).toBe(host.written[0]?.length);
  await rename(host.mirrorDir, `${host.mirrorDir}-away`);
  await (await open(join(`${host.mirrorDir}-away`, copyName(gen)), 'r+')).close();
  await eventually('the missing directory is reported', () => host.mirror.problems()[0]?.what.includes('ENOENT') === true);
  await mkdir(host.mirrorDir);
  await eventually('all is copied', () => host.mirror.lagBytes() === 0 && host.mirror.problems().length === 0);
  expect((await host.copies()).get(copyName(gen))).toEqual(host.written[0]);
  stop.abort();
  await running;
});
