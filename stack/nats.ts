import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import { locate } from './debian.ts';
import { type Running, startProcess } from './process.ts';

export interface NatsOptions {
  /** Where JetStream keeps its streams. */
  storeDir: string;
  runDir: string;
  port: number;
  /** All streams together. Well under the disk: a full one wedges the server. */
  maxStoreMib?: number;
  name?: string;
}

/** Starts nats-server with JetStream on a loopback port. */
export async function startNats(options: NatsOptions): Promise<Running> {
  const { storeDir, runDir, port, maxStoreMib = 2048, name = 'nats' } = options;
  await mkdir(runDir, { recursive: true, mode: 0o700 });
  const configPath = join(runDir, `${name}.conf`);
  const config = `host: 127.0.0.1
port: ${port}
jetstream { store_dir: ${JSON.stringify(storeDir)}, max_memory_store: 64MB, max_file_store: ${maxStoreMib}MB }
`;
  await writeFile(configPath, config, { mode: 0o600 });
  return startProcess({
    name,
    command: await locate('nats-server'),
    args: ['-c', configPath],
    stopSignal: 'SIGTERM',
    runDir,
    ready: () => answers(port),
  });
}

async function answers(port: number): Promise<boolean> {
  const connection = await connect({ servers: `127.0.0.1:${port}`, reconnect: false, timeout: 1_000 });
  const reply = await connection.request('$JS.API.INFO', '', { timeout: 1_000 }).finally(() => connection.close());
  return reply.data.length > 0;
}
