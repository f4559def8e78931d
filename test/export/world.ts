import { openDirectory } from '../../export/directory.ts';
import { type OpenExport, openExport, type WantedFilter } from '../../export/open-export.ts';
import { runExport, type RunResult } from '../../export/run-export.ts';
import type { Storage } from '../../export/storage.ts';
import { createPool, type Pool } from '../../core/postgres.ts';
import { RULES_VERSION } from '../../core/rules.ts';
import { EVENT_KINDS } from '../../feed/filter.ts';
import { createDatabases, type Databases } from '../support/databases.ts';
import { appendDeltas } from '../support/deltas.ts';
import { judgeAll } from '../support/merge.ts';

// Databases with generated events, and exports of them.

export const START = Date.UTC(2026, 9, 1);
/** The length of a line of the log. */
const LINE = 300;
const DAY_MS = 86_400_000;
const NO_WISHES: WantedFilter = { kinds: undefined, campaigns: undefined, verdicts: undefined, from: undefined, with_addresses: undefined };

export interface ExportWorld {
  readonly databases: Databases;
  readonly analyst: Pool;
  readonly shards: readonly { readonly name: string; readonly pool: Pool }[];
  /** Inserts `count` hits into each shard, in the order of time, as commits do, and lets the judge look at them. Each day has its own log. */
  generate(options: { count: number; people: number; days: number; firstDay?: number }): Promise<void>;
  judge(): Promise<number>;
  /** Clicks of one person on different links, from number `from` up to `to`, a tenth of a second apart. */
  clicksAt(shard: string, from: number, to: number): Promise<void>;
  open(storage: Storage, wanted?: Partial<WantedFilter>): Promise<OpenExport>;
  /** Opens a directory and exports what is due. */
  exportTo(directory: string, options?: { wanted?: Partial<WantedFilter>; setRows?: number }): Promise<RunResult>;
  run(target: OpenExport, setRows?: number): Promise<RunResult>;
  close(): Promise<void>;
}

