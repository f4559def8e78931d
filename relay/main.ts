import { tmpdir } from 'node:os';
import { baseUrlsOf } from '../authoring/base-urls.ts';
import { createPart } from '../core/part.ts';
import { createPool } from '../core/postgres.ts';
import { deliver } from './deliver.ts';
import { relayHealth } from './health.ts';
import { addRelayGauges, createRelayMetrics } from './metrics.ts';
import { parseNetworks } from './networks.ts';
import { createServer } from './server.ts';
import { assertNoLoop, assertUsable, readSigner, readTls } from './settings.ts';
import { createTracking } from './tracking.ts';
import { createUpstream } from './upstream.ts';

// The relay: tracks the links of mail on its way from a program to the mail server.
//
// sender ──SMTP──► server ──► header: campaign, recipient ──► text parts: tracked links ──SMTP──► mail server
//                                        ▲                          ▲
//                                        └──────── catalog ─────────┘
//
// The sender gets 250 after the mail server has answered 250. The relay keeps no messages.

const settings = [
  'BASE_URL',
  'BASE_URLS',
  'AUTHOR_URL',
  'SLUG_KEYS',
  'RELAY_HOST',
  'RELAY_PORT',
  'RELAY_UPSTREAM',
  'RELAY_UPSTREAM_PLAIN',
  'RELAY_CAMPAIGN',
  'RELAY_UNTRACKABLE',
  'RELAY_NETWORKS',
  'RELAY_USERS',
  'RELAY_TLS_CERT',
  'RELAY_TLS_KEY',
  'RELAY_DKIM_KEY',
  'RELAY_DKIM_DOMAIN',
  'RELAY_DKIM_SELECTOR',
  'RELAY_MAX_MIB',
  'RELAY_MAX_CLIENTS',
  'RELAY_MAX_LINKS',
  'RELAY_EXCLUDE',
  'RELAY_PIXEL',
] as const;
const part = createPart('relay', settings, process.env);
const { config, log, registry, stopped } = part;

const metrics = createRelayMetrics(registry);
const networks = parseNetworks(config.RELAY_NETWORKS);
const tls = readTls(config);
assertUsable(config.RELAY_HOST, networks, config.RELAY_USERS, tls !== undefined);
assertNoLoop(config.RELAY_HOST, config.RELAY_PORT, config.RELAY_UPSTREAM);
const signer = readSigner(config, tmpdir());
const pool = createPool(config.AUTHOR_URL, { max: 8, name: 'relay', queryTimeoutMs: 20_000 });
const upstream = createUpstream(config.RELAY_UPSTREAM, {
  isPlain: config.RELAY_UPSTREAM_PLAIN,
  onExtensions: (extensions) => server.offer(extensions),
});
const tracking = createTracking({
  pool,
  baseUrls: baseUrlsOf(config),
  keys: config.SLUG_KEYS,
  exclude: config.RELAY_EXCLUDE,
  pixel: config.RELAY_PIXEL,
  maxLinks: config.RELAY_MAX_LINKS,
  onTooManyLinks: (links) => metrics.recordTooManyLinks(links),
  onFailure: (error) => log.error({ err: error }, 'a part of a message could not be tracked'),
});
const server = createServer({
  tls,
  users: config.RELAY_USERS,
  networks,
  maxBytes: config.RELAY_MAX_MIB * 1024 * 1024,
  maxClients: config.RELAY_MAX_CLIENTS,
  metrics,
  log,
  deliver: (message, envelope) =>
    deliver(message, envelope, {
      tracking,
      upstream,
      campaignHeaders: config.RELAY_CAMPAIGN,
      whenUntrackable: config.RELAY_UNTRACKABLE,
      signer,
      onPart: (outcome) => metrics.recordPart(outcome),
      onFailure: (what, error) => log.warn({ err: error }, what),
    }),
});
addRelayGauges(registry, server);

let listening = false;
const admin = await part.serveAdmin(() => relayHealth(tracking, upstream, listening));
// The relay offers the extensions that the mail server has.
await upstream.isReachable();
const port = await server.listen(config.RELAY_PORT, config.RELAY_HOST);
listening = true;
log.info({ port }, 'relaying mail');

await stopped;
await server.stop();
upstream.close();
admin?.close();
await pool.end();
