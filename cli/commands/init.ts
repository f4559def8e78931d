import type { Command } from 'commander';
import { init, type InitOptions } from '../../operating/init.ts';
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
    .action(async (options: InitOptions, command: Command) => {
      const dataDir = dataDirOf(command);
      await init(dataDir, options);
      note(`wrote ${dataDir}/env, and ${dataDir}/nats.conf for \`nats-server -c\`; next: clickledger migrate`);
    });
}
