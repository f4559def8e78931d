import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseConfig } from '../core/config.ts';
import { readEnvFile, writeEnvFile } from '../core/env-file.ts';
import { ClickledgerError } from '../core/errors.ts';
import { replaceFile } from '../core/files.ts';
import { natsUrlWithCredentials, parseNatsUrl } from '../core/nats-url.ts';
import { evenShards } from '../core/shards.ts';
import { ROLES } from '../sql/migrate.ts';
import { NATS_ROLES, type NatsConf, natsConf, natsSetting } from './nats-conf.ts';
import { writePerPart } from './part-settings.ts';

/** What `clickledger init` is told; the command's options explain each. */
export interface InitOptions {
  baseUrl: string;
  catalog: string;
  nats: string;
  natsListen: string;
  natsStore: string;
  natsCertificate?: string;
  natsKey?: string;
  natsCa?: string;
  logDir: string;
  parts: string;
  shards: string;
  perPart?: string;
}

/**
 * Writes `env` and `nats.conf` into `dataDir`, and a directory for each part below `perPart`. Throws `conflict` where settings exist, unless
 * `perPart` is given: existing settings are kept then.
 */
export async function init(dataDir: string, options: InitOptions): Promise<void> {
  const known = await readEnvFile(dataDir);
  if (Object.keys(known).length > 0 && options.perPart === undefined)
    throw new ClickledgerError('conflict', `${dataDir}/env exists: its keys and passwords are in use, so it is not written again`);
  const values = { ...newSettings(options), ...known };
  // A mistake shows now, not when the first part starts.
  const config = parseConfig(['BASE_URL', 'CATALOG_URL', 'SHARDS', 'LOG_DIR', 'PARTS', ...NATS_ROLES.map(natsSetting)], values);
  const conf = natsConfOf(options, {
    agent: config.AGENT_NATS_URL.password,
    worker: config.WORKER_NATS_URL.password,
    analyst: config.ANALYST_NATS_URL.password,
  });
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  await replaceFile(join(dataDir, 'nats.conf'), conf, 0o600);
  await writeEnvFile(dataDir, values);
  if (options.perPart !== undefined) await writePerPart(options.perPart, values, conf);
}

/** Fresh keys and passwords, and the rest as asked for. */
function newSettings(options: InitOptions): Record<string, string> {
  if (!URL.canParse(options.catalog)) throw new ClickledgerError('bad-input', `'${options.catalog}' is no URL`);
  // A mistake in it is told once, not for each part.
  parseNatsUrl(options.nats);
  const catalog = new URL(options.catalog);
  // Postgres is made with it, too.
  if (options.perPart !== undefined && catalog.password === '') catalog.password = newPassword();
  const asRole = (role: string): string =>
    Object.assign(new URL(catalog), { username: `clickledger_${role}`, password: newPassword() }).toString();
  return {
    BASE_URL: options.baseUrl,
    CATALOG_URL: catalog.toString(),
    ...Object.fromEntries(ROLES.map((role) => [`${role.toUpperCase()}_URL`, asRole(role)])),
    // The catalog's parameters, such as sslmode, hold for its neighbours, too.
    SHARDS: evenShards(Number(options.shards), (name) => `postgres://${catalog.host}${catalog.pathname}_shard_${name}${catalog.search}`),
    SLUG_KEYS: randomBytes(32).toString('hex'),
    ...Object.fromEntries(NATS_ROLES.map((role) => [natsSetting(role), natsUrlWithCredentials(options.nats, role, newPassword())])),
    ...(options.natsCa === undefined ? {} : { NATS_CA_FILE: options.natsCa }),
    LOG_DIR: options.logDir,
    PARTS: options.parts,
  };
}

function newPassword(): string {
  return randomBytes(18).toString('base64url');
}

function natsConfOf(options: InitOptions, passwords: NatsConf['passwords']): string {
  const listen = URL.canParse(`nats://${options.natsListen}`) ? new URL(`nats://${options.natsListen}`) : undefined;
  if (!listen?.port) throw new ClickledgerError('bad-input', `--nats-listen is host:port, not '${options.natsListen}'`);
  const { user, tls } = parseNatsUrl(options.nats);
  if (user !== undefined) throw new ClickledgerError('bad-input', '--nats has a user: leave it out, each part gets its own');
  const { natsCertificate: certificate, natsKey: key } = options;
  if ((certificate === undefined) !== (key === undefined) || tls !== (key !== undefined))
    throw new ClickledgerError('bad-input', 'for TLS, --nats is a tls:// URL, and the server has --nats-certificate and --nats-key');
  return natsConf({
    host: listen.hostname.replace(/^\[|\]$/g, ''),
    port: Number(listen.port),
    storeDir: options.natsStore,
    passwords,
    tls: certificate === undefined || key === undefined ? undefined : { certificate, key },
  });
}
