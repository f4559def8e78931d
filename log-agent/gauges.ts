import type { Registry } from 'prom-client';
import { addShardGauge, addGauge } from '../core/metrics.ts';
import { singleFlight } from '../core/time.ts';
import type { Agent } from './agent.ts';
import { diskOf } from './disk.ts';
import type { Logs } from './follow.ts';
import { ageSeconds, type Lag } from './lag.ts';
import type { Mirror } from './mirror.ts';
import type { NetworkTable } from './network-table.ts';
import type { Salts } from './salt.ts';

/** Adds the gauges whose values are read from the agent when Prometheus asks for them. */
export function addAgentGauges(
  registry: Registry,
  deps: { agent: Agent; follower: Logs; mirror: Mirror | undefined; salts: Salts; networks: NetworkTable; logDir: string },
): void {
  const { agent, follower, mirror, salts, networks, logDir } = deps;
  const lag = singleFlight(() => agent.lag());
  const byShard = (name: string, help: string, value: (lag: Lag) => number): void =>
    addShardGauge(registry, name, help, async () => (await lag()).map((one) => [one.shard, value(one)]));
  byShard('clickledger_agent_unshipped_bytes', 'Bytes of logs that are not committed', ({ unshippedBytes }) => unshippedBytes);
  byShard(
    'clickledger_agent_unconfirmed_bytes',
    'Bytes of logs that are published and not committed',
    ({ unconfirmedBytes }) => unconfirmedBytes,
  );
  byShard('clickledger_agent_oldest_unshipped_seconds', 'Age of the oldest hit that is not committed; 0 if there is none', ageSeconds);
  addGauge(registry, 'clickledger_agent_generations', 'Generations in the log directory', () => follower.generations.length);
  addGauge(
    registry,
    'clickledger_agent_foreign_files',
    'Files in the log directory that are no logs and are left alone',
    () => follower.foreignFiles.length,
  );
  if (mirror) {
    addGauge(registry, 'clickledger_agent_mirror_lag_bytes', 'Bytes of logs that the copies in LOG_MIRROR lack', () => mirror.lagBytes());
    addGauge(registry, 'clickledger_agent_mirror_behind_seconds', 'Time since the copies in LOG_MIRROR last had all bytes', () =>
      mirror.behindSeconds(),
    );
  }
  addGauge(registry, 'clickledger_agent_salts', 'Days whose salt is in memory', () => salts.count());
  addGauge(
    registry,
    'clickledger_agent_networks_date_seconds',
    'Day of the data in the table of networks, in epoch seconds',
    () => Date.parse(networks.header.date) / 1000,
  );
  const disk = singleFlight(() => diskOf(logDir));
  addGauge(
    registry,
    'clickledger_agent_log_disk_free_bytes',
    'Free space of the file system of the logs',
    async () => (await disk()).freeBytes,
  );
  addGauge(registry, 'clickledger_agent_log_disk_size_bytes', 'Size of the file system of the logs', async () => (await disk()).sizeBytes);
}
