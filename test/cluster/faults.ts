import { rm, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseShards } from '../../core/shards.ts';
import { locate } from '../../stack/debian.ts';
import type { Member } from '../../stack/system.ts';
import { fillDisk } from '../chaos/faults.ts';
import type { Fault } from '../chaos/inject.ts';
import type { Random } from '../chaos/random.ts';
import { until } from './databases.ts';
import { ballastOn, type Host } from './hosts.ts';
import type { Direction } from './network.ts';
import type { Cluster } from './world.ts';

// All faults of a cluster. Each concerns one host, because three hosts survive the loss of one. If the host of a fault has the primary of
// Postgres, the fault may need a failover, which takes commits away that the standby did not have.

export interface ClusterParameters {
  host: number;
  /** Another host. */
  other: number;
  ms: number;
  hours: 1 | -1;
}

export function drawParameters(random: Random): ClusterParameters {
  const host = random.whole(1, 3);
  return {
    host,
    other: ((host + random.whole(0, 1)) % 3) + 1,
    ms: random.whole(1000, 3500),
    hours: random.pick([1, -1] as const),
  };
}

type ClusterFault = Fault<Cluster, ClusterParameters>;

/** A fault that needs the whole cluster for itself. */
function fault(name: string, run: ClusterFault['run']): ClusterFault {
  return { name, touches: () => ['cluster'], run };
}

const BOTH: readonly Direction[] = ['in', 'out'];
/** The time without the server of a host after which a manager of failovers acts. */
const DETECTION_MS = 1000;

/** Cuts a host off, runs `work`, and connects it again. */
async function whileCut<T>(cluster: Cluster, host: number, directions: readonly Direction[], work: () => Promise<T>): Promise<T> {
  return cluster.whileExcused(host, async () => {
    await cluster.network.cut(host, directions);
    try {
      return await work();
    } finally {
      await cluster.network.cut(host, []);
    }
  });
}

/** Promotes the foremost standby. Returns a remark with the events that it lacks of those in `committed`. Throws if it lacks none of them. */
async function failOver(cluster: Cluster, committed?: number): Promise<string> {
  const host = await cluster.databases.foremostStandby();
  await cluster.databases.promote(host);
  if (committed === undefined) return `host ${host} is the primary now`;
  const missing = committed - (await countEvents(cluster, host));
  if (missing <= 0) throw new Error(`host ${host} lacks no committed event, so this failover lost nothing`);
  return `host ${host} is the primary now; ${missing} committed events were gone`;
}

/** Lets a former primary be a primary for some time longer, while it can be reached. Returns a remark with the events that it accepted. */
async function endFormerPrimary(cluster: Cluster, host: number, ms: number): Promise<string> {
  const before = await countEvents(cluster, host);
  await sleep(ms);
  const accepted = (await countEvents(cluster, host)) - before;
  await cluster.databases.rejoin(host);
  await cluster.databases.untilStreaming();
  return `the former primary accepted ${accepted} events`;
}

/** The number of rows with hits, visits and goals in all shards, as the server of a host knows them. */
async function countEvents(cluster: Cluster, host: number): Promise<number> {
  const counts = parseShards(cluster.shardsText).list.map(async ({ name }) => {
    const [row] = await cluster.databases.query(
      host,
      `clickledger_shard_${name}`,
      'SELECT (SELECT count(*) FROM shard.event) + (SELECT count(*) FROM shard.site_event) AS n',
    );
    return Number(row?.['n']);
  });
  return (await Promise.all(counts)).reduce((sum, n) => sum + n, 0);
}

/** Restarts parts of a host with other variables, e.g. another clock. */
async function restartWith(cluster: Cluster, host: Host, members: readonly Member[], variables: Host['variables']): Promise<void> {
  host.variables = variables;
  await Promise.all(members.map((member) => restartOrderly(cluster, member)));
}

