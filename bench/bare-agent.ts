import { createReadStream } from 'node:fs';
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { natsOptions } from '../core/nats.ts';
import { parseNatsUrl } from '../core/nats-url.ts';

// The baseline of the agent bench. It runs in a separate process: it splits a log into lines, and publishes them unchanged in messages of
// 64 KiB, to the subjects in turn. It starts when the parent process says so, and tells it when JetStream has all of them.

const [url, path, ...subjects] = process.argv.slice(2) as [string, string, ...string[]];
const MESSAGE_BYTES = 64 * 1024;
const MAX_UNACKED = 128;

const connection = await connect(natsOptions(parseNatsUrl(url)));
const client = jetstream(connection);
const unacked = new Set<Promise<unknown>>();
let messages = 0;
let lines = 0;

async function publish(payload: Buffer): Promise<void> {
  const published = client.publish(subjects[messages++ % subjects.length] as string, payload).finally(() => unacked.delete(published));
  unacked.add(published);
  while (unacked.size >= MAX_UNACKED) await Promise.race(unacked);
}

process.once('message', async () => {
  let rest = Buffer.alloc(0);
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    const bytes = Buffer.concat([rest, chunk as Buffer]);
    let start = 0;
    let end = 0;
    for (let newline = bytes.indexOf(10); newline >= 0; newline = bytes.indexOf(10, end)) {
      if (newline + 1 - start > MESSAGE_BYTES) {
        await publish(bytes.subarray(start, end));
        start = end;
      }
      end = newline + 1;
      lines++;
    }
    await publish(bytes.subarray(start, end));
    rest = bytes.subarray(end);
  }
  await Promise.all(unacked);
  process.send?.(lines);
  await connection.close();
  process.disconnect();
});
process.send?.('ready');
