import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { natsUrlWithCredentials, parseNatsUrl, type NatsServers } from '../../core/nats-url.ts';
import { migrate } from '../../sql/migrate.ts';
import { type Member, migrationSettings } from '../../stack/system.ts';
import type { Address } from '../support/raw-http.ts';
import { linkLogs, recordCrash, restart } from '../chaos/world.ts';
import { createDatabases, type Databases, killWithChildren } from './databases.ts';
import { createHost, type Host } from './hosts.ts';
import { createNetwork, type Network, unmountBelow } from './network.ts';
import { clusterSettings, PORTS } from './settings.ts';

// Three hosts with the whole system, and what the faults need.

const HOSTS = [1, 2, 3] as const;

export interface Cluster {
  readonly system: { readonly env: Readonly<Record<string, string>> };
  readonly shardsText: string;
  readonly keepDirs: readonly string[];
  readonly network: Network;
  readonly databases: Databases;
  readonly hosts: readonly Host[];
  /** Hosts are numbered from 1. */
  host(number: number): Host;
  readonly members: readonly Member[];
  readonly edges: readonly Address[];
  /** The NATS servers with the user who has all permissions. */
  readonly operator: NatsServers;
  /** Runs a fault during which requests to the nginx of a host may fail. */
  whileExcused<T>(host: number, work: () => Promise<T>): Promise<T>;
  /** Whether requests to an edge (numbered from 0) may have failed at any time since `sinceMs`. */
  isExcused(edge: number, sinceMs: number): boolean;
  /** Kills these members at once. Records those that have crashed before. */
  kill(members: readonly Member[]): Promise<void>;
  /** Starts members that were stopped. Retries, because a member may need others that are still starting. */
  start(members: readonly Member[]): Promise<void>;
  readonly crashed: string[];
  recordCrashes(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a cluster. Throws NoNetwork if this machine cannot have one. */
export async function createCluster(dataDir: string, progress: (text: string) => void): Promise<Cluster> {
  const network = await createNetwork(HOSTS.length, dataDir);
  // Network and disks go also if this process ends early. The kernel ends the processes.
  const removeAll = (): void => {
    network.removeNow();
    unmountBelow(dataDir);
  };
  process.on('exit', removeAll);

  const addresses = HOSTS.map((host) => network.address(host));
  const settings = clusterSettings(addresses);
  const runDir = join(dataDir, 'run');
  const databases = await createDatabases({ network, hosts: HOSTS, dataDir, runDir, ownerPassword: settings.ownerPassword });
  const hosts: Host[] = [];
  for (const number of HOSTS) hosts.push(await createHost({ number, hosts: HOSTS, network, settings, databases, dataDir, runDir }));
  const members = hosts.flatMap((host) => host.members);
  const keepDirs = hosts.map((host) => host.keepDir);
  for (const { logDir } of hosts) await mkdir(logDir, { recursive: true });
  const logLinks = linkLogs(
    hosts.map((host) => host.logDir),
    keepDirs,
  );
  const excused = new Map<number, number>();
  const operatorUrl = natsUrlWithCredentials(settings.env['WORKER_NATS_URL'] ?? '', 'operator', settings.natsOperatorPassword);

  const cluster: Cluster = {
    system: { env: settings.env },
    shardsText: settings.env['SHARDS'] ?? '',
    keepDirs,
    network,
    databases,
    hosts,
    host: (number) => hosts[number - 1] as Host,
    members,
    edges: addresses.map((host) => ({ host, port: PORTS.nginx })),
    operator: parseNatsUrl(operatorUrl),
    async whileExcused(host, work) {
      excused.set(host - 1, Number.POSITIVE_INFINITY);
      try {
        return await work();
      } finally {
        // Requests in flight may fail for a moment longer.
        excused.set(host - 1, performance.now() + 300);
      }
    },
    isExcused: (edge, sinceMs) => (excused.get(edge) ?? Number.NEGATIVE_INFINITY) >= sinceMs,
    async kill(killed) {
      for (const member of killed) await recordCrash(member, cluster.crashed);
      await Promise.all(killed.flatMap(({ running }) => (running ? [killWithChildren(running)] : [])));
      for (const member of killed) member.running = undefined;
    },
    async start(started) {
      await Promise.all(started.map((member) => restart(member)));
    },
    crashed: [],
    async recordCrashes() {
      for (const member of members) await recordCrash(member, cluster.crashed);
    },
    async stop() {
      await logLinks.stop();
      // Each host is stopped in the reverse order of its start.
      await Promise.all(
        hosts.map(async (host) => {
          for (const member of host.members.toReversed()) await member.running?.stop();
        }),
      );
      unmountBelow(dataDir);
      await network.remove();
      process.off('exit', removeAll);
    },
  };

  try {
    progress('starting Postgres: a primary and two standbys');
    await cluster.host(databases.primary).postgres.start();
    await migrate(migrationSettings(settings.env));
    await Promise.all([
      ...HOSTS.filter((host) => host !== databases.primary).map((host) => databases.rejoin(host)),
      ...hosts.map((host) => host.nats.start()),
    ]);
    await databases.untilStreaming();
    progress('starting the parts of three hosts');
    await Promise.all(hosts.flatMap((host) => [host.worker, host.backend, host.nginx, host.agent]).map((member) => member.start()));
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  return cluster;
}
