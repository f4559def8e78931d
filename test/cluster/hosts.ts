import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { startNats } from '../../stack/nats.ts';
import { startNginx } from '../../stack/nginx.ts';
import { startPart } from '../../stack/part.ts';
import type { Running } from '../../stack/process.ts';
import type { Member } from '../../stack/system.ts';
import type { Databases } from './databases.ts';
import type { Network } from './network.ts';
import { type ClusterSettings, type Part, PORTS } from './settings.ts';

// The hosts of a cluster. Each host is a network namespace with one process of each part and server:
//
//   nginx ── log-agent      backend      event-worker      nats-server      Postgres

const run = promisify(execFile);

export interface Host {
  readonly number: number;
  /** The members in the order in which they are started. */
  readonly members: readonly Member[];
  readonly nginx: Member;
  readonly backend: Member;
  readonly agent: Member;
  readonly worker: Member;
  readonly nats: Member;
  readonly postgres: Member;
  readonly logDir: string;
  /** The directory with hard links to every log. */
  readonly keepDir: string;
  readonly natsDir: string;
  /** The directories above `logDir` and `natsDir` are small disks of their own. False if this machine can mount none. */
  readonly hasSmallDisks: boolean;
  /** Variables for nginx, the agent, the worker and the backend. A fault may change them. They are used at the next start. */
  variables: Readonly<Record<string, string>>;
}

export interface HostOptions {
  number: number;
  hosts: readonly number[];
  network: Network;
  settings: ClusterSettings;
  databases: Databases;
  dataDir: string;
  runDir: string;
}

/** Prepares the disks of a host. Starts nothing. */
export async function createHost(options: HostOptions): Promise<Host> {
  const { number, hosts, network, settings, databases, dataDir, runDir } = options;
  const directory = join(dataDir, `host-${number}`);
  const disks = [join(directory, 'edge'), join(directory, 'nats')] as const;
  const mounted = await Promise.all(disks.map(mountSmallDisk));
  const [logDir, keepDir, natsDir] = [join(disks[0], 'logs'), join(disks[0], 'keep'), join(disks[1], 'store')];
  await mkdir(keepDir, { recursive: true });
  const [address, networkNamespace] = [network.address(number), network.namespace(number)];

  const createMember = (name: string, startProcess: () => Promise<Running>): Member => {
    const member: Member = {
      name: `${name}-${number}`,
      running: undefined,
      async start() {
        member.running = await startProcess();
      },
    };
    return member;
  };
  const createPart = (part: Part, own: Record<string, string> = {}): Member =>
    createMember(part, () =>
      startPart({
        part,
        name: `${part}-${number}`,
        runDir,
        networkNamespace,
        env: {
          ...settings.env,
          STATE_DIR: join(dataDir, 'state', `${part}-${number}`),
          ADMIN_HOST: address,
          ADMIN_PORT: String(PORTS.admin[part]),
          ...own,
          ...host.variables,
        },
      }),
    );

  const postgres = databases.member(number);
  const nats = createMember('nats', () =>
    startNats({
      name: `nats-${number}`,
      host: address,
      port: PORTS.nats,
      runDir,
      storeDir: natsDir,
      maxStoreMib: 128,
      passwords: settings.natsPasswords,
      operatorPassword: settings.natsOperatorPassword,
      networkNamespace,
      cluster: {
        name: `nats-${number}`,
        routes: new Map(hosts.map((other) => [`nats-${other}`, `${network.address(other)}:${PORTS.natsRoutes}`])),
        password: settings.natsRoutePassword,
      },
    }),
  );
  const worker = createPart('event-worker');
  const backend = createPart('backend', { HOST: address, PORT: String(PORTS.backend) });
  // The first backend is the one of this host.
  const backends = [number, ...hosts.filter((other) => other !== number)].map((other) => `${network.address(other)}:${PORTS.backend}`);
  const nginx = createMember('nginx', () =>
    startNginx({
      name: `nginx-${number}`,
      logDir,
      runDir,
      host: address,
      port: PORTS.nginx,
      backendPorts: [],
      networkNamespace,
      env: {
        BACKENDS: backends.join(','),
        TRUSTED_PROXIES: '10.77.0.0/16',
        RATE_LIMIT: '10000',
        RATE_BURST: '10000',
        ...host.variables,
      },
    }),
  );
  const agent = createPart('log-agent', { LOG_DIR: logDir });
  const host: Host = {
    number,
    members: [postgres, nats, worker, backend, nginx, agent],
    nginx,
    backend,
    agent,
    worker,
    nats,
    postgres,
    logDir,
    keepDir,
    natsDir,
    hasSmallDisks: mounted.every(Boolean),
    variables: {},
  };
  return host;
}

/** The path of a file that fills the small disk of a directory. */
export const ballastOn = (directory: string): string => join(dirname(directory), 'ballast');

async function mountSmallDisk(directory: string): Promise<boolean> {
  await mkdir(directory, { recursive: true });
  return run('mount', ['-t', 'tmpfs', '-o', 'size=160m', 'tmpfs', directory]).then(
    () => true,
    () => false,
  );
}
