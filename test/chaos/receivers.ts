import { join } from 'node:path';
import type { QueryResult } from 'pg';
import { createPool } from '../../core/postgres.ts';
import { parseShards } from '../../core/shards.ts';
import { sleep } from '../../core/time.ts';
import { EVENT_KINDS, type Filter } from '../../feed/filter.ts';
import { addSubscription } from '../../operating/subscriptions.ts';
import { knownVerdicts, startWebhookServer, type WebhookServer } from '../support/webhook-server.ts';
import type { System } from '../../stack/system.ts';
import { type Exporting, readExport, startExport } from './exporting.ts';
import type { Random } from './random.ts';

// Receivers of subscriptions during a chaos run, and the comparison of what they got with analytics.events.

/** The database with the tables of the receiver for Postgres. It is on the server of the system, so faults of this server concern it, too. */
export const RECEIVER_DATABASE = 'chaos_receiver';

const EVERYTHING: Filter = { kinds: EVENT_KINDS, campaigns: null, verdicts: null, since: null, waitMs: 0 };

/** The parts of a world that receivers need. */
interface ReceivedWorld {
  readonly system: Pick<System, 'env'>;
  readonly dataDir: string;
  readonly shardsText: string;
  owner(database: string, sql: string): Promise<QueryResult<Record<string, unknown>>>;
}

export interface Receivers {
  /** The webhook that always accepts, unless a fault lets it hang. */
  readonly steady: WebhookServer;
  /** The webhook that fails half of the time. */
  readonly flaky: WebhookServer;
  readonly exporting: Exporting;
  close(): Promise<void>;
}

/** The events of a receiver, compared with those of the system. */
export interface ReceiverVerdict {
  readonly name: string;
  /** The events that the receiver should have. */
  readonly events: number;
  readonly lost: number;
  /** Events that the receiver has and should not have. */
  readonly foreign: number;
  /** Events that are stored twice. For webhooks: that came twice although every answer reached the forwarder. */
  readonly doubled: number;
  /** Events with another verdict than in the system. */
  readonly otherVerdict: number;
  /** Deliveries of events that a webhook had accepted before. Receivers drop them by their ids. */
  readonly repeated: number;
  /** The first differences, for the message of a failed test: identity, verdict in the system, verdict of the receiver. */
  readonly differences: readonly string[];
}

/** Starts receivers, and subscribes them: everything; only people; everything into another Postgres. */
export async function startReceivers(world: ReceivedWorld, random: Random): Promise<Receivers> {
  const steady = await startWebhookServer();
  const flaky = await startWebhookServer();
  const failures = new Map<string, number>();
  flaky.answer = (response, request) => {
    const dice = random.next();
    // Half of all answers are failures. Each failure of a message doubles the pause before its next attempt, so it fails at most three times.
    const message = String(request.headers['webhook-id']);
    const before = failures.get(message) ?? 0;
    const isFailure = before < 3 && dice < 0.55;
    failures.set(message, before + (isFailure ? 1 : 0));
    // It refuses, breaks the connection, or accepts but its answer does not arrive.
    if (!isFailure) response.writeHead(204).end();
    else if (dice < 0.25) response.writeHead(500).end();
    else if (dice < 0.35) response.writeHead(429, { 'retry-after': '0' }).end();
    else if (dice < 0.45) response.socket?.destroy();
    else {
      flaky.accepted.push(request);
      response.socket?.destroy();
    }
  };
  await world.owner('postgres', `CREATE DATABASE ${RECEIVER_DATABASE}`);
  const catalogUrl = world.system.env['CATALOG_URL'] ?? '';
  const owner = createPool(catalogUrl, { max: 2, name: 'chaos' });
  const subscribe = (name: string, target: string, filter: Filter): Promise<unknown> =>
    addSubscription(owner, parseShards(world.shardsText), catalogUrl, {
      name,
      target,
      filter,
      beginning: 'everything',
      batch: 50,
      withAddresses: false,
      secret: undefined,
    });
  await subscribe('steady', steady.url, EVERYTHING);
  await subscribe('flaky', flaky.url, { ...EVERYTHING, verdicts: ['human'] });
  await subscribe('warehouse', Object.assign(new URL(catalogUrl), { pathname: `/${RECEIVER_DATABASE}` }).toString(), EVERYTHING);
  await owner.end();
  const exporting = startExport(join(world.dataDir, 'export'), () => ({
    ...world.system.env,
    SHARDS: world.shardsText,
    LOG_LEVEL: 'fatal',
  }));
  return {
    steady,
    flaky,
    exporting,
    async close() {
      await exporting.stop();
      await steady.close();
      await flaky.close();
    },
  };
}

