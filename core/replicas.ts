import type { StreamInfo } from '@nats-io/jetstream';

/** The number of servers that have all messages of a stream at the moment. A stream on a single server has one. */
export function currentReplicas({ cluster }: StreamInfo): number {
  if (!cluster) return 1;
  const replicas = cluster.replicas ?? [];
  // The leader is not in the list of the other replicas.
  return (cluster.leader ? 1 : 0) + replicas.filter(({ current, offline }) => current && !offline).length;
}
