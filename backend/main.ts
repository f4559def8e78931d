import { mkdir } from 'node:fs/promises';
import { createPart } from '../core/part.ts';
import { createPool } from '../core/postgres.ts';
import { createSlugCodec } from '../core/slug.ts';
import { closeApp, createApp } from './app.ts';
import { backendHealth } from './health.ts';
import { createLinkStore } from './links.ts';
import { createBackendMetrics, addLinkGauges } from './metrics.ts';

// The backend: answers clicks with redirects.
//
// slug ──► verify ──► route in memory ──► 302. The backend polls Postgres in the background. A click causes a query only if its link is
// new.

const part = createPart('backend', ['HOST', 'PORT', 'BACKEND_URL', 'SLUG_KEYS', 'STATE_DIR'], process.env);
const { config, log, registry, stopped, signal } = part;

const metrics = createBackendMetrics(registry);
await mkdir(config.STATE_DIR, { recursive: true, mode: 0o700 });
const pool = createPool(config.BACKEND_URL, { max: 4, name: 'backend', queryTimeoutMs: 30_000 });
const links = createLinkStore({ pool, stateDir: config.STATE_DIR, log });
addLinkGauges(registry, links);
const app = createApp({ slugs: createSlugCodec(config.SLUG_KEYS), links, now: Date.now, onOutcome: metrics.recordOutcome });

let serving = false;
const admin = await part.serveAdmin(() => backendHealth(links, serving));
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
