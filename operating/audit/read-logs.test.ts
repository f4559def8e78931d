import { truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { parseShards } from '../../core/shards.ts';
import { logLine } from '../../test/support/log-lines.ts';
import { temporaryDirectory } from '../../test/support/servers.ts';
import { readBytes, readLogDirectories } from './read-logs.ts';

const shards = parseShards('a=00=postgres://127.0.0.1/a,b=V0=postgres://127.0.0.1/b');

test('an audit reads the same logs as the agent, whatever they are compressed with, and however long a line is', async () => {
  const directory = await temporaryDirectory();
  const add = async (name: string, bytes: Buffer): Promise<void> => {
    await writeFile(join(directory, name), bytes);
    await utimes(join(directory, name), 1, 1);
  };
  const line = (t: number): Buffer => Buffer.from(logLine({ t }));
  const zeros = Buffer.alloc(20_000_000);
  await add('access.log', line(1_790_000_009));
  await add('access.log.1', line(1_790_000_008));
  await add('access.log.2', Buffer.concat([zeros, Buffer.from('\n'), line(1_790_000_007), zeros, line(1_790_000_006)]));
  await add('access.log.3.gz', Buffer.concat([gzipSync(line(1_790_000_005)), gzipSync(zeros), gzipSync(line(1_790_000_004))]));
  await add('access.log.4.zst', Buffer.concat([zstdCompressSync(line(1_790_000_003)), zstdCompressSync(line(1_790_000_002))]));
  await add('access.log.5.xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 1, 2]));
  await add('access.log.6', Buffer.alloc(0));
  await truncate(join(directory, 'access.log.6'), 30_000_000);
  await utimes(join(directory, 'access.log.6'), 0, 0);

  const { logs, close } = await readLogDirectories([directory], shards);
  const found = [...logs.values()].map(({ generation, end, hits, dead }) => ({
    size: generation.size,
    end,
    hits: hits.get('a') ?? 0,
    dead,
  }));
  const size = line(1_790_000_001).length;
  expect(found.sort((a, b) => a.size - b.size)).toEqual(
    [
      { size, hits: 1, dead: 0 },
      { size, hits: 1, dead: 0 },
      { size: 2 * size, hits: 2, dead: 0 },
      { size: 2 * size + zeros.length, hits: 2, dead: 1 },
      { size: 30_000_000, hits: 0, dead: 1 },
      { size: 2 * size + 2 * zeros.length + 1, hits: 2, dead: 2 },
    ].map((one) => ({ ...one, end: one.size })),
  );
  const [gen] = [...logs].find(([, { generation }]) => generation.size === 2 * size + zeros.length) ?? [];
  expect(await readBytes(logs, gen as string, size, 80)).toEqual(Buffer.alloc(80));
  await close();
});
