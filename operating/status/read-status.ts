import type { Config } from '../../core/config.ts';
import { ClickledgerError } from '../../core/errors.ts';
import { natsOptions } from '../../core/nats.ts';
import { shardUrl } from '../../core/shards.ts';
import { askPart } from './ask-part.ts';
import { type PartStatus, partStatus, problemsOfPart } from './parts.ts';
import { lookAtDatabase, problemsOfShard, readCatalog, readShard, type ShardRead, type ShardStatus, shardStatuses } from './shards.ts';
import { lookAtNats, type StreamStatus } from './stream.ts';
import { type Trouble, trouble } from './trouble.ts';

// The state of all parts, of NATS and of the shards, read with no more rights than an analyst has. All of them are asked separately and at
// the same time, so one that does not answer does not hide the others.

export const STATUS_SETTINGS = ['ANALYST_URL', 'ANALYST_NATS_URL', 'NATS_CA_FILE', 'SHARDS', 'PARTS'] as const;

export interface Status {
  at: Date;
  /** Nothing is wrong. */
  ok: boolean;
  parts: PartStatus[];
  stream: StreamStatus;
  shards: ShardStatus[];
  problems: Trouble[];
}

/** Looks at everything once; never fails because something is down. */
export async function readStatus(config: Config<(typeof STATUS_SETTINGS)[number]>): Promise<Status> {
  const { PARTS: parts, SHARDS: shards } = config;
  const [answers, nats, catalog, ...databases] = await Promise.all([
    Promise.all(parts.map(askPart)),
    lookAtNats(natsOptions(config.ANALYST_NATS_URL, config.NATS_CA_FILE), shards),
    lookAtDatabase(config.ANALYST_URL, readCatalog),
    ...shards.list.map((shard) => lookAtDatabase(shardUrl(shard, config.ANALYST_URL), readShard)),
  ]);
  const samples = answers.flatMap((answer) => answer?.samples ?? []);
  const problems = [
    ...parts.flatMap((part, i) => problemsOfPart(part, answers[i])),
    ...nats.problems,
    ...(catalog instanceof ClickledgerError ? [trouble('catalog', 'database-unreachable', catalog.message)] : []),
    ...shards.list.flatMap(({ name }, i) => problemsOfShard(name, databases[i] as ShardRead | ClickledgerError)),
  ];
  return {
    at: new Date(),
    ok: problems.length === 0,
    parts: parts.map((part, i) => partStatus(part, answers[i])),
    stream: nats.stream,
    shards: shardStatuses(shards.list, databases, nats.waiting, nats.stream, samples),
    problems,
  };
}
