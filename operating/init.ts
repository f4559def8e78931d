import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Config, parseConfig } from '../core/config.ts';
import { changeDatabaseUrl, formatDatabaseUrl, parseDatabaseUrl } from '../core/database-url.ts';
import { bareHost } from '../core/bare-host.ts';
import { readEnvFile, writeEnvFile } from '../core/env-file.ts';
import { ClickledgerError } from '../core/errors.ts';
import { replaceFile } from '../core/files.ts';
import { natsUrlWithCredentials, parseNatsUrl } from '../core/nats-url.ts';
import { evenShards } from '../core/shards.ts';
import { ROLES } from '../sql/migrate.ts';
import { NATS_ROLES, type NatsConf, natsConf, natsSetting } from './nats-conf.ts';
import { type ClusterServer, parseNatsCluster } from './nats-cluster.ts';
import { writePartSettings } from './part-settings.ts';

/** The options of `clickledger init`. The help of the command explains each of them. */
export interface InitOptions {
  baseUrl: string;
  catalog: string;
  nats: string;
  /** Default: 127.0.0.1:4222. Each server of a cluster listens on its address in `nats`. */
  natsListen?: string;
  /** See parseNatsCluster. */
  natsCluster?: string;
  natsStore: string;
  natsCertificate?: string;
  natsKey?: string;
  natsCa?: string;
  logDir: string;
  parts: string;
  shards: string;
  perPart?: string;
}

const REPLICAS_OF_CLUSTER = 3;

/**
 * Writes `env` and `nats.conf` into `dataDir`; for a cluster, one file such as `nats-n1.conf` for each server. Returns the names of the files
 * for NATS. With `perPart`, it also writes a directory for each part below `perPart`, and existing settings are kept. Without `perPart`, throws
 * `conflict` if settings exist. Throws `bad-input` or `bad-settings` for a mistake in the options.
 */
export async function init(dataDir: string, options: InitOptions): Promise<string[]> {
  const cluster = options.natsCluster === undefined ? undefined : parseNatsCluster(options.natsCluster, options.nats);
  const existing = await readEnvFile(dataDir);
  if (Object.keys(existing).length > 0 && options.perPart === undefined)
    throw new ClickledgerError(
      'conflict',
      `${dataDir}/env exists and was not changed, because its keys and passwords may be in use: edit this file, or give another directory with --data`,
    );
  const values = { ...newSettings(options), ...existing };
  // Reports invalid settings now, not only when the first part starts.
  const config = parseConfig(
    ['BASE_URL', 'BASE_URLS', 'CATALOG_URL', 'SHARDS', 'LOG_DIR', 'PARTS', ...NATS_ROLES.map(natsSetting)],
    values,
  );
  if (cluster) requireAllServers(config, cluster, dataDir);
  const passwords = {
    agent: config.AGENT_NATS_URL.password,
    worker: config.WORKER_NATS_URL.password,
    analyst: config.ANALYST_NATS_URL.password,
  };
  const confs = cluster
    ? clusterConfs(options, passwords, cluster, values['NATS_ROUTE_PASSWORD'] ?? '')
    : new Map([['nats.conf', natsConfOf(options, passwords)]]);
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  for (const [file, conf] of confs) await replaceFile(join(dataDir, file), conf, 0o600);
  await writeEnvFile(dataDir, values);
  if (options.perPart !== undefined) await writePartSettings(options.perPart, values, confs);
  return [...confs.keys()];
}

/** Throws `conflict` if the settings, which may be older than the cluster, do not have all its servers. */
function requireAllServers(
  config: Config<'AGENT_NATS_URL' | 'WORKER_NATS_URL' | 'ANALYST_NATS_URL'>,
  cluster: readonly ClusterServer[],
  dataDir: string,
): void {
  for (const name of NATS_ROLES.map(natsSetting)) {
    const { length } = config[name].servers;
    if (length !== cluster.length)
      throw new ClickledgerError(
        'conflict',
        `${name} in ${dataDir}/env has ${length} of the ${cluster.length} servers: give it a URL of each server, separated by commas, all with the user and password that it has now; set STREAM_REPLICAS to ${REPLICAS_OF_CLUSTER}; then repeat the command`,
      );
  }
}

