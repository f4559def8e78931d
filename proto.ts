import { readdirSync, readFileSync } from 'node:fs';
import pg from 'pg';
import { createPool } from './core/postgres.ts';
import { judgeOnce } from './event-worker/judge.ts';
import { COUNT_ALL } from './test/support/databases.ts';
const base = { host: '127.0.0.1', port: 54999, user: process.env.PGU ?? 'postgres' };
const admin = new pg.Client({ ...base, database: 'postgres' });
await admin.connect();
await admin.query('DROP DATABASE IF EXISTS p WITH (FORCE)'); await admin.query('CREATE DATABASE p'); await admin.end();
const c = new pg.Client({ ...base, database: 'p' }); await c.connect();
for (const f of readdirSync('sql/shard').sort()) { await c.query(readFileSync(`sql/shard/${f}`, 'utf8')); }
await c.query(`INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, agent_id, rules, kind, verdict)
     SELECT to_timestamp($1 / 1000.0) + CASE WHEN person % 3 = 0 THEN interval '100 ms' ELSE interval '1 hour' END * link, person * 10 + link, gen_random_uuid(), gen_random_uuid(), person, link, 1, 0, 2, 'click', 'human'
     FROM generate_series(1, 40000) person, generate_series(1, 3) link`, [Date.UTC(2026,4,1,12)]);
await c.query(COUNT_ALL);
for (const s of ["session_preload_libraries='auto_explain'", 'auto_explain.log_min_duration=100', 'auto_explain.log_nested_statements=on', 'auto_explain.log_analyze=on']) await c.query('ALTER DATABASE p SET ' + s);
const pool = createPool(`postgres://${base.user}@127.0.0.1:54999/p`, { max: 1, name: 'x' });
const q = pool.query.bind(pool);
for (;;) { const t = performance.now(); const n = await judgeOnce(pool); console.log(n, Math.round(performance.now() - t)); if (!(n! > 0)) break; }
process.exit(0);
