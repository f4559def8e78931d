import { connect, type NodeConnectionOptions } from '@nats-io/transport-node';
import { JetStreamApiError, jetstreamManager, type StreamInfo } from '@nats-io/jetstream';
import type { Config } from '../core/config.ts';
import { ClickledgerError, messageOf } from '../core/errors.ts';
import { type Problem, problem, type ProblemCode } from '../core/health.ts';
import { natsOptions } from '../core/nats.ts';
import type { PartAddress } from '../core/parts.ts';
import { createPool, explainDatabaseError, type Pool } from '../core/postgres.ts';
import { type Shard, type ShardMap, shardUrl } from '../core/shards.ts';
import { consumerName, LEDGER_API, STREAM } from '../core/subjects.ts';
import { askPart, type PartAnswer, type Sample } from './ask-part.ts';

// The whole line as somebody sees it who may only look: the parts by what they say of themselves, NATS and the shards as the analyst.
// Each is asked by itself, all at once, and whatever does not answer is shown as such and keeps nothing else from being shown.

export const STATUS_SETTINGS = ['ANALYST_URL', 'ANALYST_NATS_URL', 'NATS_CA_FILE', 'SHARDS', 'PARTS'] as const;

/** Above this share of its limit the stream counts as nearly full. */
const NEARLY_FULL = 0.8;
const PATIENCE_MS = 2_000;
/** Longer for databases: the first connection after a while may take its time. */
const QUERY_MS = 5_000;

/** Null: not known, or nothing that such a part has. */
export interface PartStatus {
  name: string;
  answers: boolean;
  part: 'backend' | 'agent' | 'worker' | null;
  version: string | null;
  ready: boolean;
  degraded: string[];
  /** An agent's, of the shard that is furthest behind. */
  unshipped_bytes: number | null;
  oldest_unshipped_seconds: number | null;
  log_disk_free_bytes: number | null;
  log_disk_size_bytes: number | null;
  /** A backend's. */
  links: number | null;
  links_age_seconds: number | null;
}

export interface StreamStatus {
  /** Whether NATS said anything; null in the rest: it did not, or there is no stream. */
  answers: boolean;
  messages: number | null;
  bytes: number | null;
  limit_bytes: number | null;
}

export interface ShardStatus {
  shard: string;
  /** Whether its database does. */
  answers: boolean;
  /** Batches published and not acked, and their bytes by the mean size of a message. */
  waiting_messages: number | null;
  waiting_bytes: number | null;
  last_commit: Date | null;
  generations: number | null;
  committed_bytes: number | null;
  /** Bytes of logs that some shard knows of and this one has not committed, and in how many stretches they lie. */
  missing_bytes: number | null;
  holes: number | null;
  dead_letters: number | null;
  dead_letters_last_day: number | null;
  /** What a worker of it says. */
  judge_delay_seconds: number | null;
  waiting_marks: number | null;
  database_bytes: number | null;
  /** Always null: Postgres tells nobody but its owner how full its disk is. */
  database_disk_free_bytes: null;
}

export interface Trouble extends Omit<Problem, 'code'> {
  /** The part, server or shard that has it. */
  where: string;
  code: string;
}

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
export async function lookAtLine(config: Config<(typeof STATUS_SETTINGS)[number]>): Promise<Status> {
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

function trouble(where: string, code: ProblemCode, detail?: string): Trouble {
  return { where, ...problem(code, null, detail) };
}

// ── parts

function problemsOfPart({ name, url }: PartAddress, answer: PartAnswer | undefined): Trouble[] {
  if (!answer) return [trouble(name, 'part-silent', url)];
  return answer.health.degraded.map((one) => ({ where: name, ...one }));
}

function partStatus({ name }: PartAddress, answer: PartAnswer | undefined): PartStatus {
  const values = (metric: string): number[] => (answer?.samples ?? []).filter((sample) => sample.name === metric).map(({ value }) => value);
  const most = (metric: string): number | null => largest(values(metric));
  return {
    name,
    answers: answer !== undefined,
    part: answer?.health.part ?? null,
    version: answer?.health.version ?? null,
    ready: answer?.health.ready ?? false,
    degraded: answer?.health.degraded.map(({ code }) => code) ?? [],
    unshipped_bytes: most('clickledger_agent_unshipped_bytes'),
    oldest_unshipped_seconds: most('clickledger_agent_oldest_unshipped_seconds'),
    log_disk_free_bytes: most('clickledger_agent_log_disk_free_bytes'),
    log_disk_size_bytes: most('clickledger_agent_log_disk_size_bytes'),
    links: most('clickledger_backend_links'),
    links_age_seconds: most('clickledger_backend_links_age_seconds'),
  };
}

/** Of those that are known; null if none is. */
export function largest(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : Math.max(...known);
}

// ── NATS

interface NatsLook {
  stream: StreamStatus;
  waiting: Map<string, number>;
  problems: Trouble[];
}

async function lookAtNats(options: NodeConnectionOptions, shards: ShardMap): Promise<NatsLook> {
  const look: NatsLook = {
    stream: { answers: false, messages: null, bytes: null, limit_bytes: null },
    waiting: new Map(),
    problems: [],
  };
  try {
    const connection = await connect({ ...options, reconnect: false, timeout: PATIENCE_MS });
    try {
      const manager = await jetstreamManager(connection, { checkAPI: false, timeout: PATIENCE_MS, apiPrefix: LEDGER_API });
      const stream = await unlessMissing(manager.streams.info(STREAM));
      look.stream = describeStream(stream);
      if (!stream) look.problems.push(trouble('nats', 'stream-missing'));
      else if (stream.config.max_bytes > 0 && stream.state.bytes > NEARLY_FULL * stream.config.max_bytes)
        look.problems.push(trouble('nats', 'stream-full', `${Math.round((100 * stream.state.bytes) / stream.config.max_bytes)} %`));
      for (const { name } of stream ? shards.list : []) {
        const consumer = await unlessMissing(manager.consumers.info(STREAM, consumerName(name)));
        if (consumer) look.waiting.set(name, consumer.num_pending + consumer.num_ack_pending);
        else look.problems.push(trouble(`shard ${name}`, 'consumer-missing'));
      }
    } finally {
      await connection.close();
    }
  } catch (error) {
    look.problems.push(trouble('nats', 'nats-unreachable', messageOf(error)));
  }
  return look;
}

function describeStream(stream: StreamInfo | undefined): StreamStatus {
  if (!stream) return { answers: true, messages: null, bytes: null, limit_bytes: null };
  return { answers: true, messages: stream.state.messages, bytes: stream.state.bytes, limit_bytes: stream.config.max_bytes };
}

/** What JetStream says; undefined where it says that there is no such stream or consumer. */
async function unlessMissing<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.status === 404) return undefined;
    throw error;
  }
}

