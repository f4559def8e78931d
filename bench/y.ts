import { createPool } from '../core/postgres.ts';
import { COUNT_ALL } from '../test/support/databases.ts';
import { mergeDeltas } from '../event-worker/merge.ts';
import { inTransaction } from '../event-worker/transaction.ts';
const pool = createPool('postgres://postgres@127.0.0.1:54999/postgres', { max: 2, name: 'y' });
const t = async (n: string, f: () => Promise<unknown>) => { const s = performance.now(); await f(); console.log(n, (performance.now() - s).toFixed(0), 'ms'); };
await pool.query('TRUNCATE shard.event, shard.people, shard.activity_15m, shard.delta, shard.recipient, shard.hit_change');
await pool.query(`INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, agent_id, rules, kind, verdict)
 SELECT now() + CASE WHEN person % 3 = 0 THEN interval '100 ms' ELSE interval '1 hour' END * link, person * 10 + link, gen_random_uuid(), gen_random_uuid(), person, link, 1, 0, 2, 'click', 'human'
 FROM generate_series(1, ${process.argv[2] ?? 40000}) person, generate_series(1, 3) link`);
await t('delta', () => pool.query(COUNT_ALL));
await inTransaction(pool, async (c) => {
  await c.query("LOAD 'auto_explain'; SET auto_explain.log_min_duration = 300; SET auto_explain.log_nested_statements = on; SET auto_explain.log_analyze = on;");
  let r: { rows: { campaigns: string[] }[] } = { rows: [] };
  await t('find', async () => { r = await c.query(`SELECT * FROM shard.find_bursts(50000, '1 second', 3)`); });
  await t('merge', () => mergeDeltas(c, r.rows[0]!.campaigns.map(Number)));
  await c.query("LOAD 'auto_explain'; SET auto_explain.log_min_duration = 300; SET auto_explain.log_nested_statements = on; SET auto_explain.log_analyze = on; SET auto_explain.log_timing=off; SET client_min_messages = log");
  await t('mark', () => c.query('SELECT shard.mark_bursts(3)'));
  return true;
});
await pool.end();
