import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { randomInt } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { DockerComposeEnvironment, getContainerRuntimeClient, Wait } from 'testcontainers';
import { freePort } from '../../stack/ports.ts';
import { eventually } from '../support/servers.ts';

/** The directory of the Compose files. */
export const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

/** The reason why no containers can be started, or an empty string if Docker and Compose are available. */
export async function missingEngineReason(): Promise<string> {
  try {
    await run('docker', ['version']);
    await run('docker', ['compose', 'version']);
    await getContainerRuntimeClient();
    return '';
  } catch (error) {
    const { message, stderr = '' } = error as Error & { stderr?: string };
    return `no Docker engine with Compose answers: ${(stderr.trim() || message).split('\n').at(-1)}`;
  }
}

/** The services that keep running. */
export const SERVICES = ['postgres', 'nats', 'event-worker', 'backend-1', 'backend-2', 'nginx', 'log-agent'] as const;
export type Service = (typeof SERVICES)[number];

export interface Composition {
  project: string;
  image: string;
  /** The port of nginx on loopback. */
  port: number;
  /** A directory on this machine. In the containers of the commands for authors it is mounted as /desk. */
  desk: string;
  client: Awaited<ReturnType<typeof getContainerRuntimeClient>>;
  /** Runs `docker compose …` and returns stdout. Rejects if the command fails. */
  compose: (...args: string[]) => Promise<string>;
  /** Runs `docker …` and returns stdout. */
  docker: (...args: string[]) => Promise<string>;
  /** Runs a command for authors. */
  clickledger: (...args: string[]) => Promise<string>;
  /** Runs a command for operators. */
  operator: (...args: string[]) => Promise<string>;
  /** The current container of a service. */
  container: (service: string) => Promise<ReturnType<Composition['client']['container']['getById']>>;
  /** Runs a command in the container of a service. */
  exec: (service: string, ...command: string[]) => Promise<{ exitCode: number; output: string }>;
  /** Runs a query in a database and returns the rows as text columns. */
  sql: (database: string, query: string) => Promise<string[][]>;
  untilHealthy: (...services: Service[]) => Promise<void>;
  down: () => Promise<void>;
}

/** The command that prints the rows of a query for `rowsOf`. */
export const psqlCommand = (database: string, query: string): string[] => [
  'psql',
  '-U',
  'clickledger_owner',
  '-At',
  '-F',
  '\t',
  '-d',
  database,
  '-c',
  query,
];

/** The rows in the output of `psqlCommand`, as text columns. */
export const rowsOf = (output: string): string[][] => output.split('\n').flatMap((line) => (line === '' ? [] : [line.split('\t')]));

/** Runs `docker compose up` with separate volumes, networks and ports. */
export async function composeUp(settings: Record<string, string>): Promise<Composition> {
  const client = await getContainerRuntimeClient();
  const project = `clickledger-test-${process.pid}`;
  const image = `${project}-image`;
  const port = await freePort();
  const desk = await mkdtemp(join(tmpdir(), 'clickledger-desk-'));
  const environment = {
    CLICKLEDGER_IMAGE: image,
    LISTEN: `127.0.0.1:${port}`,
    BASE_URL: `http://127.0.0.1:${port}`,
    NETWORK: `10.${randomInt(200, 255)}.${randomInt(256)}`,
    DESK: desk,
    DESK_USER: String(process.getuid?.()),
    ...settings,
  };

  const docker = async (...args: string[]): Promise<string> => {
    const { stdout } = await run('docker', args, { cwd: root, env: { ...process.env, ...environment }, maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  };
  const compose = (...args: string[]) => docker('compose', '-p', project, ...args);
  const container: Composition['container'] = async (service) => {
    const label = [`com.docker.compose.project=${project}`, `com.docker.compose.service=${service}`];
    const [found] = await client.container.dockerode.listContainers({ all: true, filters: { label } });
    if (!found) throw new Error(`there is no container of ${service}`);
    return client.container.getById(found.Id);
  };
  const exec: Composition['exec'] = async (service, ...command) => client.container.exec(await container(service), command);
  const composition: Composition = {
    project,
    image,
    port,
    desk,
    client,
    compose,
    docker,
    container,
    exec,
    clickledger: (...args) => compose('run', '--rm', '-T', 'clickledger', ...args),
    operator: (...args) => compose('run', '--rm', '-T', 'operator', ...args),
    async sql(database, query) {
      const { exitCode, output } = await exec('postgres', ...psqlCommand(database, query));
      if (exitCode !== 0) throw new Error(output);
      return rowsOf(output);
    },
    async untilHealthy(...services) {
      for (const service of services)
        await eventually(
          `${service} is healthy`,
          async () => (await (await container(service)).inspect()).State.Health?.Status === 'healthy',
          60_000,
        );
    },
    async down() {
      await compose('--profile', 'commands', 'down', '--volumes', '--remove-orphans', '--timeout', '5');
      await docker('image', 'rm', '--force', image);
      await rm(desk, { recursive: true, force: true });
    },
  };
  try {
    // `down` removes everything, so the container that testcontainers starts for clean-up is not needed.
    await new DockerComposeEnvironment(root, 'docker-compose.yml')
      .withProjectName(project)
      .withEnvironment(environment)
      .withBuild()
      .withAutoCleanup(false)
      .withDefaultWaitStrategy(Wait.forHealthCheck())
      .up();
  } catch (error) {
    process.stderr.write(await compose('logs', '--tail', '20').catch(String));
    await composition.down();
    throw error;
  }
  return composition;
}
