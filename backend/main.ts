import { mkdir } from 'node:fs/promises';
import { createPart } from '../core/part.ts';
import { createPool } from '../core/postgres.ts';
import { createSlugCodec } from '../core/slug.ts';
import { closeApp, createApp } from './app.ts';
import { healthOf } from './health.ts';
import { createLinkStore } from './links.ts';
import { createBackendMetrics, watchLinks } from './metrics.ts';

// slug ──► verify ──► route in memory ──► 302. Postgres is only ever asked in the background.

const part = createPart('backend', ['HOST', 'PORT', 'BACKEND_URL', 'SLUG_KEYS', 'STATE_DIR'], process.env);
const { config, log, registry, stopped, signal } = part;

const metrics = createBackendMetrics(registry);
await mkdir(config.STATE_DIR, { recursive: true, mode: 0o700 });
const pool = createPool(config.BACKEND_URL, { max: 4, name: 'backend', queryTimeoutMs: 30_000 });
const links = createLinkStore({ pool, stateDir: config.STATE_DIR, log });
watchLinks(registry, links);
const app = createApp({ slugs: createSlugCodec(config.SLUG_KEYS), links, now: Date.now, onAnswer: metrics.answered });

let serving = false;
const admin = await part.serveAdmin(() => healthOf(links, serving));
await links.load();
const polling = links.keepFresh(signal);
await app.listen({ host: config.HOST, port: config.PORT });
serving = true;
log.info(links.size(), 'serving redirects');

await stopped;
await closeApp(app);
admin?.close();
await polling;
await pool.end();