export const FAULTS: readonly ClusterFault[] = [
  fault('host-killed', async (cluster, { host, ms }) => {
    const { members, postgres } = cluster.host(host);
    const { databases } = cluster;
    return cluster.whileExcused(host, async () => {
      const wasPrimary = databases.primary === host;
      await cluster.network.cut(host, BOTH);
      await cluster.kill(members);
      let remark: string | undefined;
      if (wasPrimary) {
        await sleep(DETECTION_MS);
        remark = await failOver(cluster);
      }
      await sleep(ms);
      await cluster.network.cut(host, []);
      if (wasPrimary) await databases.rejoin(host);
      else await postgres.start();
      await cluster.start(members.filter((member) => member !== postgres));
      await databases.untilStreaming();
      return remark;
    });
  }),
  fault('host-cut-off', (cluster, { host, ms }) => whileCut(cluster, host, BOTH, () => sleep(ms + 2000))),
  fault('host-hears-nothing', (cluster, { host, ms }) => whileCut(cluster, host, ['in'], () => sleep(ms + 2000))),
  fault('host-is-not-heard', (cluster, { host, ms }) => whileCut(cluster, host, ['out'], () => sleep(ms + 2000))),
  fault('host-slow', (cluster, { host, ms }) =>
    cluster.whileExcused(host, async () => {
      const remark = await cluster.network.slow(host);
      try {
        await sleep(ms + 2000);
      } finally {
        await cluster.network.restore(host);
      }
      return remark;
    }),
  ),
  fault('two-hosts-cut-off', (cluster, { host, other, ms }) =>
    whileCut(cluster, host, BOTH, () => whileCut(cluster, other, BOTH, () => sleep(ms))),
  ),
  fault('clock-wrong', async (cluster, parameters) => {
    const host = cluster.host(parameters.host);
    const program = await locate('faketime').catch(() => undefined);
    if (program === undefined) return 'no faketime';
    const members = [host.nginx, host.agent, host.worker, host.backend];
    await cluster.whileExcused(parameters.host, async () => {
      const hours = `${parameters.hours > 0 ? '+' : ''}${parameters.hours}h`;
      // Timers must not jump, so only the time of day is another one.
      const variables = {
        LD_PRELOAD: faketimeLibrary(program),
        FAKETIME: hours,
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
        DONT_FAKE_MONOTONIC: '1',
      };
      await restartWith(cluster, host, members, variables);
    });
    await sleep(parameters.ms);
    await cluster.whileExcused(parameters.host, () => restartWith(cluster, host, members, {}));
    return `by ${parameters.hours} h`;
  }),
  fault('log-disk-full', async (cluster, { host: number, ms }) => {
    const host = cluster.host(number);
    if (!host.hasSmallDisks) return 'no small disk can be mounted';
    await withFullDisk(host.logDir, ms);
    return undefined;
  }),
  fault('nats-disk-full', async (cluster, { host: number, ms }) => {
    const host = cluster.host(number);
    if (!host.hasSmallDisks) return 'no small disk can be mounted';
    await withFullDisk(host.natsDir, ms);
    // nats-server 2.9 does not recover by itself when there is room again.
    await cluster.kill([host.nats]);
    await cluster.start([host.nats]);
    return undefined;
  }),
  fault('nats-store-wiped', async (cluster, { host: number, ms }) => {
    const { nats, natsDir } = cluster.host(number);
    await cluster.kill([nats]);
    await rm(natsDir, { recursive: true, force: true });
    await sleep(ms);
    await cluster.start([nats]);
  }),
  fault('rolling-upgrade', async (cluster) => {
    for (const { number, worker, backend, agent, nginx, nats } of cluster.hosts) {
      await Promise.all([worker, agent].map((member) => restartOrderly(cluster, member)));
      for (const member of [backend, nats]) await restartOrderly(cluster, member);
      await cluster.whileExcused(number, () => restartOrderly(cluster, nginx));
    }
  }),
  fault('failover', async (cluster, { ms }) => {
    const { databases } = cluster;
    const before = databases.primary;
    // A stopped primary first sends everything to its standbys.
    await databases.member(before).running?.stop();
    databases.member(before).running = undefined;
    const remark = await failOver(cluster);
    await sleep(ms);
    await databases.rejoin(before);
    await databases.untilStreaming();
    return remark;
  }),
  fault('failover-with-lost-commits', async (cluster, { ms }) => {
    const { databases } = cluster;
    const before = databases.primary;
    await databases.pauseStandbys();
    const paused = await countEvents(cluster, before);
    await sleep(5000);
    // After an earlier fault, the stream may have no leader for some time. Nothing is committed meanwhile.
    let committed = paused;
    await until(
      'events are committed that the standbys lack',
      async () => (committed = await countEvents(cluster, before)) > paused,
      120_000,
    );
    await cluster.kill([databases.member(before)]);
    const remark = await failOver(cluster, committed);
    await sleep(ms);
    await databases.rejoin(before);
    await databases.untilStreaming();
    return remark;
  }),
  fault('split-brain', async (cluster, { ms }) => {
    const { databases } = cluster;
    const before = databases.primary;
    const remark = await whileCut(cluster, before, BOTH, async () => {
      await sleep(DETECTION_MS);
      const promoted = await failOver(cluster);
      await sleep(ms + 2000);
      return promoted;
    });
    return `${remark}; ${await endFormerPrimary(cluster, before, ms + 1000)}`;
  }),
  fault('two-primaries', async (cluster, { ms }) => {
    const { databases } = cluster;
    const before = databases.primary;
    const remark = await failOver(cluster);
    return `${remark}; ${await endFormerPrimary(cluster, before, ms + 2000)}`;
  }),
];

const faketimeLibrary = (program: string): string => join(dirname(dirname(program)), 'lib', PLATFORM, 'faketime', 'libfaketimeMT.so.1');
const PLATFORM = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';

/** Fills the small disk of a directory for `ms`. */
async function withFullDisk(directory: string, ms: number): Promise<void> {
  const ballast = ballastOn(directory);
  await fillDisk(ballast);
  await sleep(ms);
  await unlink(ballast);
}

async function restartOrderly(cluster: Cluster, member: Member): Promise<void> {
  await member.running?.stop();
  await cluster.start([member]);
}