/** The verdict of an event by its identity. An unsubscribe has none. */
type Verdicts = ReadonlyMap<string, string | null>;

const EVENTS = `
  SELECT gen || ':' || off AS id, verdict FROM analytics.events
  UNION ALL SELECT gen || ':' || off, NULL FROM analytics.unsubscribes
  UNION ALL SELECT gen || ':' || off, verdict FROM analytics.visits
  UNION ALL SELECT gen || ':' || off, verdict FROM analytics.goals`;

/** Waits until every receiver has what it should have, for at most `timeoutMs`, and compares. */
export async function judgeReceivers(
  world: ReceivedWorld,
  { steady, flaky, exporting }: Receivers,
  timeoutMs: number,
): Promise<ReceiverVerdict[]> {
  const analyst = createPool(world.system.env['ANALYST_URL'] ?? '', { max: 1, name: 'judge' });
  const deadline = performance.now() + timeoutMs;
  try {
    for (;;) {
      const { rows } = await analyst.query<{ id: string; verdict: string | null }>(EVENTS);
      const source: Verdicts = new Map(rows.map(({ id, verdict }) => [id, verdict]));
      const stored = await world.owner(RECEIVER_DATABASE, `SELECT gen || ':' || off AS id, verdict FROM clickledger.event`);
      // While the files of a day are compacted, a file of the manifest may disappear. The next round reads the new manifest.
      const exported = await readExport(exporting.directory).catch(() => ({ verdicts: new Map<string, string | null>(), doubled: 0 }));
      const found = [
        compare('export', source, () => true, { ...exported, repeated: 0 }),
        compare('steady', source, () => true, webhookState(steady)),
        compare('flaky', source, (verdict) => verdict === null || verdict === 'human', webhookState(flaky)),
        compare('warehouse', source, () => true, {
          verdicts: new Map(stored.rows.map(({ id, verdict }) => [String(id), verdict as string | null])),
          repeated: 0,
          doubled: stored.rows.length - new Set(stored.rows.map(({ id }) => id)).size,
        }),
      ];
      const isEqual = found.every(({ lost, foreign, otherVerdict }) => lost + foreign + otherVerdict === 0);
      if (isEqual || performance.now() > deadline) return found;
      await sleep(500);
    }
  } finally {
    await analyst.end();
  }
}

interface State {
  verdicts: Verdicts;
  repeated: number;
  doubled: number;
}

function webhookState(hook: WebhookServer): State {
  const ids = hook.events().map(({ id }) => id);
  return { verdicts: knownVerdicts(hook), repeated: ids.length - new Set(ids).size, doubled: 0 };
}

function compare(
  name: string,
  source: Verdicts,
  passes: (verdict: string | null) => boolean,
  { verdicts, repeated, doubled }: State,
): ReceiverVerdict {
  const wanted = [...source].filter(([, verdict]) => passes(verdict));
  const lost = wanted.filter(([id]) => !verdicts.has(id));
  const foreign = [...verdicts].filter(([id, verdict]) => !source.has(id) && passes(verdict));
  const other = [...verdicts].filter(
    ([id, verdict]) => source.has(id) && source.get(id) !== verdict && (passes(verdict) || passes(source.get(id) as string | null)),
  );
  const differences = [...lost, ...foreign, ...other].slice(0, 5).map(([id]) => `${id} ${source.get(id)} ${verdicts.get(id)}`);
  return {
    name,
    events: wanted.length,
    lost: lost.length,
    foreign: foreign.length,
    doubled,
    otherVerdict: other.length,
    repeated,
    differences,
  };
}
