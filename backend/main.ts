import { mkdir } from 'node:fs/promises';
import { Counter, Gauge, Registry } from 'prom-client';
import { serveAdmin } from '../core/admin.ts';
import { parseConfig } from '../core/config.ts';
import { createLogger } from '../core/log.ts';
import { createPool } from '../core/postgres.ts';
import { untilSignal } from '../core/shutdown.ts';
import { createSlugCodec } from '../core/slug.ts';
import { closeApp, createApp } from './app.ts';
import { createLinkStore } from './links.ts';

// slug ──► verify ──► route in memory ──► 302. Postgres is only ever asked in the background.

const config = parseConfig(['HOST', 'PORT', 'ADMIN_HOST', 'ADMIN_PORT', 'BACKEND_URL', 'SLUG_KEYS', 'STATE_DIR', 'LOG_LEVEL'], process.env);
const log = createLogger('backend', config.LOG_LEVEL);
const { stopped, signal } = untilSignal(log);

const registry = new Registry();
const redirects = new Counter({
  name: 'clickledger_redirects_total',
  help: 'Requests for tracked URLs by outcome',
  labelNames: ['outcome'],
  registers: [registry],
});

await mkdir(config.STATE_DIR, { recursive: true, mode: 0o700 });
const pool = createPool(config.BACKEND_URL, { max: 4, name: 'backend', queryTimeoutMs: 30_000 });
const links = createLinkStore({ pool, stateDir: config.STATE_DIR, log });
new Gauge({
  name: 'clickledger_links',
  help: 'Links held in memory',
  registers: [registry],
  collect() {
    this.set(links.size());
  },
});

const app = createApp({
  slugs: createSlugCodec(config.SLUG_KEYS),
  links,
  now: Date.now,
  onOutcome: (outcome) => redirects.inc({ outcome }),
});

await links.load();
const polling = links.keepFresh(signal);
await app.listen({ host: config.HOST, port: config.PORT });
const admin = await serveAdmin({
  host: config.ADMIN_HOST,
  port: config.ADMIN_PORT,
  registry,
  health: () => ({ ready: true, degraded: links.fresh() ? [] : ['Postgres does not answer: links are served as last known'] }),
});
log.info({ links: links.size() }, 'serving redirects');

await stopped;
await closeApp(app);
admin?.close();
await polling;
await pool.end();
