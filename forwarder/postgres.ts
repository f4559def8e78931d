import { codeOf, messageOf } from '../core/errors.ts';
import { createPool, type Pool, transaction } from '../core/postgres.ts';
import { formatMultirange, parseMultirange } from '../core/ranges.ts';
import { readAddresses } from '../feed/addresses.ts';
import { identityOf, type Item, toJson } from '../feed/event.ts';
import type { Subscription } from '../feed/subscription.ts';
import { byGeneration, readPosition } from './catalog-ledger.ts';
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
  CREATE TABLE IF NOT EXISTS clickledger.delivered (subscription text, shard text, gen uuid, ranges int8multirange NOT NULL, PRIMARY KEY (subscription, shard, gen));
  CREATE TABLE IF NOT EXISTS clickledger.delivered_change (
    subscription text, shard text, change_id bigint NOT NULL, changed_at timestamptz NOT NULL, PRIMARY KEY (subscription, shard)
  );`;

const COLUMNS =
  'gen uuid, off bigint, shard text, type text, at timestamptz, campaign_id bigint, link_id bigint, link_version integer, recipient_id bigint, email text, external_id text, visitor bigint, country text, net text, referrer text, client text, client_version text, system text, device text, verdict text, signals text[], rules integer, request_id uuid, site_id bigint, name text, session bigint, page text, value numeric, currency text, properties jsonb';
const NAMES = COLUMNS.replace(/ \w+(\[\])?(?=,|$)/g, '');

// An event is stored again if a change of its verdict makes it pass the filter, or if the source was restored.
const INSERT_EVENTS = `
  INSERT INTO clickledger.event (${NAMES}) SELECT ${NAMES} FROM jsonb_to_recordset($1::jsonb) AS new (${COLUMNS})
  ON CONFLICT (gen, off) DO UPDATE SET verdict = excluded.verdict, signals = excluded.signals, rules = excluded.rules`;

const CHANGE_VERDICTS = `
  UPDATE clickledger.event e SET verdict = new.verdict, signals = new.signals, rules = new.rules
  FROM jsonb_to_recordset($1::jsonb) AS new (gen uuid, off bigint, verdict text, signals text[], rules integer) WHERE (e.gen, e.off) = (new.gen, new.off)`;

const ADD_RANGES = `
  INSERT INTO clickledger.delivered AS d (subscription, shard, gen, ranges)
  SELECT $1, $2, gen, ranges FROM unnest($3::uuid[], $4::int8multirange[]) AS new (gen, ranges)
  ON CONFLICT (subscription, shard, gen) DO UPDATE SET ranges = d.ranges + excluded.ranges WHERE NOT d.ranges && excluded.ranges`;

const SET_POSITION = `
  INSERT INTO clickledger.delivered_change AS d (subscription, shard, change_id, changed_at) VALUES ($1, $2, $3, $4)
  ON CONFLICT (subscription, shard) DO UPDATE SET change_id = excluded.change_id, changed_at = excluded.changed_at`;

/** SQLSTATEs of tables that do not exist. */
const MISSING = ['42P01', '3F000'];

export function createPostgresReceiver(deps: { subscription: Subscription; catalog: Pool }): Receiver {
  const { subscription, catalog } = deps;
  const { id, name, target, withAddresses } = subscription;
  const pool = createPool(target, { max: 4, name: 'forwarder', queryTimeoutMs: 60_000 });

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
        [name, shard],
      );
      const positions = await query<{ id: number; changedAt: string }>(
        'SELECT change_id AS id, changed_at::text AS "changedAt" FROM clickledger.delivered_change WHERE subscription = $1 AND shard = $2',
        [name, shard],
      );
      return {
        ledger: new Map(rows.map(({ gen, ranges }) => [gen, parseMultirange(ranges)])),
        position: positions[0] ?? (await readPosition(catalog, id, shard)),
      };
    },
    async deliver(shard, { items, ranges, position }) {
      const addresses = withAddresses ? await readAddresses(catalog, items) : undefined;
      const gens = byGeneration(ranges);
      const { stored, changed } = lastOfEach(items);
      const rowsOf = (some: readonly Item[]): string => JSON.stringify(some.map((item) => toJson(item, shard, addresses)));
      try {
        await transaction(pool, async (client) => {
          if (stored.length > 0) await client.query(INSERT_EVENTS, [rowsOf(stored)]);
          if (changed.length > 0) await client.query(CHANGE_VERDICTS, [rowsOf(changed)]);
          if (position) await client.query(SET_POSITION, [name, shard, position.id, position.changedAt]);
          // The last statement, because it locks the rows of the ledger.
          const added = await client.query(ADD_RANGES, [name, shard, gens.map(([gen]) => gen), gens.map(([, r]) => formatMultirange(r))]);
          if (added.rowCount !== gens.length) throw new DeliveryError('conflict', 'another forwarder has delivered some of these events');
        });
      } catch (error) {
        throw error instanceof DeliveryError ? error : failed(error);
      }
    },
    close: () => pool.end(),
  };
}

/**
 * Several items may have the same event, and its last verdict counts. `stored` has the events that the receiver may not have yet, `changed` the others.
 */
function lastOfEach(items: readonly Item[]): { stored: Item[]; changed: Item[] } {
  const last = new Map(items.map((item) => [identityOf(item.event), item]));
  const isNew = new Set(items.filter(({ change }) => change === undefined).map(({ event }) => identityOf(event)));
  const stored: Item[] = [];
  const changed: Item[] = [];
  for (const [identity, item] of last) {
    if (!isNew.has(identity)) changed.push(item);
    else stored.push({ event: item.change === undefined ? item.event : { ...item.event, verdict: item.change.becomes } });
  }
  return { stored, changed };
}

/** The message of Postgres may quote the values of a row, so only its beginning is kept. */
const failed = (cause: unknown): DeliveryError =>
  new DeliveryError('retry', `the receiver reported: ${messageOf(cause).slice(0, 200)}`, { cause });