// ── Postgres

interface LedgerRow {
  gen: string;
  size: number | null;
  committed_bytes: number;
  committed_to: number;
  holes: number;
  last_at: Date;
}

interface ShardRead {
  ledger: LedgerRow[];
  dead_letters: number;
  dead_letters_last_day: number;
  database_bytes: number;
}

async function lookAtDatabase<T>(url: string, read: (pool: Pool) => Promise<T>): Promise<T | ClickledgerError> {
  const pool = createPool(url, { max: 1, name: 'status', queryTimeoutMs: QUERY_MS });
  try {
    return await read(pool);
  } catch (error) {
    return explainDatabaseError(error);
  } finally {
    await pool.end();
  }
}

async function readCatalog(pool: Pool): Promise<void> {
  await pool.query('SELECT FROM analytics.campaigns LIMIT 1');
}

async function readShard(pool: Pool): Promise<ShardRead> {
  const ledger = await pool.query<LedgerRow>(
    'SELECT gen::text AS gen, size, committed_bytes, committed_to, holes, last_at FROM shard_analytics.ledger',
  );
  const rest = await pool.query<Omit<ShardRead, 'ledger'>>(`
    SELECT count(*) AS dead_letters, count(*) FILTER (WHERE at > now() - interval '1 day') AS dead_letters_last_day,
           pg_database_size(current_database()) AS database_bytes
    FROM shard_analytics.dead_letters`);
  return { ...(rest.rows[0] as Omit<ShardRead, 'ledger'>), ledger: ledger.rows };
}

function problemsOfShard(name: string, read: ShardRead | ClickledgerError): Trouble[] {
  if (read instanceof ClickledgerError) return [trouble(`shard ${name}`, 'database-unreachable', read.message)];
  return read.dead_letters_last_day === 0 ? [] : [trouble(`shard ${name}`, 'dead-letters', String(read.dead_letters_last_day))];
}

function shardStatuses(
  shards: readonly Shard[],
  databases: readonly (ShardRead | ClickledgerError)[],
  waiting: ReadonlyMap<string, number>,
  stream: StreamStatus,
  samples: readonly Sample[],
): ShardStatus[] {
  // A generation that one shard knows and another does not is a hole there (as in the view analytics.completeness).
  const knownTo = new Map<string, number>();
  for (const read of databases) {
    if (read instanceof ClickledgerError) continue;
    for (const { gen, size, committed_to } of read.ledger) knownTo.set(gen, Math.max(knownTo.get(gen) ?? 0, size ?? 0, committed_to));
  }
  const meanBytes = stream.bytes !== null && stream.messages ? stream.bytes / stream.messages : 0;
  return shards.map(({ name }, i): ShardStatus => {
    const messages = waiting.get(name) ?? null;
    const said = (metric: string): number[] =>
      samples.filter((sample) => sample.name === metric && sample.labels['shard'] === name).map(({ value }) => value);
    return {
      shard: name,
      waiting_messages: messages,
      waiting_bytes: messages === null ? null : Math.round(messages * meanBytes),
      ...describeShard(databases[i] as ShardRead | ClickledgerError, knownTo),
      judge_delay_seconds: said('clickledger_worker_judge_delay_seconds').sort((a, b) => a - b)[0] ?? null,
      waiting_marks: said('clickledger_worker_waiting_marks')[0] ?? null,
      database_disk_free_bytes: null,
    };
  });
}

function describeShard(read: ShardRead | ClickledgerError, knownTo: ReadonlyMap<string, number>) {
  if (read instanceof ClickledgerError) {
    const unknown = { last_commit: null, generations: null, committed_bytes: null, missing_bytes: null, holes: null };
    return { answers: false, ...unknown, dead_letters: null, dead_letters_last_day: null, database_bytes: null };
  }
  const { ledger, ...rest } = read;
  const byGen = new Map(ledger.map((row) => [row.gen, row]));
  let committed = 0;
  let missing = 0;
  let holes = 0;
  for (const [gen, to] of knownTo) {
    const row = byGen.get(gen);
    committed += row?.committed_bytes ?? 0;
    missing += to - (row?.committed_bytes ?? 0);
    holes += (row?.holes ?? 0) + ((row?.committed_to ?? 0) < to && (row?.size ?? null) === null ? 1 : 0);
  }
  const last = Math.max(...ledger.map(({ last_at }) => last_at.getTime()));
  return {
    answers: true,
    last_commit: ledger.length === 0 ? null : new Date(last),
    generations: knownTo.size,
    committed_bytes: committed,
    missing_bytes: missing,
    holes,
    ...rest,
  };
}
