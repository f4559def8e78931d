import { codeOf, messageOf } from '../core/errors.ts';
import { createPool, type Pool, transaction } from '../core/postgres.ts';
import { formatMultirange } from '../core/ranges.ts';
import { readAddresses } from '../feed/addresses.ts';
import { byGeneration, ledgerFrom } from '../feed/due.ts';
import { identityOf, type Item, toJson } from '../feed/event.ts';
import type { ChangePosition } from '../feed/read-events.ts';
import type { Subscription } from '../feed/subscription.ts';
import { readPosition } from './catalog-ledger.ts';
import { DeliveryError, type Receiver } from './receiver.ts';

// Delivers into tables of another Postgres. Its ledger is there, too, and changes in the transaction that stores the events. So every event is stored
// exactly once, even if either database is restored from a backup.

/** The tables of the receiver. Everybody may add columns and indexes. */
const CREATE_TABLES = `
  CREATE SCHEMA IF NOT EXISTS clickledger;
  CREATE TABLE IF NOT EXISTS clickledger.event (
    gen uuid, off bigint, shard text NOT NULL, type text NOT NULL, at timestamptz NOT NULL, campaign_id bigint, link_id bigint, link_version integer,
    recipient_id bigint, email text, external_id text, visitor bigint, country text, net text, referrer text, client text, client_version text, system text,
    device text, verdict text, signals text[], rules integer, request_id uuid NOT NULL, site_id bigint, name text, session bigint, page text, value numeric,
    currency text, properties jsonb,
    PRIMARY KEY (gen, off)
  );
  CREATE TABLE IF NOT EXISTS clickledger.delivered (subscription uuid, shard text, gen uuid, ranges int8multirange NOT NULL, PRIMARY KEY (subscription, shard, gen));
  CREATE TABLE IF NOT EXISTS clickledger.delivery (
    subscription uuid, shard text, number bigint NOT NULL, change_id bigint NOT NULL, changed_at timestamptz NOT NULL, PRIMARY KEY (subscription, shard)
  );`;

const COLUMNS =
  'gen uuid, off bigint, shard text, type text, at timestamptz, campaign_id bigint, link_id bigint, link_version integer, recipient_id bigint, email text, external_id text, visitor bigint, country text, net text, referrer text, client text, client_version text, system text, device text, verdict text, signals text[], rules integer, request_id uuid, site_id bigint, name text, session bigint, page text, value numeric, currency text, properties jsonb';
const NAMES = COLUMNS.replace(/ \w+(\[\])?(?=,|$)/g, '');

// The event may be there: a change of its verdict came before, or the source was restored.
const STORE_EVENTS = `
  INSERT INTO clickledger.event (${NAMES}) SELECT ${NAMES} FROM jsonb_to_recordset($1::jsonb) AS new (${COLUMNS})
  ON CONFLICT (gen, off) DO UPDATE SET verdict = excluded.verdict, signals = excluded.signals, rules = excluded.rules`;

const ADD_RANGES = `
  INSERT INTO clickledger.delivered AS d (subscription, shard, gen, ranges)
  SELECT $1, $2, gen, ranges FROM unnest($3::uuid[], $4::int8multirange[]) AS new (gen, ranges)
  ON CONFLICT (subscription, shard, gen) DO UPDATE SET ranges = d.ranges + excluded.ranges WHERE NOT d.ranges && excluded.ranges`;

// Each delivery has the next number. So a forwarder that was frozen cannot deliver what another one has delivered since then, and a receiver that
// was restored is noticed at once.
const COUNT_FIRST = `
  INSERT INTO clickledger.delivery AS d (subscription, shard, number, change_id, changed_at)
  SELECT $1, $2, 1, $4, $5 WHERE $3 = 0
  ON CONFLICT (subscription, shard) DO NOTHING`;
const COUNT_NEXT = `
  UPDATE clickledger.delivery SET number = number + 1, change_id = $4, changed_at = $5 WHERE subscription = $1 AND shard = $2 AND number = $3`;

