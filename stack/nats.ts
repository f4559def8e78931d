import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import { natsOptions } from '../core/nats.ts';
import type { NatsServers } from '../core/nats-url.ts';
import { LEDGER_API, STREAM } from '../core/subjects.ts';
import { locate } from './debian.ts';
import { type NatsConf, natsConf } from '../operating/nats-conf.ts';
import { type Running, startProcess } from './process.ts';

export interface NatsOptions extends Omit<NatsConf, 'host'> {
  /** Default: loopback. */
  host?: string;
  runDir: string;
  name?: string;
  /**
   * The certificate of the authority that signed the certificate of the server. If the server uses TLS, the readiness check needs this
   * file.
   */
  caFile?: string;
  /** See ProcessSpec. */
  networkNamespace?: string | undefined;
  /** The program, if it is not the usual one. */
  command?: string | undefined;
}

/**
 * Starts nats-server with JetStream. Resolves once JetStream responds. A member of a cluster can respond only while more than half of the members
 * run. So the first members must be started at the same time.
 */
export async function startNats(options: NatsOptions): Promise<Running> {
  const { host = '127.0.0.1', runDir, name = 'nats', caFile = '', command, networkNamespace, ...conf } = options;
  await mkdir(runDir, { recursive: true, mode: 0o700 });
  const configPath = join(runDir, `${name}.conf`);
  await writeFile(configPath, natsConf({ host, ...conf }), { mode: 0o600 });
  return startProcess({
    name,
    command: command ?? (await locate('nats-server')),
    args: ['-c', configPath],
    stopSignal: 'SIGTERM',
    runDir,
    networkNamespace,
    ready: () => isReady({ host, ...conf }, caFile),
  });
}

/**
 * Returns whether JetStream responds. If the stream does not exist yet, JetStream responds with an error, which also counts as a response.
 */
async function isReady(
  { host, port, passwords, tls }: Pick<NatsConf, 'host' | 'port' | 'passwords' | 'tls'>,
  caFile: string,
): Promise<boolean> {
  const servers: NatsServers = { servers: [`${host}:${port}`], user: 'analyst', password: passwords.analyst, tls: tls !== undefined };
  const connection = await connect({ ...natsOptions(servers, caFile), reconnect: false, timeout: 1_000 });
  const reply = await connection.request(`${LEDGER_API}.STREAM.INFO.${STREAM}`, '', { timeout: 1_000 }).finally(() => connection.close());
  return reply.data.length > 0;
}