/** Settings with new keys and passwords, and with the values of the options. */
function newSettings(options: InitOptions): Record<string, string> {
  // Reports a mistake in --nats once, not once for each role.
  parseNatsUrl(options.nats);
  const { url: catalog, hosts } = parseCatalog(options.catalog);
  // The Postgres container is created with this password. writePartSettings writes the password to a file for the container.
  if (options.perPart !== undefined && catalog.password === '') catalog.password = newPassword();
  const catalogUrl = formatDatabaseUrl(catalog, hosts);
  const urlOfRole = (role: string): string =>
    changeDatabaseUrl(catalogUrl, (url) => {
      url.username = `clickledger_${role}`;
      url.password = newPassword();
      // Backends only read, so they go on while there is no primary.
      if (role === 'backend' && hosts.length > 1) url.searchParams.set('target_session_attrs', 'prefer-standby');
    });
  return {
    BASE_URL: options.baseUrl,
    CATALOG_URL: catalogUrl,
    ...Object.fromEntries(ROLES.map((role) => [`${role.toUpperCase()}_URL`, urlOfRole(role)])),
    // The shards are on the server of the catalog, so the parameters of its URL, e.g. sslmode, apply to them, too.
    SHARDS: evenShards(Number(options.shards), (name) => `postgres://${hosts.join(',')}${catalog.pathname}_shard_${name}${catalog.search}`),
    SLUG_KEYS: randomBytes(32).toString('hex'),
    ...Object.fromEntries(NATS_ROLES.map((role) => [natsSetting(role), natsUrlWithCredentials(options.nats, role, newPassword())])),
    ...(options.natsCluster === undefined ? {} : { STREAM_REPLICAS: String(REPLICAS_OF_CLUSTER), NATS_ROUTE_PASSWORD: newPassword() }),
    ...(options.natsCa === undefined ? {} : { NATS_CA_FILE: options.natsCa }),
    LOG_DIR: options.logDir,
    PARTS: options.parts,
  };
}

function parseCatalog(text: string): ReturnType<typeof parseDatabaseUrl> {
  try {
    return parseDatabaseUrl(text);
  } catch (cause) {
    throw new ClickledgerError('bad-input', '--catalog is not a URL: write postgres://owner:password@host/database', { cause });
  }
}

function newPassword(): string {
  return randomBytes(18).toString('base64url');
}

function natsConfOf(options: InitOptions, passwords: NatsConf['passwords']): string {
  const { natsListen = '127.0.0.1:4222' } = options;
  const listen = URL.canParse(`nats://${natsListen}`) ? new URL(`nats://${natsListen}`) : undefined;
  if (!listen?.port) throw new ClickledgerError('bad-input', `--nats-listen must be host:port, not '${natsListen}'`);
  return natsConf({
    host: bareHost(listen),
    port: Number(listen.port),
    storeDir: options.natsStore,
    passwords,
    tls: natsTlsOf(options),
  });
}

/** Returns the text of the configuration of each server, by the name of the file. Each server has its own directory below `natsStore`. */
function clusterConfs(
  options: InitOptions,
  passwords: NatsConf['passwords'],
  cluster: readonly ClusterServer[],
  routePassword: string,
): Map<string, string> {
  if (options.natsListen !== undefined)
    throw new ClickledgerError(
      'bad-input',
      '--nats-listen is for one server: leave it out; each server of a cluster listens on its address in --nats',
    );
  const tls = natsTlsOf(options);
  const routes = new Map(cluster.map(({ name, route }) => [name, route]));
  return new Map(
    cluster.map(({ name, client }) => [
      `nats-${name}.conf`,
      natsConf({
        ...client,
        storeDir: join(options.natsStore, name),
        passwords,
        tls,
        cluster: { name, routes, password: routePassword, tls: tls && { ...tls, ca: options.natsCa ?? '' } },
      }),
    ]),
  );
}

function natsTlsOf(options: InitOptions): NatsConf['tls'] {
  const { user, tls } = parseNatsUrl(options.nats);
  if (user !== undefined) throw new ClickledgerError('bad-input', '--nats has a user: remove it; each role gets a user of its own');
  const { natsCertificate: certificate, natsKey: key } = options;
  if ((certificate === undefined) !== (key === undefined) || tls !== (key !== undefined))
    throw new ClickledgerError(
      'bad-input',
      'TLS needs all three: a tls:// URL in --nats, --nats-certificate and --nats-key. Without TLS, give none of them.',
    );
  return certificate === undefined || key === undefined ? undefined : { certificate, key };
}
