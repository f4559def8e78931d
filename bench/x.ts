import pg from 'pg';
import { prepareValue } from '/work/main/node_modules/pg/lib/utils.js';
import { countHits, noHits } from '../event-worker/sets.ts';
import { reduceUserAgent } from '../event-worker/user-agent.ts';
const [, , Gt, linksT = '1000', campT = '1'] = process.argv; const G = Number(Gt), LINKS = Number(linksT), CAMPS = Number(campT);
pg.types.setTypeParser(20, Number);
const c = new pg.Client({ host: '127.0.0.1', port: 54999, user: 'postgres', database: 'postgres' }); await c.connect();
await c.query('TRUNCATE shard.people, shard.activity_15m, shard.undecided');
let seed = 1; const rnd = () => { seed = (seed * 1664525 + 1013904223) >>> 0; return seed / 4294967296; };
const people: number[] = []; for (let i = 1; i <= 100000; i++) if (rnd() < 0.5) people.push(i);
const agents = Array.from({ length: 20 }, (_, i) => reduceUserAgent(`Mozilla/5.0 (${['Windows NT 10.0; Win64; x64', 'Macintosh; Intel Mac OS X 10_15_7', 'X11; Linux x86_64', 'iPhone; CPU iPhone OS 17_5 like Mac OS X'][i % 4]}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${120 + i}.0.0.0 Safari/537.36`));
const origins = [{ country: null, net: null }, { country: 'DE', net: null }, { country: 'FR', net: null }]; const refs = [null, null, null, 'mail.google.com', 'outlook.live.com', 'com.google.android.gm'];
const GROUPS = Math.ceil(500000 / G); const sum: Record<string, number> = {}; let rowsN = 0, actN = 0, bytes = 0;
const time = async (n: string, f: () => Promise<unknown> | unknown) => { const t = performance.now(); const r = await f(); sum[n] = (sum[n] ?? 0) + performance.now() - t; return r; };
for (let g = 0; g < GROUPS; g++) {
  const hits = noHits();
  for (let e = 0; e < G; e++) {
    const p = people[Math.floor(rnd() * people.length)]!; const ua = Math.floor(rnd() * 20);
    hits.t.push(1795326435000 + (g * G + e) * 2); hits.recipient.push(p); hits.link.push(((p * 13 + Math.floor(rnd() * 10) * 101) % LINKS) + 1); hits.campaign.push(CAMPS === 1 ? 1 : 1 + Math.floor(rnd() * CAMPS));
    hits.kind.push(e & 1 ? 'click' : 'open'); hits.verdict.push(ua < 17 ? 'human' : 'bot-ua'); hits.agent.push(agents[ua]!); hits.origin.push(origins[p % 3]!); hits.referrer.push(refs[Math.floor(rnd() * 6)]!);
  }
  const r = (await time('js', () => countHits([hits], new Set()))) as ReturnType<typeof countHits>;
  rowsN += r.people[0]!.split(',').length; actN += r.activity[0]!.split(',').length; bytes += r.people.reduce((a, b) => a + b.length, 0);
  await c.query('BEGIN');
  await time('activity', () => c.query('SELECT shard.add_activity($1, $2, $3, $4, $5, $6)', r.activity));
  await time('people', () => c.query('SELECT shard.add_people($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)', r.people));
  await time('undecided', () => c.query('INSERT INTO shard.undecided (clicks, campaign_ids, recipient_ids, times) VALUES ($4, $1, $2, $3)', [...r.undecided, r.undecidedClicks]));
  await time('commit', () => c.query('COMMIT'));
}
const n = G * GROUPS; console.log(`G=${G} links=${LINKS} camps=${CAMPS}`, Object.fromEntries(Object.entries(sum).map(([k, v]) => [k, `${((v * 1000) / n).toFixed(2)} us/event`])), `people rows/group ${(rowsN / GROUPS) | 0} (${((sum['people']! * 1000) / rowsN).toFixed(1)} us/row), activity ${(actN / GROUPS) | 0} (${((sum['activity']! * 1000) / actN).toFixed(1)} us/row), ${(bytes / n) | 0} B/event`);
console.log((await c.query("select pg_size_pretty(pg_total_relation_size('shard.people')) p, pg_size_pretty(pg_total_relation_size('shard.activity_15m')) a, (select count(*) from shard.people) n, (select count(*) from shard.people where bits is not null) dense")).rows[0]);
await c.end();
