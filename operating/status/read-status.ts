import type { Config } from '../../core/config.ts';
import { ClickledgerError } from '../../core/errors.ts';
import { natsOptions } from '../../core/nats.ts';
import { type DatabaseServer, distinctServers, problemsOfServers, readServers } from '../../core/database-servers.ts';
import { shardUrl } from '../../core/shards.ts';
import { type PartStatus, partStatus, problemsOfPart } from './parts.ts';
import { readPart } from './read-part.ts';
import { problemsOfShard, queryDatabase, readCatalog, readShards, type ShardData, type ShardStatus, shardStatuses } from './shards.ts';
import { statusProblem, type StatusProblem } from './status-problem.ts';
import { readNats, type StreamStatus } from './stream.ts';

// Reads the state of all parts, of NATS and of the databases. It needs only the rights of the analyst. All requests are separate and run at
// the same time. So the status of the other servers is known even if one server does not answer.

export const STATUS_SETTINGS = ['ANALYST_URL', 'ANALYST_NATS_URL', 'NATS_CA_FILE', 'STREAM_REPLICAS', 'SHARDS', 'PARTS'] as const;

export interface Status {
  at: Date;
  /** True if there are no problems. */
  ok: boolean;
  parts: PartStatus[];
  stream: StreamStatus;
  shards: ShardStatus[];
  /** The servers of the databases that have several hosts. */
  databases: DatabaseServer[];
  problems: StatusProblem[];
}

/** Reads the status once. A server that is down is a problem in the result, not an error. */
export async function readStatus(config: Config<(typeof STATUS_SETTINGS)[number]>): Promise<Status> {
  const { PARTS: parts, SHARDS: shards } = config;
  const shardUrls = shards.list.map((shard) => shardUrl(shard, config.ANALYST_URL));
  const groups = distinctServers([config.ANALYST_URL, ...shardUrls]);
  const [responses, servers, nats, catalog, databases] = await Promise.all([
    Promise.all(parts.map(readPart)),
    Promise.all(groups.map(({ url }) => readServers(url))),
    readNats(natsOptions(config.ANALYST_NATS_URL, config.NATS_CA_FILE), shards, config.STREAM_REPLICAS),
    queryDatabase(config.ANALYST_URL, readCatalog),
    readShards(shardUrls),
  ]);
  const samples = responses.flatMap((response) => response?.samples ?? []);
  const problems = [
    ...parts.flatMap((part, i) => problemsOfPart(part, responses[i])),
    ...nats.problems,
    ...(catalog instanceof ClickledgerError ? [statusProblem('catalog', 'database-unreachable', catalog.message)] : []),
    ...groups.flatMap(({ hosts }, i) => problemsOfServers(hosts, servers[i] ?? []).map((found) => ({ ...found, where: 'Postgres' }))),
    ...shards.list.flatMap(({ name }, i) => problemsOfShard(name, databases[i] as ShardData | ClickledgerError)),
  ];
  return {
    at: new Date(),
    ok: problems.length === 0,
    parts: parts.map((part, i) => partStatus(part, responses[i])),
    stream: nats.stream,
    shards: shardStatuses(shards.list, databases, nats.waiting, nats.stream, samples),
    databases: servers.flat(),
    problems,
  };
}
