import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { createJetStreamManager } from '../../core/nats.ts';
import { natsUrlWithCredentials } from '../../core/nats-url.ts';
import type { NatsRole } from '../../operating/nats-conf.ts';
import { type NatsOptions, startNats } from '../../stack/nats.ts';
import { freePort } from '../../stack/ports.ts';
import type { Running } from '../../stack/process.ts';
import { eventually, natsConnection, temporaryDirectory } from './servers.ts';

/** A server of a cluster on loopback. */
export interface ClusterMember {
  readonly name: string;
  readonly storeDir: string;
  running: () => Running;
  /** Starts the server again after it was stopped or killed, on the same ports. `command` is another program, for example a newer version. */
  start: (command?: string) => Promise<void>;
  /** Deletes what a stopped server has stored. */
  wipe: () => Promise<void>;
}

export interface TestCluster {
  members: readonly ClusterMember[];
  member: (name: string) => ClusterMember;
  /** The URLs of all members, or of some of them, for a user with all permissions. */
  url: (...names: string[]) => string;
  /** The same for the user of a part. */
  urlOf: (role: NatsRole, ...names: string[]) => string;
}

const PASSWORDS: Readonly<Record<NatsRole, string>> = { agent: 'of-the-agent', worker: 'of-the-worker', analyst: 'of-the-analyst' };
const OPERATOR_PASSWORD = 'of-the-operator';

/** Starts three nats-servers as one cluster. `routeTls` are the certificates of the routes. `storeDirs` has stores in other places, by name. */
export async function startTestCluster(
  options: {
    tls?: NatsOptions['tls'];
    caFile?: string;
    routeTls?: { certificate: string; key: string; ca: string };
    storeDirs?: Readonly<Record<string, string>>;
    command?: string;
  } = {},
): Promise<TestCluster> {
  const directory = await temporaryDirectory();
  const names = ['n1', 'n2', 'n3'];
  const ports = new Map<string, number>();
  const routes = new Map<string, string>();
  for (const name of names) {
    ports.set(name, await freePort());
    routes.set(name, `127.0.0.1:${await freePort()}`);
  }
  const members = names.map((name) => createMember(name));
  await Promise.all(members.map((member) => member.start()));
  await untilComplete();

  /** A server is ready before the leader of the cluster knows all others. Until then, a stream with three replicas is refused. */
  async function untilComplete(): Promise<void> {
    const connection = await natsConnection(urlAs('operator', OPERATOR_PASSWORD, []), options.caFile);
    const manager = await createJetStreamManager(connection);
    await eventually('the servers accept a stream with three replicas', () =>
      manager.streams.add({ name: 'COMPLETE', subjects: ['complete'], num_replicas: names.length }).then(
        () => true,
        () => false,
      ),
    );
    await manager.streams.delete('COMPLETE');
    await connection.close();
  }

  function createMember(name: string): ClusterMember {
    const storeDir = options.storeDirs?.[name] ?? join(directory, 'store', name);
    let running: Running;
    onTestFinished(async () => {
      // A stopped process would not handle the stop signal.
      running?.signal('SIGCONT');
      await running?.kill();
    });
    return {
      name,
      storeDir,
      running: () => running,
      async start(command = options.command) {
        running = await startNats({
          name,
          command,
          storeDir,
          runDir: join(directory, 'run'),
          port: ports.get(name) as number,
          passwords: PASSWORDS,
          operatorPassword: OPERATOR_PASSWORD,
          tls: options.tls,
          ...(options.caFile === undefined ? {} : { caFile: options.caFile }),
          cluster: { name, routes, password: 'of-the-routes', tls: options.routeTls },
        });
      },
      wipe: () => rm(storeDir, { recursive: true, force: true }),
    };
  }

  function urlAs(user: string, password: string, wanted: string[]): string {
    const scheme = options.tls ? 'tls' : 'nats';
    const urls = (wanted.length === 0 ? names : wanted).map((name) => `${scheme}://127.0.0.1:${ports.get(name)}`);
    return natsUrlWithCredentials(urls.join(), user, password);
  }
  return {
    members,
    member: (name) => members.find((member) => member.name === name) as ClusterMember,
    url: (...wanted) => urlAs('operator', OPERATOR_PASSWORD, wanted),
    urlOf: (role, ...wanted) => urlAs(role, PASSWORDS[role], wanted),
  };
}
