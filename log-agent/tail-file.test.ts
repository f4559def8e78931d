import { type FileHandle, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import Tail from 'tail-file';
import { describe, expect, test } from 'vitest';
import { logLine } from '../test/support/log-lines.ts';
import { eventually, temporaryDirectory } from '../test/support/servers.ts';
import { Follower } from './follow.ts';
import { splitLines } from './lines.ts';

// Shows why the agent does not use the npm package tail-file, which is good enough for watching a log. Both programs follow the same log
// during the same rotation.

const ridOf = (line: string): string => /"rid":"([0-9a-f]{32})"/.exec(line)?.[1] ?? '';

interface Log {
  path: string;
  /** Request ids of all complete lines. */
  rids: string[];
  /** Writes a line, by default to the current access.log. Returns its request id. */
  write: (text?: string, to?: FileHandle) => Promise<string>;
  live: FileHandle;
  /** Renames access.log and opens a new one. Returns the old descriptor, which a slow nginx worker still has open. */
  rotate: () => Promise<FileHandle>;
}

async function createLog(): Promise<Log> {
  const directory = await temporaryDirectory();
  const path = join(directory, 'access.log');
  let rotations = 0;
  let t = 1_790_000_000;
  const log: Log = {
    path,
    rids: [],
    live: await open(path, 'a'),
    async write(text = logLine({ t: t++ }), to = log.live) {
      await to.write(text);
      log.rids.push(ridOf(text));
      return ridOf(text);
    },
    async rotate() {
      const old = log.live;
      await rename(path, `${path}.${++rotations}`);
      log.live = await open(path, 'a');
      return old;
    },
  };
  return log;
}

/** Follows with tail-file: collects the lines that it emits. */
async function startTail(path: string, seen: string[]): Promise<Tail> {
  const tail = new Tail(path, { startPos: 'start' });
  tail.on('line', (line: string) => seen.push(line));
  await tail.startP();
  return tail;
}

/** Follows like the shipper: reads whole lines of every generation, starting at the offset where the last call stopped. */
async function followOn(follower: Follower, offsets: Map<string, number>, seen: string[]): Promise<void> {
  await follower.scan();
  for (const { id, size, source } of follower.generations) {
    for (let from = offsets.get(id) ?? 0; from < size; from = offsets.get(id) ?? 0) {
      const chunk = await source.read(from, size);
      if (chunk.kind !== 'lines') break;
      splitLines(
        chunk.bytes,
        chunk.from,
        ({ text }) => seen.push(text),
        () => {},
      );
      offsets.set(id, chunk.to);
    }
  }
}

const createFollower = (path: string) => new Follower({ directory: join(path, '..'), quietMs: 0 });

describe('an ordinary rotation', () => {
  test('tail-file loses what a slow worker writes after it, the follower does not', async () => {
    const log = await createLog();
    const [tailed, followed]: [string[], string[]] = [[], []];
    const follower = createFollower(log.path);
    const offsets = new Map<string, number>();

    const first = await log.write();
    const tail = await startTail(log.path, tailed);
    await eventually('tail-file has the first line', () => tailed.some((line) => line.includes(first)));
    await followOn(follower, offsets, followed);

    const old = await log.rotate();
    const fresh = await log.write();
    await eventually('tail-file has gone over to the new file', () => tailed.some((line) => line.includes(fresh)));
    const late = [await log.write(undefined, old), await log.write(undefined, old)];
    await old.close();
    const last = await log.write();
    // tail-file reads in order. So after it has emitted the last line, it emits no more lines of the old file.
    await eventually('tail-file has the last line', () => tailed.some((line) => line.includes(last)));
    await followOn(follower, offsets, followed);

    expect(followed.map(ridOf).sort()).toEqual(log.rids.toSorted());
    const lost = log.rids.filter((rid) => !tailed.map(ridOf).includes(rid));
    expect(lost).toEqual(late);
    await tail.stop();
    await follower.close();
    await log.live.close();
  });

  test('tail-file loses it across a restart, too: the follower only needs its offsets', async () => {
    const log = await createLog();
    const [tailed, followed]: [string[], string[]] = [[], []];
    const offsets = new Map<string, number>();

    const first = await log.write();
    let tail = await startTail(log.path, tailed);
    await eventually('tail-file has the first line', () => tailed.some((line) => line.includes(first)));
    let follower = createFollower(log.path);
    await followOn(follower, offsets, followed);

    await tail.stop();
    await follower.close();
    const between = [await log.write(), await log.write()];
    const old = await log.rotate();
    between.push(await log.write(undefined, old));
    await old.close();
    await log.write();

    tail = await startTail(log.path, tailed);
    const last = await log.write();
    await eventually('tail-file has the last line', () => tailed.some((line) => line.includes(last)));
    follower = createFollower(log.path);
    await followOn(follower, offsets, followed);

    expect(followed.map(ridOf).sort()).toEqual(log.rids.toSorted());
    expect(between.filter((rid) => tailed.map(ridOf).includes(rid))).toEqual([]);
    await tail.stop();
    await follower.close();
    await log.live.close();
  });

  test('tail-file alters bytes that are no UTF-8 and cannot say where a line is; the follower keeps every byte', async () => {
    const log = await createLog();
    const tailed: string[] = [];
    const [before, after] = logLine({ ua: '<>' }).split('<>') as [string, string];
    const bytes = Buffer.concat([Buffer.from(before), Buffer.from([0xff, 0xc3, 0x28]), Buffer.from(after)]);
    await log.live.write(bytes);
    const tail = await startTail(log.path, tailed);
    await eventually('tail-file has the line', () => tailed.length > 0);
    expect(Buffer.from(`${tailed[0]}\n`).equals(bytes)).toBe(false);

    const follower = createFollower(log.path);
    await follower.scan();
    const [generation] = follower.generations;
    const chunk = await generation?.source.read(0, generation.size);
    expect(chunk && 'bytes' in chunk && chunk.bytes.equals(await readFile(log.path))).toBe(true);
    await tail.stop();
    await follower.close();
    await log.live.close();
  });
});
