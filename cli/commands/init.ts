import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { parseConfig } from '../../core/config.ts';
import { readEnvFile, writeEnvFile } from '../../core/env-file.ts';
import { ClickledgerError } from '../../core/errors.ts';
import { replaceFile } from '../../core/files.ts';
import { natsUrlAs, parseNatsUrl } from '../../core/nats-url.ts';
import { evenShards } from '../../core/shards.ts';
import { ROLES } from '../../sql/migrate.ts';
import { NATS_ROLES, type NatsConf, natsConf, natsSetting } from '../../operating/nats-conf.ts';
import { dataDirOf } from '../context.ts';
import { note } from '../output.ts';
import { writePerPart } from '../../operating/part-settings.ts';

interface Options {
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

/** One of each on this machine; each is started with its own ADMIN_PORT. */
const DEFAULT_PARTS = 'backend=http://127.0.0.1:9101,agent=http://127.0.0.1:9102,worker=http://127.0.0.1:9103';

export function addInit(program: Command): void {
  program
    .command('init')
    .description('write settings for servers of your own: keys, a password for each role, the shard list')
    .requiredOption('--base-url <url>', 'where recipients will reach nginx')
    .requiredOption('--catalog <url>', "the catalog database's URL, as its owner")
    .option('--nats <url>', 'where parts reach NATS: nats://… or tls://…', 'nats://127.0.0.1:4222')
    .option('--nats-listen <host:port>', 'where the NATS server listens, for <data>/nats.conf', '127.0.0.1:4222')
    .option('--nats-store <directory>', 'where the NATS server keeps what waits, for <data>/nats.conf', '/var/lib/nats')
    .option('--nats-certificate <file>', 'of the NATS server, with --nats-key, for <data>/nats.conf')
    .option('--nats-key <file>', 'its key')
    .option('--nats-ca <file>', 'whose certificate vouches for it, where parts are to find it')
    .option('--log-dir <directory>', 'where nginx writes access.log', '/var/log/clickledger')
    .option('--parts <list>', 'where the parts will answer `status`: name=URL of the admin port, separated by commas', DEFAULT_PARTS)
    .option('--shards <number>', 'as many as you may ever want database servers; fixed for good', '1')
    .option(
      '--per-part <directory>',
      'for containers: also give each part a directory below this one, with what it needs and no more; settings that exist are kept',
    )
    .addHelpText(
      'after',
      '\nExample:\n  clickledger init --base-url https://t.example.org --catalog postgres://owner:secret@db1/clickledger --shards 4\n\nThen look at <data>/env, put the shards where they shall live, and run `clickledger migrate`.',
    )
    .action(async (options: Options, command: Command) => {
      const dataDir = dataDirOf(command);
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
      note(`wrote ${dataDir}/env, and ${dataDir}/nats.conf for \`nats-server -c\`; next: clickledger migrate`);
    });
}

/** Fresh keys and passwords, and the rest as asked for. */
function newSettings(options: Options): Record<string, string> {
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
    ...Object.fromEntries(NATS_ROLES.map((role) => [natsSetting(role), natsUrlAs(options.nats, role, newPassword())])),
    ...(options.natsCa === undefined ? {} : { NATS_CA_FILE: options.natsCa }),
    LOG_DIR: options.logDir,
    PARTS: options.parts,
  };
}

function newPassword(): string {
  return randomBytes(18).toString('base64url');
}

function natsConfOf(options: Options, passwords: NatsConf['passwords']): string {
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
