import { createReadStream } from 'node:fs';
import { parseShards } from '../core/shards.ts';
import { createBatch } from '../log-agent/batch.ts';
import { createEnricher, readNetworks } from '../log-agent/enrich.ts';
import { readTable } from '../log-agent/network-table.ts';
import { scanLines } from '../log-agent/scan.ts';
import type { BenchSystem } from './system.ts';

const GEN = 'b'.repeat(32);

/** Splits the log into the batches that the agent would publish for one shard. */
export async function batchesOf(path: string, { system }: BenchSystem): Promise<Buffer[]> {
  const { fingerprint } = parseShards(system.env['SHARDS'] ?? '');
  const enricher = await createEnricher({ mmdbPath: '', networks: await readNetworks(), table: await readTable(), site: 't.example.org' });
  const payloads: Buffer[] = [];
  let offset = 0;
  const openBatch = () => createBatch({ gen: GEN, shard: 'a', shards: fingerprint, from: offset, startedMs: 0 });
  let batch = openBatch();
  let read = 0;
  let partialLine: Buffer = Buffer.alloc(0);
  const addLines = (bytes: Buffer): void =>
    scanLines(
      bytes,
      read,
      (off, parsed) => {
        // The previous line ends at this offset.
        offset = off;
        batch.extend(off);
        if (batch.full) {
          payloads.push(batch.payload());
          batch = openBatch();
        }
        if ('hit' in parsed) batch.addEvent(parsed.hit, off, enricher.enrich(parsed.hit, 'salt'));
      },
      () => {
        throw new Error('the fixture log has a torn line');
      },
    );
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    const bytes = Buffer.concat([partialLine, chunk as Buffer]);
    const end = bytes.lastIndexOf(10) + 1;
    addLines(bytes.subarray(0, end));
    read += end;
    partialLine = bytes.subarray(end);
  }
  batch.extend(read);
  payloads.push(batch.payload());
  return payloads;
}
