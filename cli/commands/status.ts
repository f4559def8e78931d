import type { Command } from 'commander';
import { connect, type NodeConnectionOptions } from '@nats-io/transport-node';
import { manager, natsOptions } from '../../core/nats.ts';
import { consumerName, LEDGER_API, STREAM } from '../../core/subjects.ts';
import type { ShardMap } from '../../core/shards.ts';
import { configOf, type Globals, withPool } from '../context.ts';
import { note, printJson, printTable } from '../output.ts';

interface ShardStatus {
  shard: string;
  /** Batches published and not acked; null: NATS does not say. */
  waiting: number | null;
  generations: number;
  committed_bytes: number;
  missing_bytes: number;
  holes: number;
  dead_letters: number;
  last_commit: Date | null;
}

export function addStatus(program: Command): void {
  program
    .command('status')
    .description('what waits, what is committed, what is missing, by shard')
    .addHelpText('after', '\nExample:\n  clickledger status')
    .action(async (_options: object, command: Command) => {
      const config = await configOf(command, ['ANALYST_URL', 'ANALYST_NATS_URL', 'NATS_CA_FILE', 'SHARDS']);
      const waiting = await waitingBatches(natsOptions(config.ANALYST_NATS_URL, config.NATS_CA_FILE), config.SHARDS);
      const shards = await withPool(config.ANALYST_URL, async (pool) => {
        const found = await pool.query<Omit<ShardStatus, 'waiting'>>(`
          SELECT c.shard, count(*)::int AS generations, sum(committed_bytes)::bigint AS committed_bytes, sum(missing_bytes)::bigint AS missing_bytes,
                 sum(holes)::bigint AS holes, (SELECT count(*) FROM analytics.dead_letters d WHERE d.shard = c.shard)::int AS dead_letters, max(last_at) AS last_commit
          FROM analytics.completeness c GROUP BY c.shard ORDER BY c.shard`);
        return config.SHARDS.list.map(({ name }): ShardStatus => {
          const row = found.rows.find(({ shard }) => shard === name);
          return {
            shard: name,
            waiting: waiting?.get(name) ?? null,
            generations: 0,
            committed_bytes: 0,
            missing_bytes: 0,
            holes: 0,
            dead_letters: 0,
            last_commit: null,
            ...row,
          };
        });
      });
      if (command.optsWithGlobals<Globals>().json) {
        printJson({ nats: waiting !== undefined, shards });
        return;
      }
      if (!waiting) note('NATS does not answer: hits stay in the log until it does');
      printTable(
        ['shard', 'batches waiting', 'logs', 'committed bytes', 'missing bytes', 'holes', 'dead letters', 'last commit'],
        shards.map((s) => [
          s.shard,
          s.waiting,
          s.generations,
          s.committed_bytes,
          s.missing_bytes,
          s.holes,
          s.dead_letters,
          s.last_commit?.toISOString() ?? null,
        ]),
      );
    });
}

/** Undefined where NATS does not answer. */
async function waitingBatches(nats: NodeConnectionOptions, shards: ShardMap): Promise<Map<string, number> | undefined> {
  try {
    const connection = await connect({ ...nats, reconnect: false, timeout: 2_000 });
    try {
      const streams = await manager(connection, LEDGER_API);
      const waiting = new Map<string, number>();
      for (const { name } of shards.list) {
        const info = await streams.consumers.info(STREAM, consumerName(name));
        waiting.set(name, info.num_pending + info.num_ack_pending);
      }
      return waiting;
    } finally {
      await connection.close();
    }
  } catch {
    return undefined;
  }
}