/** SQLSTATEs of tables that do not exist. */
const MISSING = ['42P01', '3F000'];

interface State {
  /** The number of deliveries so far. */
  number: number;
  position: ChangePosition;
}

export function createPostgresReceiver(deps: { subscription: Subscription; catalog: Pool }): Receiver {
  const { subscription, catalog } = deps;
  const { id, identity, target, withAddresses } = subscription;
  const pool = createPool(target, { max: 4, name: 'forwarder', queryTimeoutMs: 60_000 });

  /** The state of each shard, as it is in the receiver. */
  const states = new Map<string, State>();

  async function query<Row extends object>(text: string, values: readonly unknown[]): Promise<Row[]> {
    try {
      return (await pool.query<Row>(text, [...values])).rows;
    } catch (error) {
      if (!MISSING.includes(codeOf(error) ?? '')) throw failed(error);
      // Two forwarders may create the tables at the same time, and one of them then fails and tries again.
      await pool.query(CREATE_TABLES).catch((cause: unknown) => Promise.reject(failed(cause)));
      return (await pool.query<Row>(text, [...values])).rows;
    }
  }

  return {
    async read(shard) {
      const rows = await query<{ gen: string; ranges: string }>(
        'SELECT gen, ranges::text AS ranges FROM clickledger.delivered WHERE subscription = $1 AND shard = $2',
        [identity, shard],
      );
      const [delivery] = await query<{ number: number; id: number; changedAt: string }>(
        'SELECT number, change_id AS id, changed_at::text AS "changedAt" FROM clickledger.delivery WHERE subscription = $1 AND shard = $2',
        [identity, shard],
      );
      const position = delivery === undefined ? await readPosition(catalog, id, shard) : { id: delivery.id, changedAt: delivery.changedAt };
      states.set(shard, { number: delivery?.number ?? 0, position });
      return { ledger: ledgerFrom(rows.map(({ gen, ranges }) => [gen, ranges])), position };
    },
    async deliver(shard, { items, ranges, position }) {
      const addresses = withAddresses ? await readAddresses(catalog, items) : undefined;
      const gens = byGeneration(ranges);
      const state = states.get(shard) as State;
      const next = { number: state.number + 1, position: position ?? state.position };
      const values = [identity, shard, state.number, next.position.id, next.position.changedAt];
      try {
        await transaction(pool, async (client) => {
          const counted = await client.query(state.number === 0 ? COUNT_FIRST : COUNT_NEXT, values);
          if (counted.rowCount !== 1)
            throw new DeliveryError('conflict', 'another forwarder has delivered since then, or the receiver was restored');
          if (items.length > 0)
            await client.query(STORE_EVENTS, [JSON.stringify(lastOfEach(items).map((item) => toJson(item, shard, addresses)))]);
          const added = await client.query(ADD_RANGES, [
            identity,
            shard,
            gens.map(([gen]) => gen),
            gens.map(([, r]) => formatMultirange(r)),
          ]);
          if (added.rowCount !== gens.length) throw new DeliveryError('conflict', 'another forwarder has delivered some of these events');
        });
      } catch (error) {
        throw error instanceof DeliveryError ? error : failed(error);
      }
      states.set(shard, next);
    },
    close: () => pool.end(),
  };
}

/** Returns the events as they are now. Several items may have the same event, and its last verdict counts. */
function lastOfEach(items: readonly Item[]): Item[] {
  const last = new Map(items.map((item) => [identityOf(item.event), item]));
  return Array.from(last.values(), ({ event, change }) => ({
    event: change === undefined ? event : { ...event, verdict: change.becomes },
  }));
}

/** The message of Postgres may quote the values of a row, so only its beginning is kept. */
const failed = (cause: unknown): DeliveryError =>
  new DeliveryError('retry', `the receiver reported: ${messageOf(cause).slice(0, 200)}`, { cause });
