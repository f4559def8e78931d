import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { libraryPath, locate, type Program } from '../../stack/debian.ts';
import { acceptsConnections } from '../../stack/ports.ts';
import { temporaryDirectory } from './servers.ts';

// Programs that send mail, from the packages of the distribution.

interface Ended {
  code: number | null;
  output: string;
}

/** Runs a program of a package with the libraries that were unpacked with it. `interpreter` runs a script. */
export async function runProgram(
  program: Program,
  args: readonly string[],
  { input = '', interpreter }: { input?: string | Buffer; interpreter?: string } = {},
): Promise<Ended> {
  const path = await locate(program);
  const usr = /^.*\/usr(?=\/)/.exec(path)?.[0] ?? '/usr';
  const perlDirectories = ['share/perl5', 'share/perl/5.36', 'lib/x86_64-linux-gnu/perl5/5.36'].map((directory) => join(usr, directory));
  const child = spawn(interpreter ?? path, [...(interpreter === undefined ? [] : [path]), ...args], {
    env: {
      PATH: process.env['PATH'],
      LD_LIBRARY_PATH: libraryPath(path),
      PERL5LIB: perlDirectories.filter((directory) => existsSync(directory)).join(':'),
      HOME: '/nonexistent',
    },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const ended: Ended = { code: null, output: '' };
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (ended.output += text));
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ ...ended, code }));
  });
}

/** Postfix of its own, as root. It has no local users, and gives all mail to another server. */
export interface Postfix {
  port: number;
  stop(): Promise<void>;
}

/** Whether Postfix can run here. Its master process needs root. */
export const CAN_RUN_POSTFIX = process.getuid?.() === 0;

/** Starts a Postfix that listens on a port of loopback and relays all mail to another port. */
export async function startPostfix(port: number, relayPort: number): Promise<Postfix> {
  const postfix = await locate('postfix');
  const root = dirname(dirname(dirname(postfix)));
  const directory = await temporaryDirectory();
  // The parts of Postfix run as nobody.
  await chmod(directory, 0o755);
  const [config, queue, data] = ['config', 'queue', 'data'].map((name) => join(directory, name)) as [string, string, string];
  for (const each of [config, queue, data]) await mkdir(each, { mode: 0o755 });
  await writeFile(
    join(config, 'main.cf'),
    `compatibility_level = 3.6
queue_directory = ${queue}
data_directory = ${data}
command_directory = ${join(root, 'usr/sbin')}
daemon_directory = ${join(root, 'usr/lib/postfix/sbin')}
shlib_directory = ${join(root, 'usr/lib/postfix')}
meta_directory = ${existsSync(join(root, 'etc/postfix/postfix-files')) ? join(root, 'etc/postfix') : config}
mail_owner = daemon
default_privs = nobody
setgid_group = mail
maillog_file = ${directory}/log
maillog_file_prefixes = ${directory}
import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C LD_LIBRARY_PATH=${libraryPath(postfix)}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.example.org
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
relayhost = [127.0.0.1]:${relayPort}
smtp_destination_recipient_limit = 1
smtp_host_lookup = native
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
smtputf8_enable = yes
`,
  );
  const services: readonly string[] = [
    `127.0.0.1:${port} inet n - n - - smtpd`,
    'cleanup unix n - n - 0 cleanup',
    'qmgr unix n - n 1 1 qmgr',
    'rewrite unix - - n - - trivial-rewrite',
    'bounce unix - - n - 0 bounce',
    'defer unix - - n - 0 bounce',
    'trace unix - - n - 0 bounce',
    'smtp unix - - n - - smtp',
    'relay unix - - n - - smtp',
    'error unix - - n - - error',
    'retry unix - - n - - error',
    'discard unix - - n - - discard',
    'scache unix - - n - 1 scache',
    'anvil unix - - n - 1 anvil',
    'proxymap unix - - n - - proxymap',
    'tlsmgr unix - - n 1000? 1 tlsmgr',
    'postlog unix-dgram n - n - 1 postlogd',
  ];
  await writeFile(join(config, 'master.cf'), `${services.join('\n')}\n`);
  // The queue directories of Postfix belong to its owner, the user daemon.
  for (const name of [
    'active',
    'bounce',
    'corrupt',
    'defer',
    'deferred',
    'flush',
    'hold',
    'incoming',
    'private',
    'saved',
    'trace',
    'pid',
    'public',
    'maildrop',
  ]) {
    await mkdir(join(queue, name), { mode: name === 'public' || name === 'maildrop' ? 0o730 : 0o700 });
    if (name !== 'pid') await chown(join(queue, name), 1, 1);
  }
  await chown(data, 1, 1);
  const child = spawn(join(root, 'usr/lib/postfix/sbin/master'), ['-c', config, '-d'], {
    env: { PATH: process.env['PATH'], MAIL_CONFIG: config, LD_LIBRARY_PATH: libraryPath(postfix) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await exited;
  };
  onTestFinished(stop);
  for (let attempt = 0; ; attempt++) {
    if (await acceptsConnections(port)) break;
    if (child.exitCode !== null || attempt > 200) {
      const log = await readFile(join(directory, 'log'), 'utf8').catch(() => '');
      throw new Error(`Postfix does not start:\n${output}${log}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { port, stop };
}