export async function createExportWorld(shardCount: number, people: number): Promise<ExportWorld> {
  const databases = await createDatabases(shardCount);
  await databases.query(
    'catalog',
    `INSERT INTO catalog.campaign (name, sent_at) VALUES ('spring', to_timestamp(${START / 1000})), ('autumn', NULL)`,
  );
  for (const campaign of [1, 2]) {
    await databases.query(
      'catalog',
      `INSERT INTO catalog.link (campaign_id, kind, original, position) SELECT $1, 'url', 'https://shop.example/' || n, n FROM generate_series(1, 10) n`,
      [campaign],
    );
    await databases.query('catalog', `INSERT INTO catalog.link (campaign_id, kind, original) VALUES ($1, 'pixel', '')`, [campaign]);
  }
  await databases.query(
    'catalog',
    `INSERT INTO catalog.link_version (link_id, version, target) SELECT id, 1, original FROM catalog.link WHERE kind = 'url'`,
  );
  await databases.query('catalog', `INSERT INTO catalog.site (host) VALUES ('shop.example')`);
  await databases.query(
    'catalog',
    `INSERT INTO catalog.recipient (email) SELECT 'reader.' || n || '@example.com' FROM generate_series(1, $1::int) n`,
    [people],
  );
  await databases.query('catalog', 'INSERT INTO catalog.mailing (campaign_id, recipient_id) SELECT 1, id FROM catalog.recipient');
  const analyst = createPool(databases.roleUrls.analyst, { max: 2, name: 'test' });
  const shards = databases.shards.list.map(({ name }) => ({
    name,
    pool: createPool(databases.shardUrlAs(name, 'analyst'), { max: 1, name: 'test' }),
  }));
  const workers = databases.shards.list.map(({ name }) => createPool(databases.shardUrlAs(name, 'worker'), { max: 1, name: 'test' }));
  for (const { name } of shards)
    await databases.query(
      name,
      `INSERT INTO shard.user_agent SELECT n, (ARRAY['Chrome', 'Safari', 'Firefox', 'Outlook', 'Thunderbird'])[1 + n % 5], (100 + n)::text,
         (ARRAY['Windows', 'iOS', 'macOS', 'Android'])[1 + n % 4], (ARRAY['desktop', 'mobile', 'tablet'])[1 + n % 3] FROM generate_series(1, 20) n`,
    );

  const world: ExportWorld = {
    databases,
    analyst,
    shards,
    async generate({ count, people: most, days, firstDay = 0 }) {
      for (const [place, { name }] of shards.entries()) {
        for (let day = firstDay; day < firstDay + days; day++) {
          const perDay = Math.floor(count / days);
          const at = `to_timestamp(${(START + day * DAY_MS) / 1000}) + n * ${DAY_MS / perDay} * interval '1 millisecond'`;
          const gen = `md5('${name} ${day}')::uuid`;
          // The people of a shard. One of a hundred hits is that of a shared link.
          await databases.query(
            name,
            `INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, visitor, agent_id, link_version, rules, kind, verdict, country, net, referrer, signals)
             SELECT ${at}, n * ${LINE}, ${gen}, gen_random_uuid(), who, CASE WHEN click THEN 1 + n % 10 ELSE 11 END + 11 * (campaign - 1), campaign, who * 3 + n % 2, 1 + who % 20,
                    CASE WHEN click THEN 1 END, ${RULES_VERSION}, CASE WHEN click THEN 'click' ELSE 'open' END::shard.kind,
                    (CASE WHEN n % 7 = 0 THEN 'bot-ua' WHEN n % 23 = 0 THEN 'unsure' WHEN n % 29 = 0 THEN 'scanner-net' ELSE 'human' END)::shard.verdict,
                    (ARRAY['DE', 'FR', 'US', 'GB', 'IN', NULL])[1 + who % 6], CASE WHEN n % 29 = 0 THEN 'barracuda' END, CASE WHEN n % 3 = 0 THEN 'mail.example.org' END,
                    CASE WHEN n % 7 = 0 THEN '{bot-ua}'::text[] WHEN n % 23 = 0 THEN '{hosting-net,early}' WHEN n % 29 = 0 THEN '{scanner-net,bot-ua}' END
             FROM (SELECT n, n % 2 = 0 AS click, 1 + n % 2 * (n / 2 % 2) AS campaign,
                          CASE WHEN n % 100 = 0 THEN 0 ELSE 1 + ${place} + ${shards.length} * floor(random() * ${Math.floor(most / shards.length)})::bigint END AS who
                   FROM generate_series(0, ${perDay - 1}::bigint) n) AS hit`,
          );
          await databases.query(
            name,
            `INSERT INTO shard.ledger (gen, committed) VALUES (${gen}, int8multirange(int8range(0, ${perDay * LINE})))`,
          );
          await databases.query(
            name,
            appendDeltas(`(SELECT * FROM shard.event WHERE at >= to_timestamp(${(START + day * DAY_MS) / 1000}) AND gen = ${gen}) AS new`),
          );
          await judgeAll(workers[place] as Pool);
        }
      }
    },
    async judge() {
      let judged = 0;
      for (const worker of workers) judged += await judgeAll(worker);
      return judged;
    },
    async clicksAt(shard, from, to) {
      const gen = `md5('clicks of ${shard}')::uuid`;
      await databases.query(
        shard,
        `INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, visitor, agent_id, link_version, rules, kind, verdict, country)
         SELECT to_timestamp(${(START + 40 * DAY_MS) / 1000}) + n * interval '100 milliseconds', n * ${LINE}, ${gen}, gen_random_uuid(), ${people}, 1 + n, 1, 1, 1, 1, ${RULES_VERSION},
                'click', 'human', 'DE' FROM generate_series($1::int, $2::int - 1) n`,
        [from, to],
      );
      await databases.query(
        shard,
        `INSERT INTO shard.ledger (gen, committed) VALUES (${gen}, int8multirange(int8range($1::bigint * ${LINE}, $2::bigint * ${LINE})))
         ON CONFLICT (gen) DO UPDATE SET committed = ledger.committed + excluded.committed`,
        [from, to],
      );
      await databases.query(shard, appendDeltas(`(SELECT * FROM shard.event WHERE gen = ${gen} AND off >= ${from * LINE}) AS new`));
      await world.judge();
    },
    open: (storage, wanted = {}) =>
      openExport({ storage, shards: databases.shards.fingerprint, wanted: { ...NO_WISHES, ...wanted }, allKinds: [...EVENT_KINDS] }),
    async exportTo(directory, { wanted = {}, setRows = 1_000_000 } = {}) {
      return world.run(await world.open(await openDirectory(directory), wanted), setRows);
    },
    run: (target, setRows = 1_000_000) => runExport({ target, shards, catalog: analyst, waitMs: 0, setRows, onCommit: () => {} }),
    async close() {
      await Promise.all([analyst.end(), ...shards.map(({ pool }) => pool.end()), ...workers.map((worker) => worker.end())]);
    },
  };
  return world;
}
