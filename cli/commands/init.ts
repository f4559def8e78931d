import type { Command } from 'commander';
import { init, type InitOptions } from '../../operating/init.ts';
import { dataDirOf } from '../context.ts';
import { note } from '../output.ts';

/** One part of each kind on this machine. Each part needs its own ADMIN_PORT. */
const DEFAULT_PARTS = 'backend=http://127.0.0.1:9101,agent=http://127.0.0.1:9102,worker=http://127.0.0.1:9103';

export function addInit(program: Command): void {
  program
    .command('init')
    .description('write settings for your own servers: keys, a password for each role, the list of shards')
    .requiredOption('--base-url <url>', 'the URL of nginx for recipients; tracked URLs begin with it')
    .requiredOption('--catalog <url>', 'the URL of the catalog database for its owner')
    .option(
      '--nats <url>',
      'the URL of NATS for the parts: nats://… or tls://…; with --nats-cluster the URL of each server, separated by commas',
      'nats://127.0.0.1:4222',
    )
    .option('--nats-listen <host:port>', 'the address on which the NATS server listens (in <data>/nats.conf); default: 127.0.0.1:4222')
    .option(
      '--nats-cluster <servers>',
      'three or five NATS servers that work as one: name=host:port of each, separated by commas, where the port is for the other servers; writes <data>/nats-<name>.conf for each',
    )
    .option(
      '--nats-store <directory>',
      'the directory in which the NATS server stores batches (in <data>/nats.conf); each server of a cluster uses a directory with its name in it',
      '/var/lib/nats',
    )
    .option('--nats-certificate <file>', 'the TLS certificate of the NATS server (in <data>/nats.conf); needs --nats-key')
    .option('--nats-key <file>', 'the key of this certificate (in <data>/nats.conf)')
    .option('--nats-ca <file>', 'the CA certificate with which the parts check the NATS server')
    .option('--log-dir <directory>', 'the directory in which nginx writes access.log', '/var/log/clickledger')
    .option('--parts <list>', 'the admin URLs of the parts, for `clickledger status`: name=URL, separated by commas', DEFAULT_PARTS)
    .option(
      '--shards <number>',
      'the number of shards, 1 to 26: the most database servers that you may ever need; it cannot be changed',
      '1',
    )
    .option(
      '--per-part <directory>',
      'for containers: also write a directory for each part below this one, with only the settings that it needs; existing settings are kept',
    )
    .addHelpText(
      'after',
      `
Examples:
  clickledger init --base-url https://t.example.org --catalog postgres://owner:secret@db1/clickledger --shards 4
  clickledger init --base-url https://t.example.org --catalog postgres://owner:secret@db1/clickledger \\
    --nats nats://10.0.0.1:4222,nats://10.0.0.2:4222,nats://10.0.0.3:4222 \\
    --nats-cluster n1=10.0.0.1:6222,n2=10.0.0.2:6222,n3=10.0.0.3:6222

Then check <data>/env, change the database URLs in SHARDS if the shards are on other servers, and run \`clickledger migrate\`.`,
    )
    .action(async (options: InitOptions, command: Command) => {
      const dataDir = dataDirOf(command);
      const natsConfs = await init(dataDir, options);
      note(`wrote ${dataDir}/env`);
      for (const file of natsConfs) note(`wrote ${dataDir}/${file}: start NATS with \`nats-server -c ${dataDir}/${file}\``);
      if (natsConfs.length > 1) note('Copy each of these files to the host of its server, and start it there.');
      note('Next, check the settings and run `clickledger migrate`.');
    });
}
