import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import type { Command } from 'commander';
import { parseConfig } from '../../core/config.ts';
import { readEnvFile, writeEnvFile } from '../../core/env-file.ts';
import { ClickledgerError } from '../../core/errors.ts';
import { evenShards } from '../../core/shards.ts';
import { ROLES } from '../../sql/migrate.ts';
import { dataDirOf } from '../context.ts';
import { note } from '../output.ts';

/** One of each on this machine; each is started with its own ADMIN_PORT. */
const DEFAULT_PARTS = 'backend=http://127.0.0.1:9101,agent=http://127.0.0.1:9102,worker=http://127.0.0.1:9103';

export function addInit(program: Command): void {
  program
    .command('init')
    .description('write settings for servers of your own: keys, a password for each role, the shard list')
    .requiredOption('--base-url <url>', 'where recipients will reach nginx')
    .requiredOption('--catalog <url>', "the catalog database's URL, as its owner")
    .option('--nats <url>', 'the NATS server', 'nats://127.0.0.1:4222')
    .option('--log-dir <directory>', 'where nginx writes access.log', '/var/log/clickledger')
    .option('--parts <list>', 'where the parts will answer `status`: name=URL of the admin port, separated by commas', DEFAULT_PARTS)
    .option('--shards <number>', 'as many as you may ever want database servers; fixed for good', '1')
    .addHelpText(
      'after',
      '\nExample:\n  clickledger init --base-url https://t.example.org --catalog postgres://owner:secret@db1/clickledger --shards 4\n\nThen look at <data>/env, put the shards where they shall live, and run `clickledger migrate`.',
    )
    .action(
      async (
        options: { baseUrl: string; catalog: string; nats: string; logDir: string; parts: string; shards: string },
        command: Command,
      ) => {
        const dataDir = dataDirOf(command);
        if (Object.keys(await readEnvFile(dataDir)).length > 0)
          throw new ClickledgerError('conflict', `${dataDir}/env exists: its keys and passwords are in use, so it is not written again`);
        if (!URL.canParse(options.catalog)) throw new ClickledgerError('bad-input', `'${options.catalog}' is no URL`);
        const catalog = new URL(options.catalog);
        const asRole = (role: string): string => {
          const url = new URL(catalog);
          url.username = `clickledger_${role}`;
          url.password = randomBytes(18).toString('base64url');
          return url.toString();
        };
        const shards = evenShards(Number(options.shards), (name) => `postgres://${catalog.host}${catalog.pathname}_shard_${name}`);
        const values = {
          BASE_URL: options.baseUrl,
          CATALOG_URL: options.catalog,
          ...Object.fromEntries(ROLES.map((role) => [`${role.toUpperCase()}_URL`, asRole(role)])),
          SHARDS: shards,
          SLUG_KEYS: randomBytes(32).toString('hex'),
          NATS_URL: options.nats,
          LOG_DIR: options.logDir,
          PARTS: options.parts,
        };
        // A mistake shows now, not when the first part starts.
        parseConfig(['BASE_URL', 'CATALOG_URL', 'SHARDS', 'NATS_URL', 'LOG_DIR', 'PARTS'], values);
        await mkdir(dataDir, { recursive: true, mode: 0o700 });
        await writeEnvFile(dataDir, values);
        note(`wrote ${dataDir}/env; next: clickledger migrate`);
      },
    );
}
