import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { chown, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Address } from '../support/raw-http.ts';
import { eventually } from '../support/servers.ts';
import { psqlCommand, root, rowsOf } from './composition.ts';

// Three hosts of docker-compose.cluster.yml on this machine. Each host is a Compose project with a loopback address of its own.

const run = promisify(execFile);
/** The user `node` of the image, which writes the settings. */
const NODE_USER = 1000;

export interface DockerHost {
  readonly project: string;
  readonly address: string;
  readonly edge: Address;
  /** Runs `docker compose …` for this host, and returns stdout. Rejects if the command fails. */
  compose: (...args: string[]) => Promise<string>;
  /** Waits until the health check of a service succeeds. */
  untilHealthy(service: string): Promise<void>;
  /** Deletes the databases of this host. Their container must have been removed. */
  deleteDatabases(): Promise<void>;
  /** Runs a query in a database of the server on this host, and returns the rows as text columns. */
  sql(database: string, query: string): Promise<string[][]>;
}

export interface DockerHosts {
  readonly hosts: readonly [DockerHost, DockerHost, DockerHost];
  /** The directory that the commands for authors see as /desk. */
  readonly desk: string;
  remove(): Promise<void>;
}

/** Prepares three hosts: builds the image and creates their settings. Starts nothing. */
export async function prepareHosts(settings: Readonly<Record<string, string>>): Promise<DockerHosts> {
  const directory = await mkdtemp(join(tmpdir(), 'clickledger-hosts-'));
  const [desk, settingsDir] = [join(directory, 'desk'), join(directory, 'settings')];
  const name = `clickledger-hosts-${process.pid}`;
  const image = `${name}-image`;
  const network = `127.${randomInt(10, 250)}.${randomInt(250)}`;
  const addresses = [1, 2, 3].map((n) => `${network}.${n}`);
  await mkdir(desk);
  // The directories of the settings have the owner and mode that docs/operators.md gives them.
  for (const [path, mode] of [
    [settingsDir, 0o750],
    [join(settingsDir, 'postgres'), 0o755],
  ] as const) {
    await mkdir(path, { mode });
    await chown(path, NODE_USER, NODE_USER);
  }
  const createHost = (n: number): DockerHost => {
    const address = addresses[n - 1] as string;
    const project = `${name}-${n}`;
    const env = {
      ...process.env,
      CLICKLEDGER_IMAGE: image,
      NAME: `n${n}`,
      HOST: address,
      LISTEN: `${address}:8080`,
      ...Object.fromEntries(addresses.map((each, i) => [`HOST_${i + 1}`, each])),
      BASE_URL: `http://${addresses[0]}:8080`,
      SETTINGS: settingsDir,
      DESK: desk,
      DESK_USER: String(process.getuid?.()),
      ...settings,
    };
    const host: DockerHost = {
      project,
      address,
      edge: { host: address, port: 8080 },
      async compose(...args) {
        const all = ['compose', '-f', 'docker-compose.cluster.yml', '-p', project, ...args];
        return (await run('docker', all, { cwd: root, env, maxBuffer: 64 * 1024 * 1024 })).stdout;
      },
      async untilHealthy(service) {
        const format = '{{.State.Health.Status}}';
        const isHealthy = async (): Promise<boolean> => {
          const id = (await host.compose('ps', '-q', service)).trim();
          return (await run('docker', ['inspect', '--format', format, id])).stdout.trim() === 'healthy';
        };
        await eventually(`${service} of ${address} is healthy`, isHealthy, 120_000);
      },
      async deleteDatabases() {
        await run('docker', ['volume', 'rm', `${project}_postgres`]);
      },
      async sql(database, query) {
        return rowsOf(await host.compose('exec', '-T', 'postgres', ...psqlCommand(database, query)));
      },
    };
    return host;
  };
  const hosts = [createHost(1), createHost(2), createHost(3)] as const;
  const all: DockerHosts = {
    hosts,
    desk,
    async remove() {
      for (const { compose } of hosts)
        await compose('--profile', 'commands', 'down', '--volumes', '--remove-orphans', '--timeout', '5').catch(() => {});
      await run('docker', ['image', 'rm', '--force', image]);
      await rm(directory, { recursive: true, force: true });
    },
  };
  try {
    await hosts[0].compose('build', 'init');
    await hosts[0].compose('run', '--rm', '-T', 'init');
  } catch (error) {
    await all.remove();
    throw error;
  }
  return all;
}
